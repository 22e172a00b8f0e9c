"""ResNet (He et al., 2015): residual blocks of convolutions, batch-normed, in four stages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import Any

from armature.arch import convolved
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Own, Pyramid, Stage
from armature.outputs.tasks import Backbone, ImageClassifier, PooledMap

DEFAULTS = {
    "num_channels": 3,
    "embedding_size": 64,
    "hidden_sizes": [256, 512, 1024, 2048],
    "depths": [3, 4, 6, 3],
    "layer_type": "bottleneck",
    "hidden_act": "relu",
    "downsample_in_first_stage": False,
    "downsample_in_bottleneck": False,
    "out_features": None,
    "out_indices": None,
}


def spec(c: Config) -> Pyramid:
    """Return the anatomy."""
    return residual(c, ("basic", "bottleneck"), stem, block)


def residual(
    c: Config, kinds: tuple[str, str], stem: Callable[..., Any], block: Callable[..., Any]
) -> Pyramid:
    """Return stages of residual blocks, each made of the config, two widths and a stride.

    Raises:
        ConfigError: the layers are of a kind that does not exist.
    """
    if c.layer_type not in kinds:
        raise ConfigError(
            f"config.json: layer_type is {c.layer_type!r}, but should be one of {kinds}\n"
            "  → correct the file, or download it again"
        )
    widths = pairwise([c.embedding_size, *c.hidden_sizes])
    stages = []
    for index, ((inputs, width), depth) in enumerate(zip(widths, c.depths, strict=True)):
        stride = 2 if index or c.downsample_in_first_stage else 1
        first = partial(block, c, inputs, width, stride)
        rest = partial(block, c, width, width, 1)
        stages.append(Stage((Own(first), *(Own(rest) for _ in range(depth - 1)))))
    return Pyramid(embed=Own(lambda: stem(c)), stages=tuple(stages))


def stem(c: Config) -> Any:
    """Build what shrinks images to a quarter."""
    from torch import nn

    from armature.layers.conv import ConvNorm, Stem

    width = c.embedding_size
    first = ConvNorm(c.num_channels, width, 7, stride=2, act=c.hidden_act)
    return Stem(width, first, nn.MaxPool2d(3, stride=2, padding=1))


def block(
    c: Config, inputs: int, width: int, stride: int, *, groups: int = 1, share: float = 0.25
) -> Any:
    """Build a residual block, whose middle is a share as wide and runs in groups.

    HF: inside of it the activation is always `relu`.
    """
    from armature.layers.conv import ConvNorm, Residual

    steps: list[Any]
    early = c.downsample_in_bottleneck
    if c.layer_type == "basic":
        steps = [
            ConvNorm(inputs, width, 3, stride=stride, act="relu"),
            ConvNorm(width, width, 3),
        ]
    else:
        inner = int(width * share)
        steps = [
            ConvNorm(inputs, inner, stride=stride if early else 1, act="relu"),
            ConvNorm(inner, inner, 3, stride=1 if early else stride, groups=groups, act="relu"),
            ConvNorm(inner, width),
        ]
    changed = inputs != width or stride != 1
    short = ConvNorm(inputs, width, stride=stride) if changed else None
    return Residual(width, steps, short, c.hidden_act)


def rows(theirs: str = "") -> dict[str, str]:
    """Return the rows of names of a ResNet whose names begin with `theirs` on disk."""
    block = f"{theirs}encoder.stages.{{i}}.layers.{{j}}"
    return convolved(
        {
            "embed.steps.0": f"{theirs}embedder.embedder",
            "stages.{i}.blocks.{j}.steps.{k}": f"{block}.layer.{{k}}",
            "stages.{i}.blocks.{j}.short": f"{block}.shortcut",
        }
    )


def timm_rows(theirs: str = "") -> dict[str, str]:
    """Return the same rows in timm's spelling, which counts stages and convolutions from one."""
    return {ours: theirs + timm for ours, _, timm in _spellings()}


def timm_aliases(theirs: str = "") -> dict[str, str]:
    """Return timm's spelling → today's, for names that begin with `theirs`."""
    return {theirs + timm: theirs + today for _, today, timm in _spellings()}


def _spellings() -> Iterator[tuple[str, str, str]]:
    """Yield our names, today's and timm's."""
    yield "embed.steps.0.conv", "embedder.embedder.convolution", "conv1"
    yield "embed.steps.0.norm", "embedder.embedder.normalization", "bn1"
    for i in range(4):
        ours, old = f"stages.{i}.blocks.{{j}}", f"layer{i + 1}.{{j}}"
        today = f"encoder.stages.{i}.layers.{{j}}"
        for k in range(3):
            step = f"{today}.layer.{k}"
            yield f"{ours}.steps.{k}.conv", f"{step}.convolution", f"{old}.conv{k + 1}"
            yield f"{ours}.steps.{k}.norm", f"{step}.normalization", f"{old}.bn{k + 1}"
        yield f"{ours}.short.conv", f"{today}.shortcut.convolution", f"{old}.downsample.0"
        yield f"{ours}.short.norm", f"{today}.shortcut.normalization", f"{old}.downsample.1"


PREFIX = "resnet"
NAMES = rows()
ALIASES = {**timm_aliases(), "fc": "classifier.1"}
UNUSED = ("out_features", "out_indices", "stage_names")

HEADS = {
    "ResNetModel": PooledMap(),
    "ResNetForImageClassification": ImageClassifier(pick="mean", out="classifier.1"),
    "ResNetBackbone": Backbone(prefix=""),
}
INPUTS = "images"
