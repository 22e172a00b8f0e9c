"""Chinese CLIP's text tower (Yang et al., 2022): BERT."""

from __future__ import annotations

from armature.arch import bert
from armature.outputs.tasks import Base

LIKE = bert
DEFAULTS = bert.DEFAULTS | {"bos_token_id": 0}
PREFIX = "text_model"
UNUSED = (*bert.UNUSED, "projection_dim", "bos_token_id", "eos_token_id", "pad_token_id")
HEADS = {"ChineseCLIPTextModel": Base(dense="text_model.pooler.dense", act="tanh")}
