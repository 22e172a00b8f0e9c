"""Any two bodies compared (Zhai et al., 2021): one reads texts, the other sees images."""

from __future__ import annotations

from typing import Any

from armature.arch._nested import Part, tower, tower_names
from armature.checkpoint.views import View
from armature.config import Config
from armature.model.spec import Own
from armature.outputs.tasks import Contrast

DEFAULTS: dict[str, Any] = {
    "text_config": {"model_type": "bert"},
    "vision_config": {"model_type": "vit"},
    "projection_dim": 512,
    "logit_scale_init_value": 2.6592,
}


def spec(c: Config) -> Own:
    """Return the anatomy: those of the two."""
    text, vision = _parts(c)

    def make() -> Any:
        from armature.outputs.towers import Tower, TowersApart

        width, scale = c.projection_dim, c.logit_scale_init_value
        return TowersApart(Tower(*text), Tower(*vision), width, scale)

    return Own(make)


def _parts(c: Config) -> tuple[Part, Part]:
    return tower(c, "text_config"), tower(c, "vision_config")


PREFIX = ""
NAMES: dict[str, str | View] = {  # the two bring their own
    "text_map": "text_projection",
    "vision_map": "visual_projection",
    "scale.weight": "logit_scale",
}


def names(c: Config) -> dict[str, str | View]:
    """Return the names of both towers."""
    return NAMES | tower_names(*_parts(c))


ALIASES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
IGNORED = ("embeddings.position_ids", "embeddings.token_type_ids")

HEADS = {"VisionTextDualEncoderModel": Contrast()}
INPUTS = "bert"
