"""Donut's image encoder (Kim et al., 2021): Swin without a last norm."""

from __future__ import annotations

from dataclasses import replace

from armature.arch import refuse, swin
from armature.config import Config
from armature.model.spec import Pyramid
from armature.outputs.tasks import Base, ImageClassifier

LIKE = swin
DEFAULTS = {
    name: value
    for name, value in swin.DEFAULTS.items()
    if name not in ("encoder_stride", "out_features", "out_indices")
}


def spec(c: Config) -> Pyramid:
    """Return the anatomy."""
    refuse(c, use_absolute_embeddings=False)  # HF: its table has a row too many to be added
    return replace(swin.spec(c), norm=None)


PREFIX = "donut"
NAMES = {ours: theirs for ours, theirs in swin.NAMES.items() if ours != "norm"}
# fmt: off
HEADS = {
    "DonutSwinModel":                  Base(pick="mean", begin="given"),
    "DonutSwinForImageClassification": ImageClassifier(pick="mean", out="classifier"),
}
# fmt: on
