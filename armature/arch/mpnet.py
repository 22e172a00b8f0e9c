"""MPNet (Song et al., 2020): BERT without segments, with one relative bias for all layers."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from armature.arch import bert
from armature.config import Config
from armature.model.spec import Learned, Own, Stack
from armature.outputs.tasks import (
    Base,
    MaskedLM,
    MultipleChoice,
    SequenceClassifier,
    Spans,
    TokenClassifier,
)

# fmt: off
DEFAULTS = bert.DEFAULTS | {
    "vocab_size": 30527, "type_vocab_size": 0, "relative_attention_num_buckets": 32,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}
# fmt: on


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    # HF: positions are counted from 1 on, even where the config has another padding id.
    stack = bert.encoder(c, Learned(c.max_position_embeddings, offset=2, pad=1))
    bias = Own(lambda: _bias()(c.relative_attention_num_buckets, c.num_attention_heads))
    return replace(stack, bias=bias)


@cache
def _bias() -> Any:
    import torch
    from torch import nn

    from armature.layers.bias import Relative

    class Buckets(Relative):
        """HF: distances fall into 32 buckets, however many rows the table has."""

        def __init__(self, rows: int, heads: int) -> None:
            super().__init__(heads, 32, 128, bidirectional=True)
            self.weight = nn.Parameter(torch.empty(rows, heads))

    return Buckets


PREFIX = "mpnet"
# fmt: off
NAMES = bert.NAMES | {
    "bias":                 "encoder.relative_attention_bias",
    "blocks.{i}.attn.qkv":  "encoder.layer.{i}.attention.attn.{q,k,v}",
    "blocks.{i}.attn.out":  "encoder.layer.{i}.attention.attn.o",
    "blocks.{i}.attn_norm": "encoder.layer.{i}.attention.LayerNorm",
}
ALIASES = {"lm_head.decoder.bias": "lm_head.bias"}
IGNORED = bert.IGNORED
UNUSED: tuple[str, ...] = ("classifier_dropout",)

DROPOUT = "hidden_dropout_prob"
POOLED: dict[str, Any] = {"dense": "mpnet.pooler.dense", "act": "tanh"}
HEADS = {
    "MPNetModel":                     Base(**POOLED),
    "MPNetForMaskedLM":               MaskedLM(
        dense="lm_head.dense", act="gelu", norm="lm_head.layer_norm", out="lm_head.decoder",
        names={"head.out.bias": "lm_head.bias"}, untied_bias="lm_head.decoder.bias"),
    "MPNetForSequenceClassification": SequenceClassifier(
        dense="classifier.dense", act="tanh", out="classifier.out_proj", dropout=DROPOUT),
    "MPNetForMultipleChoice":         MultipleChoice(out="classifier", dropout=DROPOUT, **POOLED),
    "MPNetForTokenClassification":    TokenClassifier(out="classifier", dropout=DROPOUT),
    "MPNetForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "mpnet"
