"""Gemma (Gemma Team, 2024): Llama with scaled embeddings and norms stored less one."""

from __future__ import annotations

import math

from armature.arch import decoder, heads, llama, renamed, rotary
from armature.config import Config
from armature.model.spec import Attention, Block, Gated, Pre, ShiftedRMSNorm, Stack

LIKE = llama
DEFAULTS = {
    "vocab_size": 256000,
    "hidden_size": 3072,
    "intermediate_size": 24576,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "head_dim": 256,
    "hidden_act": "gelu_pytorch_tanh",
    "max_position_embeddings": 8192,
    "rms_norm_eps": 1e-6,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
    "attention_bias": False,
    "attention_dropout": 0.0,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, biased = ShiftedRMSNorm(c.rms_norm_eps), (c.attention_bias, c.attention_bias)
    attention = Attention(**heads(c), bias=biased, causal=True, rotary=rotary(c))
    # HF: the first checkpoints say "gelu" and were trained with its approximation.
    act = "gelu_pytorch_tanh" if c.hidden_act == "gelu" else c.hidden_act
    block = Block(Pre(norm), attention, Gated(c.intermediate_size, act, bias=False))
    return decoder(c, norm, block, scale=math.sqrt(c.hidden_size))


# HF: `hidden_activation` was read by versions of one spring alone; masks stay causal where a
# config asks for attention to both sides.
UNUSED = ("hidden_activation", "use_bidirectional_attention")

HEADS = renamed(llama.HEADS, "Llama", "Gemma", "ForQuestionAnswering")
INPUTS = "gemma"
