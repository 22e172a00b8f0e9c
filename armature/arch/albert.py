"""ALBERT (Lan et al., 2019): BERT whose blocks share weights and whose embeddings are narrow."""

from __future__ import annotations

from typing import Any

from armature.arch import head_width, refuse
from armature.config import Config
from armature.model.spec import (
    Attention,
    Block,
    Dense,
    Dropout,
    LayerNorm,
    Learned,
    Post,
    Stack,
    Tokens,
)
from armature.outputs.tasks import (
    Base,
    MaskedLM,
    MultipleChoice,
    PreTraining,
    SequenceClassifier,
    Spans,
    TokenClassifier,
)

DEFAULTS = {
    "vocab_size": 30000,
    "embedding_size": 128,
    "hidden_size": 4096,
    "num_hidden_layers": 12,
    "num_hidden_groups": 1,
    "num_attention_heads": 64,
    "intermediate_size": 16384,
    "inner_group_num": 1,
    "hidden_act": "gelu_new",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "classifier_dropout_prob": 0.1,
    "position_embedding_type": "absolute",
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 3,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    refuse(c, position_embedding_type="absolute")
    norm, inner = LayerNorm(c.layer_norm_eps), c.inner_group_num
    layers_per_group = c.num_hidden_layers / c.num_hidden_groups
    groups = [int(layer / layers_per_group) for layer in range(c.num_hidden_layers)]
    schedule = tuple(group * inner + i for group in groups for i in range(inner))
    return Stack(
        embed=Tokens(
            c.vocab_size,
            c.embedding_size,
            position=Learned(c.max_position_embeddings),
            types=c.type_vocab_size,
            norm=norm,
            project=c.hidden_size,
        ),
        block=Block(
            Post(norm),
            Attention(c.num_attention_heads, head_width(c)),
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=len(schedule),
        schedule=schedule,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


PREFIX = "albert"
# fmt: off
NAMES = {
    "embed.token":    "embeddings.word_embeddings",
    "embed.position": "embeddings.position_embeddings",
    "embed.segment":  "embeddings.token_type_embeddings",
    "embed.norm":     "embeddings.LayerNorm",
    "embed.project":  "encoder.embedding_hidden_mapping_in",
}


def names(c: Config) -> dict[str, str]:
    """Return NAMES and a row of names for each shared block: group and place in it."""
    rows = dict(NAMES)
    for group in range(c.num_hidden_groups):
        for place in range(c.inner_group_num):
            ours = f"blocks.{group * c.inner_group_num + place}"
            theirs = f"encoder.albert_layer_groups.{group}.albert_layers.{place}"
            rows |= {
                f"{ours}.attn.qkv":  f"{theirs}.attention.{{query,key,value}}",
                f"{ours}.attn.out":  f"{theirs}.attention.dense",
                f"{ours}.attn_norm": f"{theirs}.attention.LayerNorm",
                f"{ours}.mlp.up":    f"{theirs}.ffn",
                f"{ours}.mlp.down":  f"{theirs}.ffn_output",
                f"{ours}.mlp_norm":  f"{theirs}.full_layer_layer_norm",
            }
    return rows


ALIASES = {"predictions.decoder.bias": "predictions.bias"}
IGNORED = ("embeddings.position_ids",)
UNUSED = ("gap_size", "net_structure_type", "num_memory_blocks", "down_scale_factor",
          "layers_to_keep", "embedding_dropout_prob")

WORDS: dict[str, Any] = {
    "dense": "predictions.dense", "act": "@hidden_act", "norm": "predictions.LayerNorm",
    "out": "predictions.decoder", "names": {"head.out.bias": "predictions.bias"},
    "untied_bias": "predictions.decoder.bias",
}
POOLED: dict[str, Any] = {
    "dense": "albert.pooler", "act": "tanh", "dropout": "classifier_dropout_prob",
}
HEADS = {
    "AlbertModel":                     Base(dense="albert.pooler", act="tanh"),
    "AlbertForPreTraining":            PreTraining(pooler="albert.pooler", result="sop_logits",
                                                   order="sop_classifier.classifier",
                                                   label="sentence_order_label", orders=0,
                                                   **WORDS),
    "AlbertForMaskedLM":               MaskedLM(**WORDS),
    "AlbertForSequenceClassification": SequenceClassifier(out="classifier", **POOLED),
    "AlbertForMultipleChoice":         MultipleChoice(out="classifier", **POOLED),
    "AlbertForTokenClassification":    TokenClassifier(out="classifier",
                                                       dropout="classifier_dropout_prob"),
    "AlbertForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "albert"
