"""ConvNeXt V2 (Woo et al., 2023): ConvNeXt whose channels are weighed by their strength."""

from __future__ import annotations

from typing import Any

from armature.arch import convnext, renamed
from armature.config import Config
from armature.model.spec import Pyramid
from armature.outputs.tasks import ImageClassifier

LIKE = convnext
DEFAULTS = {key: convnext.DEFAULTS[key] for key in convnext.DEFAULTS if "scale" not in key}


def spec(c: Config) -> Pyramid:
    """Return the anatomy."""
    return convnext.pyramid(c, lambda width: _block(width, c.hidden_act))


def _block(width: int, act: str) -> Any:
    from armature.layers.depthwise import DepthwiseBlock, ResponseNorm

    return DepthwiseBlock(width, act, spread=ResponseNorm(4 * width))


PREFIX = "convnextv2"
NAMES = convnext.NAMES | {
    "stages.{i}.blocks.{j}.spread": "encoder.stages.{i}.layers.{j}.grn",
}

HEADS = renamed(convnext.HEADS, "ConvNext", "ConvNextV2") | {
    "ConvNextV2ForImageClassification": ImageClassifier(
        pick="mean", norm="convnextv2.layernorm", out="classifier"
    ),
}
