"""EfficientNet (Tan and Le, 2019): widening blocks that weigh channels, scaled in all sizes."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from armature.config import Config
from armature.model.spec import Dropout, Own, Pyramid, Stage
from armature.outputs.tasks import Base, ImageClassifier

DEFAULTS = {
    "num_channels": 3,
    "image_size": 600,
    "width_coefficient": 2.0,
    "depth_coefficient": 3.1,
    "depth_divisor": 8,
    "kernel_sizes": [3, 3, 5, 3, 5, 5, 3],
    "in_channels": [32, 16, 24, 40, 80, 112, 192],
    "out_channels": [16, 24, 40, 80, 112, 192, 320],
    "depthwise_padding": [],
    "strides": [1, 2, 2, 2, 1, 2, 1],
    "num_block_repeats": [1, 2, 2, 3, 3, 4, 1],
    "expand_ratios": [1, 6, 6, 6, 6, 6, 6],
    "squeeze_expansion_ratio": 0.25,
    "hidden_act": "swish",
    "hidden_dim": 2560,
    "pooling_type": "mean",
    "batch_norm_eps": 0.001,
    "batch_norm_momentum": 0.99,
    "dropout_rate": 0.5,
    "drop_connect_rate": 0.2,
}


def spec(c: Config) -> Pyramid:
    """Return the anatomy: every block is a stage."""
    blocks: list[Own] = []
    for index, repeats in enumerate(c.num_block_repeats):
        inputs, width = _times(c, c.in_channels[index]), _times(c, c.out_channels[index])
        for again in range(math.ceil(c.depth_coefficient * repeats)):
            how = {"kernel": c.kernel_sizes[index], "ratio": c.expand_ratios[index]}
            how |= {"stride": 1 if again else c.strides[index]}
            how |= {"even": len(blocks) in c.depthwise_padding, "again": again > 0}
            blocks.append(Own(partial(_block, c, width if again else inputs, width, **how)))
    last = _times(c, c.out_channels[len(c.num_block_repeats) - 1])
    return Pyramid(
        embed=Own(lambda: _stem(c)),
        stages=tuple(Stage((block,)) for block in blocks),
        norm=Own(lambda: _conv(c, last, c.hidden_dim, 1, (0, 0))),
        dropout=Dropout(path=c.drop_connect_rate),
    )


def _times(c: Config, channels: int) -> int:
    """Return a multiple of `depth_divisor`, never less than nine tenths of what is meant."""
    unit, meant = c.depth_divisor, channels * c.width_coefficient
    near = max(unit, int(meant + unit / 2) // unit * unit)
    return int(near + unit if near < 0.9 * meant else near)


def _conv(c: Config, inputs: int, outputs: int, kernel: int, pads: tuple, **how: Any) -> Any:
    from armature.layers.conv import PaddedConvNorm

    how = {"act": c.hidden_act, "eps": c.batch_norm_eps} | how
    made = PaddedConvNorm(inputs, outputs, kernel, pads, **how)
    made.norm.momentum = c.batch_norm_momentum
    return made


def _stem(c: Config) -> Any:
    from armature.layers.conv import Stem

    width = _times(c, 32)
    return Stem(width, _conv(c, c.num_channels, width, 3, (0, 1), stride=2))


def _block(c: Config, inputs: int, width: int, **how: Any) -> Any:
    """Build a block; the first of those that repeat adds nothing to what goes in."""
    from torch import nn

    from armature.layers.conv import Excitation, Residual, Straight

    kernel, stride = how["kernel"], how["stride"]
    half = kernel // 2
    pads = (half, half) if how["even"] else (half - 1, half)
    if stride != 2:
        pads = ((kernel - 1) // 2, half)
    wide = inputs * how["ratio"]
    steps = [
        nn.Identity() if how["ratio"] == 1 else _conv(c, inputs, wide, 1, (0, 0)),
        _conv(c, wide, wide, kernel, pads, stride=stride, groups=wide),
        Excitation(wide, max(1, int(inputs * c.squeeze_expansion_ratio)), c.hidden_act),
        _conv(c, wide, width, 1, (0, 0), act="linear"),
    ]
    return (Residual if how["again"] else Straight)(width, steps)


PREFIX = "efficientnet"
# fmt: off
NAMES = {
    "embed.steps.0.conv": "embeddings.convolution",
    "embed.steps.0.norm": "embeddings.batchnorm",
    "stages.{i}.blocks.0.steps.0.conv": "encoder.blocks.{i}.expansion.expand_conv",
    "stages.{i}.blocks.0.steps.0.norm": "encoder.blocks.{i}.expansion.expand_bn",
    "stages.{i}.blocks.0.steps.1.conv": "encoder.blocks.{i}.depthwise_conv.depthwise_conv",
    "stages.{i}.blocks.0.steps.1.norm": "encoder.blocks.{i}.depthwise_conv.depthwise_norm",
    "stages.{i}.blocks.0.steps.2.down": "encoder.blocks.{i}.squeeze_excite.reduce",
    "stages.{i}.blocks.0.steps.2.up":   "encoder.blocks.{i}.squeeze_excite.expand",
    "stages.{i}.blocks.0.steps.3.conv": "encoder.blocks.{i}.projection.project_conv",
    "stages.{i}.blocks.0.steps.3.norm": "encoder.blocks.{i}.projection.project_bn",
    "norm.conv":          "encoder.top_conv",
    "norm.norm":          "encoder.top_bn",
}
UNUSED = ("dropout_rate", "image_size", "num_hidden_layers")

HEADS = {
    "EfficientNetModel":                  Base(pick="@pooling_type"),
    "EfficientNetForImageClassification": ImageClassifier(
        pick="@pooling_type", out="classifier", dropout="dropout_rate"),
}
# fmt: on
INPUTS = "images"
