"""RoBERTa (Liu et al., 2019): BERT whose positions count from the padding id on."""

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
DEFAULTS = bert.DEFAULTS | {
    "vocab_size": 50265,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}


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
    "RobertaModel":                     Base(dense="roberta.pooler.dense", act="tanh"),
    "RobertaForMaskedLM":               MaskedLM(**WORDS),
    "RobertaForCausalLM":               CausalLM(**WORDS),
    "RobertaForSequenceClassification": SequenceClassifier(
        dense="classifier.dense", act="tanh", out="classifier.out_proj", dropout=DROPOUT),
    "RobertaForMultipleChoice":         MultipleChoice(
        dense="roberta.pooler.dense", act="tanh", out="classifier", dropout=DROPOUT),
    "RobertaForTokenClassification":    TokenClassifier(out="classifier"),
    "RobertaForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "roberta"
