"""DINOv2 (Oquab et al., 2023): ViT whose branches are scaled, for images of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from armature.arch import head_width, sides
from armature.checkpoint.views import Joined, Pair, Plain, Target, View
from armature.config import Config
from armature.model.spec import (
    Attention,
    Block,
    Dense,
    Dropout,
    Gated,
    LayerNorm,
    Own,
    Patches,
    Scaled,
    Stack,
    StretchedPatchTokens,
)
from armature.outputs.tasks import Backbone, ImageClassifier, Pooled

DEFAULTS = {
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "mlp_ratio": 4,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "layer_norm_eps": 1e-6,
    "image_size": 224,
    "patch_size": 14,
    "num_channels": 3,
    "qkv_bias": True,
    "drop_path_rate": 0.0,
    "use_swiglu_ffn": False,
    "out_features": None,
    "out_indices": None,
    "apply_layernorm": True,
    "reshape_hidden_states": True,
    "use_mask_token": True,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    (down, across), (height, width) = sides(c.patch_size), sides(c.image_size)
    grid = (height // down, width // across)
    return encoder(c, StretchedPatchTokens(c.hidden_size, (c.num_channels, down, across), grid))


def encoder(c: Config, embed: Patches | Own) -> Stack:
    """Return the stack with any patches."""
    norm, inner = LayerNorm(c.layer_norm_eps), int(c.hidden_size * c.mlp_ratio)
    mlp = Dense(inner, c.hidden_act)
    if c.use_swiglu_ffn:  # two thirds of the width, in eights
        mlp = Gated((int(inner * 2 / 3) + 7) // 8 * 8, "silu")
    attention = Attention(c.num_attention_heads, head_width(c), bias=(c.qkv_bias, True))
    return Stack(
        embed=embed,
        block=Block(Scaled(norm), attention, mlp),
        depth=c.num_hidden_layers,
        norm=norm,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob, c.drop_path_rate),
    )


@dataclass(frozen=True)
class _Row(Plain):
    """Ours has one axis more."""

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield one pair."""
        yield Pair(fill(self.name) + target.end, target.shape[1:], ours=lambda p: p.select(0, 0))


PREFIX = "dinov2"
# fmt: off
NAMES: dict[str, str | View] = {
    "embed.patch":            "embeddings.patch_embeddings.projection",
    "embed.cls":              "embeddings.cls_token",
    "embed.mask":             _Row("embeddings.mask_token"),
    "embed.position":         "embeddings.position_embeddings",
    "blocks.{i}.attn_norm":   "encoder.layer.{i}.norm1",
    "blocks.{i}.attn.qkv":    "encoder.layer.{i}.attention.attention.{query,key,value}",
    "blocks.{i}.attn.out":    "encoder.layer.{i}.attention.output.dense",
    "blocks.{i}.attn_scale":  "encoder.layer.{i}.layer_scale1.lambda1",
    "blocks.{i}.mlp_norm":    "encoder.layer.{i}.norm2",
    "blocks.{i}.mlp.up":      "encoder.layer.{i}.mlp.fc1",
    "blocks.{i}.mlp.down":    "encoder.layer.{i}.mlp.fc2",
    "blocks.{i}.mlp_scale":   "encoder.layer.{i}.layer_scale2.lambda1",
    "norm":                   "layernorm",
}
_GATED = {
    "blocks.{i}.mlp.gate_up": Joined("encoder.layer.{i}.mlp.weights_in"),
    "blocks.{i}.mlp.down":    "encoder.layer.{i}.mlp.weights_out",
}


def names(c: Config) -> dict[str, str | View]:
    """Return NAMES; a gated mlp has names of its own."""
    return NAMES | _GATED if c.use_swiglu_ffn else NAMES


UNUSED = ("apply_layernorm", "layerscale_value", "out_features", "out_indices",
          "reshape_hidden_states", "stage_names")

HEADS = {
    "Dinov2Model":                  Pooled(),
    "Dinov2ForImageClassification": ImageClassifier(pick="both", out="classifier"),
    "Dinov2Backbone":               Backbone(prefix=""),
}
# fmt: on
INPUTS = "images"
