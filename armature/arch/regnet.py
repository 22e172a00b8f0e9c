"""RegNet (Radosavovic et al., 2020): residual blocks whose wide convolutions run in groups."""

from __future__ import annotations

from typing import Any

from armature.arch import convolved, resnet
from armature.config import Config
from armature.model.spec import Pyramid
from armature.outputs.tasks import ImageClassifier, PooledMap

DEFAULTS = {
    "num_channels": 3,
    "embedding_size": 32,
    "hidden_sizes": [128, 192, 512, 1088],
    "depths": [2, 6, 12, 2],
    "groups_width": 64,
    "layer_type": "y",
    "hidden_act": "relu",
    "downsample_in_first_stage": True,
}


def spec(c: Config) -> Pyramid:
    """Return the anatomy."""
    return resnet.residual(c, ("x", "y"), _stem, _block)


def _stem(c: Config) -> Any:
    from armature.layers.conv import ConvNorm, Stem

    width = c.embedding_size
    return Stem(width, ConvNorm(c.num_channels, width, 3, stride=2, act=c.hidden_act))


def _block(c: Config, inputs: int, width: int, stride: int) -> Any:
    """Build a residual block; those of kind `y` weigh their channels."""
    from armature.layers.conv import ConvNorm, Excitation, Residual

    act, groups = c.hidden_act, max(1, width // c.groups_width)
    weigh = [Excitation(width, round(inputs / 4))] if c.layer_type == "y" else []
    steps = [
        ConvNorm(inputs, width, act=act),
        ConvNorm(width, width, 3, stride=stride, groups=groups, act=act),
        *weigh,
        ConvNorm(width, width),
    ]
    changed = inputs != width or stride != 1
    short = ConvNorm(inputs, width, stride=stride) if changed else None
    return Residual(width, steps, short, act)


PREFIX = "regnet"
# fmt: off
NAMES = convolved({
    "embed.steps.0":                   "embedder.embedder",
    "stages.{i}.blocks.{j}.steps.{k}": "encoder.stages.{i}.layers.{j}.layer.{k}",
    "stages.{i}.blocks.{j}.short":     "encoder.stages.{i}.layers.{j}.shortcut",
}) | {
    "stages.{i}.blocks.{j}.steps.{k}.down": "encoder.stages.{i}.layers.{j}.layer.{k}.attention.0",
    "stages.{i}.blocks.{j}.steps.{k}.up":   "encoder.stages.{i}.layers.{j}.layer.{k}.attention.2",
}

HEADS = {
    "RegNetModel":                  PooledMap(),
    "RegNetForImageClassification": ImageClassifier(pick="mean", out="classifier.1"),
}
# fmt: on
INPUTS = "images"
