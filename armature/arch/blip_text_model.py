"""BLIP's text tower (Li et al., 2022): BERT without segments, which may look at an image."""

from __future__ import annotations

from typing import Any

from armature.arch import bert, head_width
from armature.config import Config
from armature.model.spec import (
    Attention,
    Block,
    Dense,
    Dropout,
    LayerNorm,
    Learned,
    Own,
    Post,
    Stack,
    Tokens,
)
from armature.outputs.tasks import Base, CausalLM

LIKE = bert
# fmt: off
DEFAULTS = {
    "vocab_size": 30524, "max_position_embeddings": 512,
    "hidden_size": 768, "encoder_hidden_size": 768, "intermediate_size": 3072,
    "num_hidden_layers": 12, "num_attention_heads": 8, "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
    "is_decoder": True, "label_smoothing": 0.0,
    "bos_token_id": 30522, "eos_token_id": 2, "pad_token_id": 0, "sep_token_id": 102,
}
# fmt: on


def spec(c: Config) -> Stack:
    """Return the anatomy of what reads."""
    return tower(c, c.encoder_hidden_size, causal=False)


def _writer(c: Config) -> Stack:
    return tower(c, c.encoder_hidden_size, causal=True)


def tower(c: Config, memory: int, *, causal: bool) -> Stack:
    """Return the stack that reads, or writes; it may look at states of width `memory`."""
    heads, width, norm = c.num_attention_heads, head_width(c), LayerNorm(c.layer_norm_eps)

    def cross() -> Any:
        from armature.layers.attention import CrossAttention

        both = (True, True)
        return CrossAttention(c.hidden_size, heads, width, bias=both, memory_width=memory)

    return Stack(
        embed=Tokens(
            c.vocab_size, c.hidden_size, position=Learned(c.max_position_embeddings), norm=norm
        ),
        block=Block(
            Post(norm),
            Attention(heads, width, causal=causal),
            Dense(c.intermediate_size, c.hidden_act),
            cross=Own(cross) if c.is_decoder else None,
        ),
        depth=c.num_hidden_layers,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


# fmt: off
IGNORED = ("embeddings.position_ids",)
UNUSED = ("projection_dim", "label_smoothing", "sep_token_id", "tie_word_embeddings",
          "use_cache", "bos_token_id", "eos_token_id", "pad_token_id")

HEADS = {
    "BlipTextModel":       Base(dense="bert.pooler.dense", act="tanh"),
    "BlipTextLMHeadModel": CausalLM(body=_writer, **bert.WORDS),
}
# fmt: on
