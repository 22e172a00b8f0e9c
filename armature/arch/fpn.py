"""FPN (Kirillov et al., 2019) on a ResNet, in files of segmentation_models_pytorch."""

from __future__ import annotations

from typing import Any

from armature.arch import _convolutional as shared
from armature.config import Config
from armature.model.spec import Own

DEFAULTS: dict[str, Any] = shared.DEFAULTS | {
    "_model_class": "FPN",
    "decoder_pyramid_channels": 256,
    "decoder_segmentation_channels": 128,
    "decoder_merge_policy": "add",
    "decoder_dropout": 0.2,
    "decoder_interpolation": "nearest",
    "upsampling": 4,
}
SYNONYMS = shared.SYNONYMS


def spec(c: Config) -> Own:
    """Return the anatomy."""
    return shared.body(c, "FeaturePyramidDecoder")


PREFIX = ""
NAMES = shared.NAMES
UNUSED = shared.UNUSED

HEADS = {"FPN": shared.head(1, lambda c: c.upsampling)}
INPUTS = "images"
