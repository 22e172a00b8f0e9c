"""ViT-MSN (Assran et al., 2022): ViT that learned to see the same in images with hidden parts."""

from __future__ import annotations

from armature.arch import vit
from armature.outputs.tasks import Base, ImageClassifier

LIKE = vit

DEFAULTS = {
    key: value
    for key, value in vit.DEFAULTS.items()
    if key not in ("encoder_stride", "pooler_act", "pooler_output_size")
} | {"layer_norm_eps": 1e-6}

UNUSED = ()
# fmt: off
HEADS = {
    "ViTMSNModel":                  Base(),
    "ViTMSNForImageClassification": ImageClassifier(pick="first", out="classifier"),
}
# fmt: on
