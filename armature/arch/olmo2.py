"""OLMo 2 (OLMo Team, 2025): Llama with norms behind its organs, and on queries and keys."""

from __future__ import annotations

from armature.arch import decoder, heads, llama, renamed, rotary
from armature.config import Config
from armature.model.spec import Block, Gated, Late, NormedTogether, RMSNorm, Stack

LIKE = llama
DEFAULTS = {
    "vocab_size": 50304,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "pad_token_id": 1,
    "eos_token_id": 50279,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "rms_norm_eps": 1e-5,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, biased = RMSNorm(c.rms_norm_eps), (c.attention_bias, c.attention_bias)
    attention = NormedTogether(**heads(c), bias=biased, causal=True, rotary=rotary(c), norm=norm)
    mlp = Gated(c.intermediate_size, c.hidden_act, bias=False)
    return decoder(c, norm, Block(Late(norm), attention, mlp))


# fmt: off
NAMES = {name: row for name, row in llama.NAMES.items() if not name.endswith("_norm")} | {
    "blocks.{i}.attn.q_norm": "layers.{i}.self_attn.q_norm",
    "blocks.{i}.attn.k_norm": "layers.{i}.self_attn.k_norm",
    "blocks.{i}.attn_post":   "layers.{i}.post_attention_layernorm",
    "blocks.{i}.mlp_post":    "layers.{i}.post_feedforward_layernorm",
}

HEADS = renamed(llama.HEADS, "Llama", "Olmo2", "ForTokenClassification", "ForQuestionAnswering")
# fmt: on
INPUTS = "gpt2"
