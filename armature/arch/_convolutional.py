"""Segmenters of segmentation_models_pytorch: what their files have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from armature.arch import _encoders
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Own
from armature.outputs.tasks import Head, Segmenter

DEFAULTS: dict[str, Any] = {
    "encoder_name": "resnet34",
    "encoder_depth": 5,
    "encoder_weights": None,
    "in_channels": 3,
    "classes": 1,
    "activation": None,
    "aux_params": None,
}
SYNONYMS = {"num_labels": "classes"}
UNUSED = ("_model_class", "encoder_weights")
NAMES: dict[str, Any] = {"decoder": "decoder"}


def names(c: Config) -> dict[str, Any]:
    """Return our names → the disk's."""
    name = str(c.encoder_name)
    rows = _encoders.find(name).rows(name).items()
    return NAMES | {f"encoder.{ours}": f"encoder.{theirs}" for ours, theirs in rows}


def body(c: Config, decoder: str, *, any_size: bool = False, least: int = 1, **how: Any) -> Own:
    """Return the anatomy, with a decoder by its class's name, made with these arguments.

    Raises:
        ConfigError: the encoder is not known, or has too few maps for the decoder, or too many.
    """
    name = str(c.encoder_name)
    if not least <= int(c.encoder_depth) <= 5:
        raise ConfigError(
            f"config.json: encoder_depth is {c.encoder_depth}, but should be {least} to 5"
        )
    kind = _encoders.find(name)

    def make() -> Any:
        from armature.model import conv_decoders
        from armature.outputs.conv_segmenters import ConvSegmenter

        encoder = kind.encoder(name, int(c.in_channels))
        made = ConvSegmenter(encoder, partial(getattr(conv_decoders, decoder), **how), c)
        made.any_size = any_size
        return made

    return Own(make)


def head(side: int, stretch: Callable[[Config], int] = lambda _config: 1) -> Segmenter:
    """Return the head: a convolution of a side, and how much scores are stretched."""

    def make(_spec: Head, c: Config, made: Any) -> Any:
        from armature.outputs.conv_segmenters import PixelScores

        return PixelScores(c, made, side, stretch(c))

    rows = {"head.out": "segmentation_head.0", "head.whole": "classification_head.3"}
    return Segmenter(make=make, names=rows)
