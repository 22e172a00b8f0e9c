"""ELECTRA (Clark et al., 2020): BERT with narrow embeddings, trained to find replaced tokens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from armature.arch import bert
from armature.config import Config
from armature.model.spec import Learned, Stack
from armature.outputs.tasks import (
    Base,
    CausalLM,
    Detector,
    MaskedLM,
    MultipleChoice,
    SequenceClassifier,
    Spans,
    TokenClassifier,
)

DEFAULTS = bert.DEFAULTS | {
    "embedding_size": 128,
    "hidden_size": 256,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "summary_type": "first",
    "summary_use_proj": True,
    "summary_activation": "gelu",
    "summary_last_dropout": 0.1,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    narrow, wide = c.embedding_size, c.hidden_size
    stack = bert.encoder(c, Learned(c.max_position_embeddings))
    return replace(
        stack, embed=replace(stack.embed, width=narrow, project=wide if wide != narrow else 0)
    )


PREFIX = "electra"
# fmt: off
NAMES = bert.NAMES | {"embed.project": "embeddings_project"}
ALIASES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
IGNORED = bert.IGNORED

WORDS: dict[str, Any] = {
    "dense": "generator_predictions.dense", "act": "gelu",
    "norm": "generator_predictions.LayerNorm", "out": "generator_lm_head"}
DROPOUT = "classifier_dropout hidden_dropout_prob"
HEADS = {
    "ElectraModel":                     Base(),
    "ElectraForPreTraining":            Detector(
        dense="discriminator_predictions.dense", act="@hidden_act",
        out="discriminator_predictions.dense_prediction"),
    "ElectraForMaskedLM":               MaskedLM(**WORDS),
    "ElectraForCausalLM":               CausalLM(**WORDS),
    "ElectraForSequenceClassification": SequenceClassifier(
        dense="classifier.dense", act="gelu", out="classifier.out_proj", dropout=DROPOUT),
    "ElectraForMultipleChoice":         MultipleChoice(
        summary="sequence_summary.summary", out="classifier"),
    "ElectraForTokenClassification":    TokenClassifier(out="classifier"),
    "ElectraForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "electra"
