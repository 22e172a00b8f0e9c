"""BERT (Devlin et al., 2018): post-norm encoder, learned positions, segment embeddings."""

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
    CausalLM,
    MaskedLM,
    MultipleChoice,
    NextSentence,
    PreTraining,
    SequenceClassifier,
    Spans,
    TokenClassifier,
)

DEFAULTS = {
    "vocab_size": 30522,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "pad_token_id": 0,
    "classifier_dropout": None,
    "position_embedding_type": "absolute",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return encoder(c, Learned(c.max_position_embeddings))


def encoder(c: Config, position: Learned) -> Stack:
    """Return BERT's stack with any table of positions.

    Raises:
        ConfigError: the config asks for relative positions.
    """
    refuse(c, position_embedding_type="absolute")
    norm, cross = LayerNorm(c.layer_norm_eps), Attention(c.num_attention_heads, head_width(c))
    return Stack(
        embed=Tokens(
            c.vocab_size, c.hidden_size, position=position, types=c.type_vocab_size, norm=norm
        ),
        block=Block(
            Post(norm),
            Attention(c.num_attention_heads, head_width(c), causal=bool(c.is_decoder)),
            Dense(c.intermediate_size, c.hidden_act),
            cross=cross if c.is_decoder and c.add_cross_attention else None,
        ),
        depth=c.num_hidden_layers,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


PREFIX = "bert"
# fmt: off
NAMES = {
    "embed.token":          "embeddings.word_embeddings",
    "embed.position":       "embeddings.position_embeddings",
    "embed.segment":        "embeddings.token_type_embeddings",
    "embed.norm":           "embeddings.LayerNorm",
    "blocks.{i}.attn.qkv":  "encoder.layer.{i}.attention.self.{query,key,value}",
    "blocks.{i}.attn.out":  "encoder.layer.{i}.attention.output.dense",
    "blocks.{i}.attn_norm": "encoder.layer.{i}.attention.output.LayerNorm",
    "blocks.{i}.cross.q":   "encoder.layer.{i}.crossattention.self.query",
    "blocks.{i}.cross.kv":  "encoder.layer.{i}.crossattention.self.{key,value}",
    "blocks.{i}.cross.out": "encoder.layer.{i}.crossattention.output.dense",
    "blocks.{i}.cross_norm": "encoder.layer.{i}.crossattention.output.LayerNorm",
    "blocks.{i}.mlp.up":    "encoder.layer.{i}.intermediate.dense",
    "blocks.{i}.mlp.down":  "encoder.layer.{i}.output.dense",
    "blocks.{i}.mlp_norm":  "encoder.layer.{i}.output.LayerNorm",
}
ALIASES = {
    "LayerNorm.gamma":              "LayerNorm.weight",
    "LayerNorm.beta":               "LayerNorm.bias",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
IGNORED = ("embeddings.position_ids", "embeddings.token_type_ids")
UNUSED = ("directionality", "pooler_fc_size", "pooler_num_attention_heads",
          "pooler_num_fc_layers", "pooler_size_per_head", "pooler_type")

WORDS: dict[str, Any] = {
    "dense": "cls.predictions.transform.dense",
    "norm": "cls.predictions.transform.LayerNorm",
    "out": "cls.predictions.decoder",
    "act": "@hidden_act",
    "names": {"head.out.bias": "cls.predictions.bias"},
    "untied_bias": "cls.predictions.decoder.bias",
}
POOLED: dict[str, Any] = {"dense": "bert.pooler.dense", "act": "tanh",
          "dropout": "classifier_dropout hidden_dropout_prob"}
HEADS = {
    "BertModel":                     Base(dense="bert.pooler.dense", act="tanh"),
    "BertForPreTraining":            PreTraining(pooler="bert.pooler.dense",
                                                 order="cls.seq_relationship", **WORDS),
    "BertLMHeadModel":               CausalLM(**WORDS),
    "BertForMaskedLM":               MaskedLM(**WORDS),
    "BertForNextSentencePrediction": NextSentence(dense="bert.pooler.dense", act="tanh",
                                                  out="cls.seq_relationship"),
    "BertForSequenceClassification": SequenceClassifier(out="classifier", **POOLED),
    "BertForMultipleChoice":         MultipleChoice(out="classifier", **POOLED),
    "BertForTokenClassification":    TokenClassifier(out="classifier"),
    "BertForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "bert"
