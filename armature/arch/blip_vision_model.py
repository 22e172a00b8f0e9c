"""BLIP's vision tower (Li et al., 2022): ViT; the first token is normed twice."""

from __future__ import annotations

from armature.arch import clip_vision_model, head_width, sides
from armature.checkpoint.views import Joined, View
from armature.config import Config
from armature.model.spec import (
    Attention,
    Block,
    Dense,
    Dropout,
    LayerNorm,
    PatchTokens,
    Pre,
    Stack,
)
from armature.outputs.tasks import Base

LIKE = clip_vision_model
DEFAULTS = clip_vision_model.DEFAULTS | {
    "image_size": 384,
    "patch_size": 16,
    "hidden_act": "gelu",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    (down, across), (height, width) = sides(c.patch_size), sides(c.image_size)
    norm = LayerNorm(c.layer_norm_eps)
    return Stack(
        embed=PatchTokens(c.hidden_size, (3, down, across), (height // down, width // across)),
        block=Block(
            Pre(norm),
            Attention(c.num_attention_heads, head_width(c)),
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=c.num_hidden_layers,
        norm=norm,
        dropout=Dropout(0.0, c.attention_dropout),
    )


def _pooler(_spec: Base, _c: Config, body: object) -> object:
    from armature.outputs.towers import NormedAgain

    return NormedAgain(body)


# fmt: off
NAMES: dict[str, str | View] = {
    ours: theirs for ours, theirs in clip_vision_model.NAMES.items() if ours != "embed.norm"
} | {
    "embed.cls":           "embeddings.class_embedding",
    "embed.position":      "embeddings.position_embedding",
    "blocks.{i}.attn.qkv": Joined("encoder.layers.{i}.self_attn.qkv"),
    "blocks.{i}.attn.out": "encoder.layers.{i}.self_attn.projection",
    "norm":                "post_layernorm",
}
UNUSED = ("projection_dim", "num_channels", "dropout")

HEADS = {"BlipVisionModel": Base(make=_pooler)}
# fmt: on
