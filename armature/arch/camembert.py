"""CamemBERT (Martin et al., 2019): RoBERTa of French text."""

from __future__ import annotations

from typing import Any

from armature.arch import bert
from armature.config import Config
from armature.model.spec import Learned, Stack
from armature.outputs.tasks import (
    Base,
    CausalLM,
    MaskedLM,
    MultipleChoice,
    SequenceClassifier,
    Spans,
    TokenClassifier,
)

LIKE = bert
DEFAULTS = bert.DEFAULTS | {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    pad = c.pad_token_id
    return bert.encoder(c, Learned(c.max_position_embeddings, offset=pad + 1, pad=pad))


PREFIX = "roberta"
# fmt: off
ALIASES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias",
           "lm_head.decoder.bias": "lm_head.bias"}

WORDS: dict[str, Any] = {"dense": "lm_head.dense", "act": "gelu", "norm": "lm_head.layer_norm",
         "out": "lm_head.decoder", "names": {"head.out.bias": "lm_head.bias"},
         "untied_bias": "lm_head.decoder.bias"}
DROPOUT = "classifier_dropout hidden_dropout_prob"
HEADS = {
    "CamembertModel":                     Base(dense="roberta.pooler.dense", act="tanh"),
    "CamembertForMaskedLM":               MaskedLM(**WORDS),
    "CamembertForCausalLM":               CausalLM(**WORDS),
    "CamembertForSequenceClassification": SequenceClassifier(
        dense="classifier.dense", act="tanh", out="classifier.out_proj", dropout=DROPOUT),
    "CamembertForMultipleChoice":         MultipleChoice(
        dense="roberta.pooler.dense", act="tanh", out="classifier", dropout=DROPOUT),
    "CamembertForTokenClassification":    TokenClassifier(out="classifier", dropout=DROPOUT),
    "CamembertForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "camembert"
