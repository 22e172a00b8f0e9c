"""PSPNet (Zhao et al., 2016) in files of segmentation_models_pytorch."""

from __future__ import annotations

from typing import Any

from armature.arch import _convolutional as shared
from armature.config import Config
from armature.model.spec import Own

DEFAULTS: dict[str, Any] = shared.DEFAULTS | {
    "_model_class": "PSPNet",
    "encoder_depth": 3,
    "psp_out_channels": 512,
    "psp_dropout": 0.2,
    "upsampling": 8,
}
SYNONYMS = shared.SYNONYMS


def spec(c: Config) -> Own:
    """Return the anatomy."""
    return shared.body(c, "PoolingDecoder")


PREFIX = ""
NAMES = shared.NAMES
names = shared.names
UNUSED = (*shared.UNUSED, "psp_use_batchnorm")

HEADS = {"PSPNet": shared.head(3, lambda c: c.upsampling)}
INPUTS = "images"
