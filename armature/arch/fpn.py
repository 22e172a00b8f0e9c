"""FPN (Kirillov et al., 2019) in files of segmentation_models_pytorch."""

from __future__ import annotations

from typing import Any

from armature.arch import _convolutional as shared
from armature.arch import refuse
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
    if c.decoder_merge_policy != "cat":
        refuse(c, decoder_merge_policy="add")
    return shared.body(c, "FeaturePyramidDecoder", least=3)


PREFIX = ""
NAMES = shared.NAMES
names = shared.names
UNUSED = shared.UNUSED

HEADS = {"FPN": shared.head(1, lambda c: c.upsampling)}
INPUTS = "images"
