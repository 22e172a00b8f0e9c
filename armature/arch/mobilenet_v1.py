"""MobileNetV1 (Howard et al., 2017): convolutions channel by channel, then place by place."""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.arch import convolved
from armature.config import Config
from armature.model.spec import Own, Stage, Stemless
from armature.outputs.tasks import Base, ImageClassifier

DEFAULTS = {
    "num_channels": 3,
    "image_size": 224,
    "depth_multiplier": 1.0,
    "min_depth": 8,
    "hidden_act": "relu6",
    "tf_padding": True,
    "classifier_dropout_prob": 0.999,
    "layer_norm_eps": 0.001,
}
_STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)


def spec(c: Config) -> Stemless:
    """Return the anatomy: every convolution is a stage."""
    meant, stages = 32, []
    first = width = max(int(meant * c.depth_multiplier), c.min_depth)
    for index, stride in enumerate(_STRIDES):
        inputs = width
        if stride == 2 or index == 0:
            meant *= 2
            width = max(int(meant * c.depth_multiplier), c.min_depth)
        apart = partial(_block, c, inputs, inputs, 3, stride=stride, groups=inputs)
        stages += [Stage((Own(apart),)), Stage((Own(partial(_block, c, inputs, width)),))]
    return Stemless(embed=Own(lambda: _stem(c, first)), stages=tuple(stages))


def _conv(c: Config, *sizes: int, **how: int) -> Any:
    from armature.layers.conv import ConvNorm, SameConvNorm

    kind = SameConvNorm if c.tf_padding else ConvNorm
    made = kind(*sizes, act=c.hidden_act, eps=c.layer_norm_eps, **how)
    made.norm.momentum = 0.9997
    return made


def _stem(c: Config, width: int) -> Any:
    from armature.layers.conv import Stem

    return Stem(width, _conv(c, c.num_channels, width, 3, stride=2))


def _block(c: Config, *sizes: int, **how: int) -> Any:
    from armature.layers.conv import Straight

    return Straight(sizes[1], [_conv(c, *sizes, **how)])


PREFIX = "mobilenet_v1"
NAMES = convolved({"embed.steps.0": "conv_stem", "stages.{i}.blocks.0.steps.0": "layer.{i}"})
UNUSED = ("classifier_dropout_prob", "image_size")

HEADS = {
    "MobileNetV1Model": Base(pick="mean"),
    "MobileNetV1ForImageClassification": ImageClassifier(
        pick="mean", out="classifier", dropout="classifier_dropout_prob"
    ),
}
INPUTS = "images"
