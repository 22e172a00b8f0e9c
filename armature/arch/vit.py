"""ViT (Dosovitskiy et al., 2020): patches of an image as the tokens of a pre-norm encoder."""

from __future__ import annotations

from collections.abc import Callable

from armature.arch import head_width, sides
from armature.config import Config
from armature.model.spec import (
    Attention,
    Block,
    Dense,
    Dropout,
    LayerNorm,
    Own,
    Patches,
    PatchTokens,
    Pre,
    Stack,
)
from armature.outputs.tasks import Base, ImageClassifier, MaskedImage

DEFAULTS = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "layer_norm_eps": 1e-12,
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "qkv_bias": True,
    "encoder_stride": 16,
    "pooler_act": "tanh",
    "pooler_output_size": None,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return encoder(c, PatchTokens)


def encoder(c: Config, kind: Callable[..., Patches | Own]) -> Stack:
    """Return ViT's stack with any kind of patches."""
    (down, across), (height, width) = sides(c.patch_size), sides(c.image_size)
    grid = (height // down, width // across)
    return stack(c, kind(c.hidden_size, (c.num_channels, down, across), grid))


def stack(c: Config, embed: Patches | Own) -> Stack:
    """Return ViT's blocks on these embeddings."""
    norm = LayerNorm(c.layer_norm_eps)
    return Stack(
        embed=embed,
        block=Block(
            Pre(norm),
            Attention(c.num_attention_heads, head_width(c), bias=(c.qkv_bias, True)),
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=c.num_hidden_layers,
        norm=norm,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


PREFIX = "vit"
# fmt: off
NAMES = {
    "embed.patch":         "embeddings.patch_embeddings.projection",
    "embed.cls":           "embeddings.cls_token",
    "embed.mask":          "embeddings.mask_token",
    "embed.position":      "embeddings.position_embeddings",
    "blocks.{i}.attn_norm": "encoder.layer.{i}.layernorm_before",
    "blocks.{i}.attn.qkv": "encoder.layer.{i}.attention.attention.{query,key,value}",
    "blocks.{i}.attn.out": "encoder.layer.{i}.attention.output.dense",
    "blocks.{i}.mlp_norm": "encoder.layer.{i}.layernorm_after",
    "blocks.{i}.mlp.up":   "encoder.layer.{i}.intermediate.dense",
    "blocks.{i}.mlp.down": "encoder.layer.{i}.output.dense",
    "norm":                "layernorm",
}
UNUSED = ("encoder_stride", "pooler_act", "pooler_output_size")

HEADS = {
    "ViTModel":                  Base("pooler.dense", act="@pooler_act"),
    "ViTForImageClassification": ImageClassifier(pick="first", out="classifier"),
    "ViTForMaskedImageModeling": MaskedImage(out="decoder.0"),
}
# fmt: on
INPUTS = "images"
