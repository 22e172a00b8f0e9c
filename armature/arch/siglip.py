"""SigLIP (Zhai et al., 2023): a text and an image compared, each pair a question of its own."""

from __future__ import annotations

from typing import Any

from armature.arch import find
from armature.arch._nested import Part, tower, tower_alone, tower_names
from armature.checkpoint.views import View, behind
from armature.config import Config
from armature.model.spec import Own, Stack
from armature.outputs.tasks import Contrast, ImageClassifier

DEFAULTS: dict[str, Any] = {
    "text_config": find("siglip_text_model").DEFAULTS,
    "vision_config": find("siglip_vision_model").DEFAULTS,
}


def spec(c: Config) -> Own:
    """Return the anatomy."""
    text, vision = _text(c), _vision(c)

    def make() -> Any:
        from armature.outputs.towers import SigmoidTowers, Tower

        return SigmoidTowers(Tower(*text), Tower(*vision))

    return Own(make)


def _text(c: Config) -> Part:
    return tower(c, "text_config", "siglip_text_model")


def _vision(c: Config) -> Part:
    return tower(c, "vision_config", "siglip_vision_model")


def _one_tower(c: Config) -> Stack:
    return tower_alone(c, "vision_config", "siglip_vision_model")


def _classifier(spec: ImageClassifier, c: Config, body: Any) -> Any:
    from armature.outputs.heads import Sequences
    from armature.outputs.towers import shelved

    (arch, part), width = _vision(c), body.embed.width
    head: Any = Sequences(spec, c, (width, width, int(c.num_labels)))
    head.spare = shelved(arch.pooler(None, part, body)) if part.vision_use_head else None
    return head


PREFIX = ""
NAMES: dict[str, str | View] = {  # the towers bring their own
    "scale.weight": "logit_scale",
    "shift.weight": "logit_bias",
}


def names(c: Config) -> dict[str, str | View]:
    """Return the names of both towers, and of that of images where it stands alone."""
    arch, part = _vision(c)
    return NAMES | tower_names(_text(c), _vision(c)) | behind("vision_model", arch.names(part))


IGNORED = ("embeddings.position_ids",)
UNUSED = ("initializer_factor",)

# fmt: off
SPARE = {f"head.spare.{ours}": f"vision_model.head.{theirs}"
         for ours, theirs in find("siglip_vision_model").POOLED.items()}
HEADS = {
    "SiglipModel":                  Contrast(),
    "SiglipForImageClassification": ImageClassifier(
        pick="mean", out="classifier", body=_one_tower, make=_classifier, names=SPARE),
}
# fmt: on
INPUTS = "siglip"
