"""Mistral (Jiang et al., 2023): Llama whose tokens see only a window behind them."""

from __future__ import annotations

from armature.arch import decoder, heads, llama, renamed, rotary
from armature.config import Config
from armature.model.spec import Attention, Block, Gated, Pre, RMSNorm, Stack
from armature.outputs.tasks import Spans

LIKE = llama
DEFAULTS = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": None,
    "hidden_act": "silu",
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-6,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
    "sliding_window": 4096,
    "attention_dropout": 0.0,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, window = RMSNorm(c.rms_norm_eps), c.stated("sliding_window")
    attention = Attention(
        **heads(c), bias=(False, False), causal=True, window=window, rotary=rotary(c)
    )
    mlp = Gated(c.intermediate_size, c.hidden_act, bias=False)
    return decoder(c, norm, Block(Pre(norm), attention, mlp))


HEADS = renamed(llama.HEADS, "Llama", "Mistral") | {
    "MistralForQuestionAnswering": Spans(out="qa_outputs"),
}
