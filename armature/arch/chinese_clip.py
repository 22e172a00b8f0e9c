"""Chinese CLIP (Yang et al., 2022): CLIP whose text tower is BERT; its first token pools."""

from __future__ import annotations

from typing import Any

from armature.arch import find
from armature.arch._nested import Part, tower, tower_names
from armature.checkpoint.views import View
from armature.config import Config
from armature.model.spec import Own
from armature.outputs.tasks import Contrast

DEFAULTS: dict[str, Any] = {
    "text_config": find("chinese_clip_text_model").DEFAULTS,
    "vision_config": find("chinese_clip_vision_model").DEFAULTS,
    "projection_dim": 512,
    "logit_scale_init_value": 2.6592,
}


def spec(c: Config) -> Own:
    """Return the anatomy."""
    text, vision = _parts(c)

    def make() -> Any:
        from armature.outputs.towers import Tower, Towers

        texts = Tower(*text, pooled=False)
        return Towers(texts, Tower(*vision), c.projection_dim, c.logit_scale_init_value)

    return Own(make)


def _parts(c: Config) -> tuple[Part, Part]:
    text = tower(c, "text_config", "chinese_clip_text_model")
    return text, tower(c, "vision_config", "chinese_clip_vision_model")


PREFIX = ""
NAMES: dict[str, str | View] = {  # the towers bring their own
    "text_map": "text_projection",
    "vision_map": "visual_projection",
    "scale.weight": "logit_scale",
}


def names(c: Config) -> dict[str, str | View]:
    """Return the names of both towers."""
    return NAMES | tower_names(*_parts(c))


IGNORED = ("embeddings.position_ids",)
UNUSED = ("initializer_factor",)

HEADS = {"ChineseCLIPModel": Contrast()}
INPUTS = "bert"
