"""Swin (Liu et al., 2021): attention in shifted windows, on maps that halve from stage to stage."""

from __future__ import annotations

from typing import Any

from armature.arch import sides
from armature.config import Config
from armature.model.spec import (
    Block,
    Dense,
    Dropout,
    LayerNorm,
    Own,
    Patches,
    Pre,
    Pyramid,
    ShiftedWindows,
    Stage,
    Windows,
)
from armature.outputs.tasks import Backbone, Base, ImageClassifier, MaskedImage

DEFAULTS = {
    "image_size": 224,
    "patch_size": 4,
    "num_channels": 3,
    "embed_dim": 96,
    "depths": [2, 2, 6, 2],
    "num_heads": [3, 6, 12, 24],
    "window_size": 7,
    "mlp_ratio": 4.0,
    "qkv_bias": True,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "drop_path_rate": 0.1,
    "hidden_act": "gelu",
    "use_absolute_embeddings": False,
    "layer_norm_eps": 1e-5,
    "encoder_stride": 32,
    "out_features": None,
    "out_indices": None,
}
SYNONYMS = {"num_attention_heads": "num_heads", "num_hidden_layers": "num_layers"}


def spec(c: Config) -> Pyramid:
    """Return the anatomy."""
    down, across = sides(c.patch_size)
    height, width = sides(c.image_size)
    return Pyramid(
        embed=Patches(
            c.embed_dim,
            (c.num_channels, down, across),
            (height // down, width // across) if c.use_absolute_embeddings else None,
            LayerNorm(),
        ),
        stages=tuple(_stage(c, index) for index in range(len(c.depths))),
        norm=LayerNorm(c.layer_norm_eps),
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob, c.drop_path_rate),
    )


def _stage(c: Config, index: int) -> Stage:
    """Return a stage: every second block shifts its windows, and all but the last stage halve."""
    width, heads = c.embed_dim * 2**index, c.num_heads[index]

    def block(kind: type[Windows]) -> Block:
        attention = kind(heads, width // heads, bias=(c.qkv_bias, True), window=c.window_size)
        mlp = Dense(int(c.mlp_ratio * width), c.hidden_act)
        return Block(Pre(LayerNorm(c.layer_norm_eps)), attention, mlp)

    kinds = [ShiftedWindows if place % 2 else Windows for place in range(c.depths[index])]
    last = index == len(c.depths) - 1
    return Stage(tuple(map(block, kinds)), None if last else Own(lambda: _merge(width)))


def _merge(width: int) -> Any:
    from armature.layers.patches import Merge

    return Merge(width)


PREFIX = "swin"
# fmt: off
NAMES = {
    "embed.patch":    "embeddings.patch_embeddings.projection",
    "embed.norm":     "embeddings.norm",
    "embed.mask":     "embeddings.mask_token",
    "embed.position": "embeddings.position_embeddings",
    "stages.{i}.blocks.{j}.attn_norm": "encoder.layers.{i}.blocks.{j}.layernorm_before",
    "stages.{i}.blocks.{j}.attn.qkv":
        "encoder.layers.{i}.blocks.{j}.attention.self.{query,key,value}",
    "stages.{i}.blocks.{j}.attn.bias.table":
        "encoder.layers.{i}.blocks.{j}.attention.self.relative_position_bias_table",
    "stages.{i}.blocks.{j}.attn.out":  "encoder.layers.{i}.blocks.{j}.attention.output.dense",
    "stages.{i}.blocks.{j}.mlp_norm":  "encoder.layers.{i}.blocks.{j}.layernorm_after",
    "stages.{i}.blocks.{j}.mlp.up":    "encoder.layers.{i}.blocks.{j}.intermediate.dense",
    "stages.{i}.blocks.{j}.mlp.down":  "encoder.layers.{i}.blocks.{j}.output.dense",
    "stages.{i}.down.norm":   "encoder.layers.{i}.downsample.norm",
    "stages.{i}.down.reduce": "encoder.layers.{i}.downsample.reduction",
    "norm":           "layernorm",
}
IGNORED = ("attention.self.relative_position_index",)
UNUSED = ("encoder_stride", "hidden_size", "num_layers", "out_features", "out_indices",
          "path_norm", "stage_names")

HEADS = {
    "SwinModel":                  Base(pick="mean"),
    "SwinForImageClassification": ImageClassifier(pick="mean", out="classifier"),
    "SwinForMaskedImageModeling": MaskedImage(out="decoder.0"),
    "SwinBackbone":               Backbone(
        norms="hidden_states_norms", prefix="", names={"norm": "swin.layernorm"}),
}
# fmt: on
INPUTS = "images"
