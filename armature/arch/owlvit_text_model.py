"""OWL-ViT's text tower (Minderer et al., 2022): CLIP's; the greatest id ends a text."""

from __future__ import annotations

from armature.arch import clip_text_model
from armature.checkpoint.views import behind
from armature.outputs.tasks import Base

LIKE = clip_text_model
DEFAULTS = clip_text_model.DEFAULTS | {"max_position_embeddings": 16, "pad_token_id": 0}
PREFIX = "owlvit"
NAMES = behind("text_model", clip_text_model.NAMES)
HEADS = {"OwlViTTextModel": Base(pick="eot")}
