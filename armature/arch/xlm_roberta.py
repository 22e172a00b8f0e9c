"""XLM-RoBERTa (Conneau et al., 2019): RoBERTa of a hundred languages."""

from __future__ import annotations

from armature.arch import renamed, roberta

LIKE = roberta
DEFAULTS = roberta.DEFAULTS | {"vocab_size": 30522}

HEADS = renamed(roberta.HEADS, "Roberta", "XLMRoberta")
INPUTS = "xlm-roberta"
