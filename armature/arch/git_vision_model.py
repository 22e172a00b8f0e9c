"""GIT's image encoder (Wang et al., 2022): CLIP's, its last states normed."""

from __future__ import annotations

from dataclasses import replace

from armature.arch import clip_vision_model
from armature.checkpoint.views import behind
from armature.config import Config
from armature.model.spec import LayerNorm, Stack
from armature.outputs.tasks import Base

LIKE = clip_vision_model
DEFAULTS = {
    name: value for name, value in clip_vision_model.DEFAULTS.items() if name != "projection_dim"
} | {"patch_size": 16}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return replace(clip_vision_model.spec(c), norm=LayerNorm(c.layer_norm_eps))


PREFIX = ""
NAMES = behind("vision_model", clip_vision_model.NAMES | {"norm": "post_layernorm"})
HEADS = {"GitVisionModel": Base()}
