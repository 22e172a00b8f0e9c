"""U-Net (Ronneberger et al., 2015) in files of segmentation_models_pytorch."""

from __future__ import annotations

from typing import Any

from armature.arch import _convolutional as shared
from armature.config import Config
from armature.model.spec import Own

DEFAULTS: dict[str, Any] = shared.DEFAULTS | {
    "_model_class": "Unet",
    "decoder_channels": [256, 128, 64, 32, 16],
    "decoder_attention_type": None,
    "decoder_interpolation": "nearest",
}
SYNONYMS = shared.SYNONYMS


def spec(c: Config) -> Own:
    """Return the anatomy."""
    centered = str(c.encoder_name).startswith("vgg")
    return shared.body(c, "UDecoder", any_size=True, centered=centered)


PREFIX = ""
NAMES = shared.NAMES
names = shared.names
UNUSED = (*shared.UNUSED, "decoder_use_batchnorm")

HEADS = {"Unet": shared.head(3)}
INPUTS = "images"
