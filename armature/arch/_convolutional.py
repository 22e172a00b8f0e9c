"""Segmenters of segmentation_models_pytorch: what their files have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from armature.arch import refuse, resnet
from armature.config import Config
from armature.errors import ConfigError, nearest
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
# Name → kind of layers, and how many there are of each size.
ENCODERS = {
    "resnet18": ("basic", [2, 2, 2, 2]),
    "resnet34": ("basic", [3, 4, 6, 3]),
    "resnet50": ("bottleneck", [3, 4, 6, 3]),
    "resnet101": ("bottleneck", [3, 4, 23, 3]),
    "resnet152": ("bottleneck", [3, 8, 36, 3]),
}
NAMES: dict[str, Any] = {
    "decoder": "decoder",
    **{f"encoder.{ours}": theirs for ours, theirs in resnet.timm_rows("encoder.").items()},
}


def body(c: Config, decoder: str, *, any_size: bool = False) -> Own:
    """Return the anatomy, with a decoder by its class's name.

    Raises:
        ConfigError: the encoder is not known here.
    """
    name = str(c.encoder_name)
    if name not in ENCODERS:
        raise ConfigError(
            f"config.json: the encoder {name!r} is not known here.{nearest(name, ENCODERS)}\n"
            f"  → known: {', '.join(ENCODERS)}"
        )
    if c.get("decoder_use_norm") not in (None, True, False, "batchnorm", "identity"):
        refuse(c, decoder_use_norm="batchnorm")

    def make() -> Any:
        from armature.model import conv_decoders
        from armature.outputs.conv_segmenters import ConvSegmenter

        kind, depths = ENCODERS[name]
        widths = [64, 128, 256, 512]
        settings = {"layer_type": kind, "depths": depths, "num_channels": c.in_channels}
        settings["hidden_sizes"] = [x * (4 if kind == "bottleneck" else 1) for x in widths]
        words = {"defaults": resnet.DEFAULTS | settings}
        encoder = resnet.spec(type("EncoderConfig", (Config,), words)())
        made = ConvSegmenter(encoder, getattr(conv_decoders, decoder), c)
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
