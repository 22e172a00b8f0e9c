"""DeepLab v3+ (Chen et al., 2018) in files of segmentation_models_pytorch."""

from __future__ import annotations

from typing import Any

from armature.arch import _convolutional as shared
from armature.config import Config
from armature.model.spec import Own

DEFAULTS: dict[str, Any] = shared.DEFAULTS | {
    "_model_class": "DeepLabV3Plus",
    "encoder_output_stride": 16,
    "decoder_channels": 256,
    "decoder_atrous_rates": [12, 24, 36],
    "decoder_aspp_separable": True,
    "decoder_aspp_dropout": 0.5,
    "upsampling": 4,
}
SYNONYMS = shared.SYNONYMS


def spec(c: Config) -> Own:
    """Return the anatomy."""
    return shared.body(c, "SharpenedDecoder", least=3)


PREFIX = ""
NAMES = shared.NAMES
names = shared.names
UNUSED = shared.UNUSED

HEADS = {"DeepLabV3Plus": shared.head(1, lambda c: c.upsampling)}
INPUTS = "images"
