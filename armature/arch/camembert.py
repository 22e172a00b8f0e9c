"""CamemBERT (Martin et al., 2019): RoBERTa of French text."""

from __future__ import annotations

from armature.arch import renamed, roberta

LIKE = roberta
DEFAULTS = roberta.DEFAULTS | {"vocab_size": 30522}

HEADS = renamed(roberta.HEADS, "Roberta", "Camembert")
INPUTS = "camembert"
