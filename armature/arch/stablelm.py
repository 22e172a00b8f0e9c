"""StableLM (Bellagente et al., 2024): Llama with layer norms, heads that turn in part."""

from __future__ import annotations

from armature.arch import decoder, heads, llama, renamed, rotary
from armature.config import Config
from armature.model.spec import Block, Dropout, Gated, LayerNorm, NormedApart, Parallel, Pre, Stack

LIKE = llama
DEFAULTS = {
    "vocab_size": 50304,
    "intermediate_size": 6912,
    "hidden_size": 2560,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "hidden_act": "silu",
    "max_position_embeddings": 4096,
    "layer_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "partial_rotary_factor": 0.25,
    "use_qkv_bias": False,
    "qk_layernorm": False,
    "use_parallel_residual": False,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm = LayerNorm(c.layer_norm_eps)
    attention = NormedApart(
        **heads(c),
        bias=(c.use_qkv_bias, False),
        causal=True,
        rotary=rotary(c),
        norm=norm if c.qk_layernorm else None,
    )
    order = Parallel(norm) if c.use_parallel_residual else Pre(norm)
    mlp = Gated(c.intermediate_size, c.hidden_act, bias=False)
    dropout = Dropout(c.hidden_dropout, c.attention_dropout)
    return decoder(c, norm, Block(order, attention, mlp), dropout)


# fmt: off
NAMES = llama.NAMES | {
    "blocks.{i}.attn.q_norm": "layers.{i}.self_attn.q_layernorm.norms.{e}",
    "blocks.{i}.attn.k_norm": "layers.{i}.self_attn.k_layernorm.norms.{e}",
}

HEADS = renamed(llama.HEADS, "Llama", "StableLm", "ForQuestionAnswering")
# fmt: on
INPUTS = "gpt_neox"
