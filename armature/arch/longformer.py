"""Longformer (Beltagy et al., 2020): RoBERTa that sees near tokens, and those chosen to see all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from armature.arch import bert, head_width, reaches
from armature.config import Config
from armature.errors import ArgumentError
from armature.model.spec import Block, Learned, Own, Stack
from armature.outputs.tasks import (
    Base,
    MaskedLM,
    MultipleChoice,
    SequenceClassifier,
    Spans,
    TokenClassifier,
)

if TYPE_CHECKING:
    from torch import Tensor

DEFAULTS: dict[str, Any] = {
    key: value
    for key, value in bert.DEFAULTS.items()
    if key not in ("classifier_dropout", "position_embedding_type")
} | {
    "attention_window": 512,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "sep_token_id": 2,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    pad, reach = c.pad_token_id, reaches(c, c.num_hidden_layers)
    body = bert.encoder(c, Learned(c.max_position_embeddings, offset=pad + 1, pad=pad))
    block, tokens = body.block, body.embed
    assert isinstance(block, Block)
    head_width(c)  # refuses heads that do not share the width evenly

    def layer(index: int) -> Block:
        near = Own(lambda: _near(c, reach[index], 2 * max(reach)))
        return replace(block, attn=near, cross=None)

    return replace(body, block=layer, embed=Own(lambda: _embed(tokens)))


def _near(c: Config, reach: int, multiple: int) -> Any:
    from armature.layers.near import NearAttention

    return NearAttention(c.hidden_size, c.num_attention_heads, reach, multiple)


def _embed(tokens: Any) -> Any:
    from armature.layers.near import hearing
    from armature.model.build import build_embed

    return hearing(build_embed(tokens))


def _first(ids: Tensor, mask: Tensor | None, _c: Config) -> Tensor:
    """Choose the first token, which stands for its text."""
    real = ids.new_ones(ids.shape) if mask is None else mask
    return (real.cumsum(-1) == 1) & (real > 0)


def _question(ids: Tensor, _mask: Tensor | None, c: Config) -> Tensor:
    """Choose the tokens of the question: those before the first separator."""
    return _separators(ids, c).cumsum(-1) == 0


def _answer(ids: Tensor, _mask: Tensor | None, c: Config) -> Tensor:
    """Choose the tokens of the answer: those behind the first two separators."""
    return _separators(ids, c).cumsum(-1).clamp(max=1).cumsum(-1) > 2


def _separators(ids: Tensor, c: Config) -> Tensor:
    found = (ids == c.sep_token_id).long()
    if bool((found.sum(-1) != 3).any()):
        raise ArgumentError(
            f"input_ids should hold the separator {c.sep_token_id} three times in each row, behind "
            "the first text and around the second: tokenize pairs, or give global_attention_mask"
        )
    return found


PREFIX = "longformer"
# fmt: off
NAMES: dict[str, Any] = bert.NAMES | {
    "blocks.{i}.attn.far": "encoder.layer.{i}.attention.self.{query,key,value}_global",
}
ALIASES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias",
           "lm_head.decoder.bias": "lm_head.bias"}
IGNORED = bert.IGNORED
UNUSED = ("onnx_export", "attention_mode", "attention_dilation", "autoregressive",
          "ignore_attention_mask", "gradient_checkpointing")

DROPOUT = "hidden_dropout_prob"
HEADS = {
    "LongformerModel":                     Base(dense="longformer.pooler.dense", act="tanh"),
    "LongformerForMaskedLM":               MaskedLM(
        dense="lm_head.dense", act="gelu", norm="lm_head.layer_norm", out="lm_head.decoder",
        names={"head.out.bias": "lm_head.bias"}, untied_bias="lm_head.decoder.bias"),
    "LongformerForSequenceClassification": SequenceClassifier(
        dropout_in=DROPOUT, dense="classifier.dense", act="tanh", dropout=DROPOUT,
        out="classifier.out_proj", fills={"global_attention_mask": _first}),
    "LongformerForMultipleChoice":         MultipleChoice(
        dense="longformer.pooler.dense", act="tanh", dropout=DROPOUT, out="classifier",
        fills={"global_attention_mask": _answer}),
    "LongformerForTokenClassification":    TokenClassifier(dropout=DROPOUT, out="classifier"),
    "LongformerForQuestionAnswering":      Spans(
        out="qa_outputs", fills={"global_attention_mask": _question}),
}
# fmt: on
INPUTS = "longformer"
