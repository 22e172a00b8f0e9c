"""Command R (Cohere, 2024): attention and mlp side by side, neighbours turn in pairs, no biases."""

from __future__ import annotations

from armature.arch import decoder, heads, llama, rotary
from armature.config import Config
from armature.model.spec import (
    Block,
    Gated,
    Interleaved,
    NormedApart,
    Parallel,
    Stack,
    UnbiasedLayerNorm,
)
from armature.outputs.tasks import Base, CausalLM

LIKE = llama
DEFAULTS = {
    "vocab_size": 256000,
    "hidden_size": 8192,
    "intermediate_size": 22528,
    "logit_scale": 0.0625,
    "num_hidden_layers": 40,
    "num_attention_heads": 64,
    "num_key_value_heads": None,
    "hidden_act": "silu",
    "max_position_embeddings": 8192,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 0,
    "bos_token_id": 5,
    "eos_token_id": 255001,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "use_qk_norm": False,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, turn = UnbiasedLayerNorm(c.layer_norm_eps), rotary(c, default_theta=500000.0)
    attention = NormedApart(
        **heads(c),
        bias=(c.attention_bias, c.attention_bias),
        causal=True,
        rotary=Interleaved(turn.width, turn.settings),
        norm=norm if c.use_qk_norm else None,
    )
    mlp = Gated(c.intermediate_size, c.hidden_act, bias=False)
    return decoder(c, norm, Block(Parallel(norm), attention, mlp))


# fmt: off
NAMES = llama.NAMES | {
    "blocks.{i}.attn.q_norm": "layers.{i}.self_attn.q_norm",
    "blocks.{i}.attn.k_norm": "layers.{i}.self_attn.k_norm",
}

HEADS = {
    "CohereModel":       Base(),
    "CohereForCausalLM": CausalLM(out="lm_head", bias=False, scale=lambda c: c.logit_scale),
}
# fmt: on
INPUTS = "gpt2"
