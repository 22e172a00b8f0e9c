"""CLIP (Radford et al., 2021): a text and an image, each one vector, compared by their angle."""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.arch import find
from armature.arch._nested import tower, tower_alone, tower_names
from armature.checkpoint.views import View, behind
from armature.config import Config
from armature.model.spec import Own
from armature.outputs.tasks import Contrast, ImageClassifier

DEFAULTS: dict[str, Any] = {
    "text_config": find("clip_text_model").DEFAULTS,
    "vision_config": find("clip_vision_model").DEFAULTS,
    "projection_dim": 512,
    "logit_scale_init_value": 2.6592,
}


def spec(c: Config) -> Own:
    """Return the anatomy."""
    text, vision = _text(c), _vision(c)

    def make() -> Any:
        from armature.outputs.towers import Tower, Towers

        return Towers(Tower(*text), Tower(*vision), c.projection_dim, c.logit_scale_init_value)

    return Own(make)


_text = partial(tower, key="text_config", model_type="clip_text_model")
_vision = partial(tower, key="vision_config", model_type="clip_vision_model")
_one_tower = partial(tower_alone, key="vision_config", model_type="clip_vision_model")


def _classifier(spec: ImageClassifier, c: Config, body: Any) -> Any:
    from armature.layers.norm import LayerNorm
    from armature.outputs.heads import Sequences
    from armature.outputs.towers import shelved

    width = body.embed.width
    head: Any = Sequences(spec, c, (width, width, int(c.num_labels)))
    head.spare = shelved(LayerNorm(width))
    return head


PREFIX = ""
NAMES: dict[str, str | View] = {  # the towers bring their own
    "text_map": "text_projection",
    "vision_map": "visual_projection",
    "scale.weight": "logit_scale",
}


def names(c: Config) -> dict[str, str | View]:
    """Return the names of both towers, and of that of images where it stands alone."""
    arch, part = _vision(c)
    return NAMES | tower_names(_text(c), _vision(c)) | behind("vision_model", arch.names(part))


IGNORED = ("embeddings.position_ids",)
UNUSED = ("initializer_factor",)

# fmt: off
HEADS = {
    "CLIPModel":                  Contrast(),
    "CLIPForImageClassification": ImageClassifier(
        pick="patches", out="classifier", body=_one_tower, make=_classifier,
        names={"head.spare": "vision_model.post_layernorm"}),
}
# fmt: on
INPUTS = "clip"
