"""Chinese CLIP's text tower (Yang et al., 2022): BERT; the first column stands for a text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from armature.arch import bert
from armature.config import Config
from armature.model.spec import Learned, Own, Stack
from armature.outputs.tasks import Base

LIKE = bert
DEFAULTS = bert.DEFAULTS | {"bos_token_id": 0}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    stack = bert.encoder(c, Learned(c.max_position_embeddings))
    return replace(stack, embed=Own(lambda: _embed(c)))


def _embed(c: Config) -> Any:
    from armature.layers import embed, norm, position

    return embed.PaddedTokens(
        c.vocab_size,
        c.hidden_size,
        position=position.Learned(c.max_position_embeddings, c.hidden_size, 0, None),
        types=c.type_vocab_size,
        norm=norm.LayerNorm(c.hidden_size, eps=c.layer_norm_eps),
    )


PREFIX = "text_model"
UNUSED = (*bert.UNUSED, "projection_dim", "bos_token_id", "eos_token_id", "pad_token_id")
HEADS = {"ChineseCLIPTextModel": Base(dense="text_model.pooler.dense", act="tanh")}
