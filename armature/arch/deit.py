"""DeiT (Touvron et al., 2020): ViT with a second token that learned from a teacher."""

from __future__ import annotations

from armature.arch import vit
from armature.config import Config
from armature.model.spec import Stack, TaughtPatchTokens
from armature.outputs.tasks import Base, ImageClassifier, MaskedImage, TaughtImageClassifier

LIKE = vit


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return vit.encoder(c, TaughtPatchTokens)


PREFIX = "deit"
# fmt: off
NAMES = vit.NAMES | {"embed.teacher": "embeddings.distillation_token"}

HEADS = {
    "DeiTModel":                  Base("pooler.dense", act="@pooler_act"),
    "DeiTForImageClassification": ImageClassifier(pick="first", out="classifier"),
    "DeiTForImageClassificationWithTeacher": TaughtImageClassifier(
        pick="first", out="cls_classifier",
        names={"head.teacher": "distillation_classifier"}),
    "DeiTForMaskedImageModeling": MaskedImage(out="decoder.0"),
}
# fmt: on
