"""ConvNeXt (Liu et al., 2022): a convolutional net in the manner of a transformer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from armature.arch import sides
from armature.config import Config
from armature.model.spec import Dropout, Entered, Own, Pyramid, Stage
from armature.outputs.tasks import Backbone, Base, ImageClassifier

DEFAULTS = {
    "num_channels": 3,
    "patch_size": 4,
    "num_stages": 4,
    "hidden_sizes": [96, 192, 384, 768],
    "depths": [3, 3, 9, 3],
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-12,
    "layer_scale_init_value": 1e-6,
    "drop_path_rate": 0.0,
    "image_size": 224,
    "out_features": None,
    "out_indices": None,
}
SYNONYMS = {"num_hidden_layers": "num_stages"}


def spec(c: Config) -> Pyramid:
    """Return the anatomy."""
    scale = c.layer_scale_init_value
    return pyramid(c, lambda width: _block(width, c.hidden_act, scale if scale > 0 else None))


def pyramid(c: Config, block: Callable[[int], Any]) -> Pyramid:
    """Return the stages around any kind of blocks of a width; all but the first halve."""
    stages = []
    for index in range(c.num_stages):
        width = c.hidden_sizes[index]
        blocks = tuple(Own(partial(block, width)) for _ in range(c.depths[index]))
        down = Own(partial(_down, c.hidden_sizes[index - 1], width))
        stages.append(Entered(blocks, down) if index else Stage(blocks))
    return Pyramid(
        embed=Own(lambda: _stem(c)),
        stages=tuple(stages),
        dropout=Dropout(path=c.drop_path_rate),
    )


def _stem(c: Config) -> Any:
    from armature.layers.conv import Stem
    from armature.layers.norm import MapLayerNorm
    from armature.layers.patches import Convolution

    width, size = c.hidden_sizes[0], sides(c.patch_size)
    first = Convolution(c.num_channels, width, size, stride=size)
    return Stem(width, first, MapLayerNorm(width, eps=1e-6))


def _down(inputs: int, width: int) -> Any:
    from torch import nn

    from armature.layers.norm import MapLayerNorm
    from armature.layers.patches import Convolution

    return nn.Sequential(MapLayerNorm(inputs, eps=1e-6), Convolution(inputs, width, 2, stride=2))


def _block(width: int, act: str, scale: float | None) -> Any:
    from armature.layers.depthwise import DepthwiseBlock

    return DepthwiseBlock(width, act, scale=scale)


PREFIX = "convnext"
# fmt: off
NAMES = {
    "embed.steps.0":    "embeddings.patch_embeddings",
    "embed.steps.1":    "embeddings.layernorm",
    "stages.{i}.down":  "encoder.stages.{i}.downsampling_layer",
    "stages.{i}.blocks.{j}.depthwise": "encoder.stages.{i}.layers.{j}.dwconv",
    "stages.{i}.blocks.{j}.norm":      "encoder.stages.{i}.layers.{j}.layernorm",
    "stages.{i}.blocks.{j}.up":        "encoder.stages.{i}.layers.{j}.pwconv1",
    "stages.{i}.blocks.{j}.down":      "encoder.stages.{i}.layers.{j}.pwconv2",
    "stages.{i}.blocks.{j}.scale":     "encoder.stages.{i}.layers.{j}.layer_scale_parameter",
}
UNUSED = ("image_size", "layer_norm_eps", "out_features", "out_indices",
          "stage_names")  # a backbone has no last norm

HEADS = {
    "ConvNextModel":                  Base(pick="mean", norm="layernorm"),
    "ConvNextForImageClassification": ImageClassifier(
        pick="mean", norm="convnext.layernorm", out="classifier"),
    "ConvNextBackbone":               Backbone(norms="hidden_states_norms", eps=1e-6, prefix=""),
}
# fmt: on
INPUTS = "images"
