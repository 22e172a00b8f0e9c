"""Qwen 2 (Qwen Team, 2024): Llama with biases on queries, keys and values, and late windows."""

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
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
    "layer_types": None,
    "attention_dropout": 0.0,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, turn = RMSNorm(c.rms_norm_eps), rotary(c)
    window, first = c.stated("sliding_window"), c.max_window_layers
    window = window if c.use_sliding_window else None

    def block(index: int) -> Block:
        seen = window if sees_window(c, index, otherwise=index >= first) else None
        attention = Attention(**heads(c), bias=(True, False), causal=True, window=seen, rotary=turn)
        return Block(Pre(norm), attention, Gated(c.intermediate_size, c.hidden_act, bias=False))

    return decoder(c, norm, block)


HEADS = renamed(llama.HEADS, "Llama", "Qwen2")
INPUTS = "qwen2"
