"""I-JEPA (Assran et al., 2023): ViT without a token for the whole image."""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.arch import vit
from armature.config import Config
from armature.model.spec import Own, Stack
from armature.outputs.tasks import Base, ImageClassifier

LIKE = vit

DEFAULTS = {key: value for key, value in vit.DEFAULTS.items() if key != "encoder_stride"}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return vit.encoder(c, lambda *sizes: Own(partial(_embed, *sizes)))


def _embed(*sizes: Any) -> Any:
    from armature.layers.patches import PatchTokens

    return PatchTokens(*sizes, extra=())


PREFIX = "ijepa"
UNUSED = ("pooler_act", "pooler_output_size")
# fmt: off
HEADS = {
    "IJepaModel":                  Base("pooler.dense", act="@pooler_act"),
    "IJepaForImageClassification": ImageClassifier(pick="mean", out="classifier"),
}
# fmt: on
