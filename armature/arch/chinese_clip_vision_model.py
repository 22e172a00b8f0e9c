"""Chinese CLIP's vision tower (Yang et al., 2022): CLIP's."""

from __future__ import annotations

from armature.arch import clip_vision_model
from armature.outputs.tasks import Base

LIKE = clip_vision_model
HEADS = {"ChineseCLIPVisionModel": Base(norm="vision_model.post_layernorm")}
