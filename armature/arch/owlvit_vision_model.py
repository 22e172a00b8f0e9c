"""OWL-ViT's vision tower (Minderer et al., 2022): CLIP's, on larger images."""

from __future__ import annotations

from armature.arch import clip_vision_model
from armature.checkpoint.views import behind
from armature.outputs.tasks import Base

LIKE = clip_vision_model
DEFAULTS = clip_vision_model.DEFAULTS | {"image_size": 768}
PREFIX = "owlvit"
NAMES = behind("vision_model", clip_vision_model.NAMES | {"embed.norm": "pre_layernorm"})
HEADS = {"OwlViTVisionModel": Base(norm="vision_model.post_layernorm")}
