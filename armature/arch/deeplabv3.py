"""DeepLab v3 (Chen et al., 2017) in files of segmentation_models_pytorch."""

from __future__ import annotations

from typing import Any

from armature.arch import _convolutional as shared
from armature.config import Config
from armature.model.spec import Own

DEFAULTS: dict[str, Any] = shared.DEFAULTS | {
    "_model_class": "DeepLabV3",
    "encoder_output_stride": 8,
    "decoder_channels": 256,
    "decoder_atrous_rates": [12, 24, 36],
    "decoder_aspp_separable": False,
    "decoder_aspp_dropout": 0.5,
    "upsampling": None,
}
SYNONYMS = shared.SYNONYMS


def spec(c: Config) -> Own:
    """Return the anatomy."""
    return shared.body(c, "GatheringDecoder")


def _stretch(c: Config) -> int:
    """Return how much smaller the last map is than the image."""
    if c.upsampling is not None:
        return int(c.upsampling)
    return 2**c.encoder_depth if c.encoder_depth <= 3 else int(c.encoder_output_stride)


PREFIX = ""
NAMES = shared.NAMES
names = shared.names
ALIASES = {"decoder.0": "decoder.aspp", "decoder.1": "decoder.conv", "decoder.2": "decoder.bn"}
UNUSED = shared.UNUSED

HEADS = {"DeepLabV3": shared.head(1, _stretch)}
INPUTS = "images"
