"""DistilBERT (Sanh et al., 2019): BERT with half the blocks and without segments."""

from __future__ import annotations

from typing import Any

from armature.arch import head_width
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
    SequenceClassifier,
    Spans,
    TokenClassifier,
)

DEFAULTS = {
    "vocab_size": 30522,
    "max_position_embeddings": 512,
    "sinusoidal_pos_embds": False,
    "n_layers": 6,
    "n_heads": 12,
    "dim": 768,
    "hidden_dim": 3072,
    "dropout": 0.1,
    "attention_dropout": 0.1,
    "activation": "gelu",
    "qa_dropout": 0.1,
    "seq_classif_dropout": 0.2,
    "pad_token_id": 0,
}
SYNONYMS = {
    "hidden_size": "dim",
    "num_attention_heads": "n_heads",
    "num_hidden_layers": "n_layers",
    "intermediate_size": "hidden_dim",
    "hidden_act": "activation",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm = LayerNorm(1e-12)
    position = Learned(c.max_position_embeddings)
    return Stack(
        embed=Tokens(c.vocab_size, c.dim, position=position, norm=norm),
        block=Block(
            Post(norm), Attention(c.n_heads, head_width(c)), Dense(c.hidden_dim, c.activation)
        ),
        depth=c.n_layers,
        dropout=Dropout(c.dropout, c.attention_dropout),
    )


PREFIX = "distilbert"
# fmt: off
NAMES = {
    "embed.token":          "embeddings.word_embeddings",
    "embed.position":       "embeddings.position_embeddings",
    "embed.norm":           "embeddings.LayerNorm",
    "blocks.{i}.attn.qkv":  "transformer.layer.{i}.attention.{q,k,v}_lin",
    "blocks.{i}.attn.out":  "transformer.layer.{i}.attention.out_lin",
    "blocks.{i}.attn_norm": "transformer.layer.{i}.sa_layer_norm",
    "blocks.{i}.mlp.up":    "transformer.layer.{i}.ffn.lin1",
    "blocks.{i}.mlp.down":  "transformer.layer.{i}.ffn.lin2",
    "blocks.{i}.mlp_norm":  "transformer.layer.{i}.output_layer_norm",
}
IGNORED = ("embeddings.position_ids",)
UNUSED = ("sinusoidal_pos_embds",)  # says how the trained table began

FIRST: dict[str, Any] = {"dense": "pre_classifier", "act": "relu", "out": "classifier",
         "dropout": "seq_classif_dropout"}
HEADS = {
    "DistilBertModel":                     Base(),
    "DistilBertForMaskedLM":               MaskedLM(dense="vocab_transform", act="@activation",
                                                    norm="vocab_layer_norm", eps=1e-12,
                                                    out="vocab_projector"),
    "DistilBertForSequenceClassification": SequenceClassifier(**FIRST),
    "DistilBertForMultipleChoice":         MultipleChoice(**FIRST),
    "DistilBertForTokenClassification":    TokenClassifier(out="classifier", dropout="dropout"),
    "DistilBertForQuestionAnswering":      Spans(out="qa_outputs", dropout="qa_dropout"),
}
# fmt: on
INPUTS = "distilbert"
