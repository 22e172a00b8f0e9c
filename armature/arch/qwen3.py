"""Qwen 3 (Qwen Team, 2025): Llama with norms on queries and keys, and late windows."""

from __future__ import annotations

from armature.arch import decoder, heads, llama, renamed, rotary, sees_window
from armature.config import Config
from armature.model.spec import Attention, Block, Gated, Pre, RMSNorm, Stack

LIKE = llama
DEFAULTS = {
    "vocab_size": 151936,
    "hidden_size": 4096,
    "intermediate_size": 22016,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "head_dim": 128,
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
    "layer_types": None,
    "attention_dropout": 0.0,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, turn, biased = RMSNorm(c.rms_norm_eps), rotary(c), (c.attention_bias, c.attention_bias)
    window, first = c.stated("sliding_window"), c.max_window_layers
    window = window if c.use_sliding_window else None

    def block(index: int) -> Block:
        seen = window if sees_window(c, index, otherwise=index >= first) else None
        attention = Attention(
            **heads(c), bias=biased, causal=True, window=seen, rotary=turn, norm=norm
        )
        return Block(Pre(norm), attention, Gated(c.intermediate_size, c.hidden_act, bias=False))

    return decoder(c, norm, block)


# fmt: off
NAMES = llama.NAMES | {
    "blocks.{i}.attn.q_norm": "layers.{i}.self_attn.q_norm",
    "blocks.{i}.attn.k_norm": "layers.{i}.self_attn.k_norm",
}

HEADS = renamed(llama.HEADS, "Llama", "Qwen3")
# fmt: on
INPUTS = "qwen2"
