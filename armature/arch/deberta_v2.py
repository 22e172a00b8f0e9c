"""DeBERTa v2 and v3 (He et al., 2020, 2021): attention to what tokens say and to where they stand.

A score is a sum of three products: of query and key (c2c), of the query and the vector of its
distance to the key (c2p), of the key and the vector of the same distance (p2c).
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import head_width
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Block, Dense, Dropout, LayerNorm, Own, Post, Stack
from armature.outputs import tasks

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.context import Context
    from armature.layers.embed import Inputs

DEFAULTS = {
    "vocab_size": 128100,
    "hidden_size": 1536,
    "num_hidden_layers": 24,
    "num_attention_heads": 24,
    "intermediate_size": 6144,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 512,
    "type_vocab_size": 0,
    "layer_norm_eps": 1e-7,
    "relative_attention": False,
    "max_relative_positions": -1,
    "position_buckets": -1,
    "norm_rel_ebd": "none",
    "share_att_key": False,
    "pos_att_type": None,
    "position_biased_input": True,
    "conv_kernel_size": 0,
    "conv_groups": 1,
    "conv_act": "tanh",
    "pad_token_id": 0,
    "pooler_dropout": 0.0,
    "pooler_hidden_act": "gelu",
    "legacy": True,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, mlp = LayerNorm(c.layer_norm_eps), Dense(c.intermediate_size, c.hidden_act)
    block = Block(Post(norm), Own(lambda: attention(c)), mlp)
    first = Own(lambda: _convolved()(c, block)) if c.conv_kernel_size > 0 else block
    return Stack(
        embed=Own(lambda: _embed()(c)),
        block=lambda index: block if index else first,
        depth=c.num_hidden_layers,
        bias=Own(lambda: _distances(c)),
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


def _words(setting: str | list[str] | None) -> list[str]:
    """Read a setting of several words in either spelling: a list, or one text with bars."""
    if isinstance(setting, str):
        return [word.strip() for word in setting.lower().split("|")]
    return list(setting or ())


# ------------------------------------------- its own organs: only building a model needs torch


@cache
def _embed() -> type:
    from armature.layers import embed, linear, norm, position

    class Embed(embed.Tokens):
        """Token embeddings whose norm follows the projection."""

        def __init__(self, c: Config) -> None:
            width, wide = c.get("embedding_size", c.hidden_size), c.hidden_size
            super().__init__(c.vocab_size, width, types=c.type_vocab_size)
            if c.position_biased_input:
                self.position = position.Learned(c.max_position_embeddings, width, 0, None)
            self.norm = norm.LayerNorm(wide, eps=c.layer_norm_eps)
            self.project = linear.Linear(width, wide, bias=False) if width != wide else None
            self.width = wide
            # HF: its tokenizers mark the second text, though most of its models have no segments.
            self.takes_types = True

        def forward(self, inputs: Inputs) -> Tensor:
            x = self.summed(inputs)
            return self.dropout(self.norm(x if self.project is None else self.project(x)))

    return Embed


def _distances(c: Config) -> nn.Module:
    from armature.layers import disentangled, norm

    longest = c.max_relative_positions
    longest = longest if longest > 0 else c.max_position_embeddings
    normed = "layer_norm" in _words(c.norm_rel_ebd)
    return disentangled.Distances(
        c.hidden_size if c.relative_attention else 0,
        (c.position_buckets, longest),
        norm.LayerNorm(c.hidden_size, eps=c.layer_norm_eps) if normed else None,
    )


def attention(c: Config, kind: type[nn.Module] | None = None) -> nn.Module:
    """Return attention to content and distances, of this kind or of the usual one."""
    from armature.layers import disentangled

    terms = {"c2p", "p2c"} & set(_words(c.pos_att_type))
    return (kind or disentangled.Disentangled)(
        c.hidden_size,
        c.num_attention_heads,
        head_width(c),
        (terms, c.relative_attention, c.share_att_key),
    )


@cache
def _convolved() -> type:
    from torch import nn

    from armature.layers import act, norm
    from armature.model import block, build

    class Convolved(block.PostBlock):
        """A block to whose result a convolution of its input is added."""

        def __init__(self, c: Config, plain: Block) -> None:
            width, kernel = c.hidden_size, c.conv_kernel_size
            if kernel % 2 == 0:
                raise ConfigError(f"config.json: conv_kernel_size is {kernel}, but must be odd")
            inner = build.build_block(plain, width)
            norms = {name: inner.get_submodule(name) for name in ("attn_norm", "mlp_norm")}
            super().__init__(inner.attn, inner.mlp, norms, None)
            self.gap = kernel // 2
            self.conv = nn.Conv1d(width, width, kernel, padding=self.gap, groups=c.conv_groups)
            self.conv_norm = norm.LayerNorm(width, eps=c.layer_norm_eps)
            self.act = act.activation(c.conv_act)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            places = context.layout.apart(self.gap)
            line = x.new_zeros(int(places[-1]) + 1, x.shape[1]).index_copy(0, places, x)
            near = self.dropout(self.conv(line.t()[None])[0].t()[places])
            return self.conv_norm(super().forward(x, context) + self.act(near))

    return Convolved


PREFIX = "deberta"
# fmt: off
NAMES = {
    "embed.token":                 "embeddings.word_embeddings",
    "embed.position":              "embeddings.position_embeddings",
    "embed.segment":               "embeddings.token_type_embeddings",
    "embed.project":               "embeddings.embed_proj",
    "embed.norm":                  "embeddings.LayerNorm",
    "bias":                        "encoder.rel_embeddings",
    "bias.norm":                   "encoder.LayerNorm",
    "blocks.0.conv":               "encoder.conv.conv",
    "blocks.0.conv_norm":          "encoder.conv.LayerNorm",
    "blocks.{i}.attn.qkv":         "encoder.layer.{i}.attention.self.{query,key,value}_proj",
    "blocks.{i}.attn.position_k":  "encoder.layer.{i}.attention.self.pos_key_proj",
    "blocks.{i}.attn.position_q":  "encoder.layer.{i}.attention.self.pos_query_proj",
    "blocks.{i}.attn.out":         "encoder.layer.{i}.attention.output.dense",
    "blocks.{i}.attn_norm":        "encoder.layer.{i}.attention.output.LayerNorm",
    "blocks.{i}.mlp.up":           "encoder.layer.{i}.intermediate.dense",
    "blocks.{i}.mlp.down":         "encoder.layer.{i}.output.dense",
    "blocks.{i}.mlp_norm":         "encoder.layer.{i}.output.LayerNorm",
}
ALIASES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias",
           "cls.predictions.decoder.bias": "cls.predictions.bias"}
IGNORED = ("embeddings.position_ids",)
UNUSED = ("attention_head_size", "pooler_hidden_size", "z_steps")


def _word_rows(c: tasks.Settings) -> dict[str, str]:
    """Return the rows of the word head: of the older one, or of the published checkpoints'."""
    head = "lm_predictions.lm_head"
    if not c.get("legacy", True):
        return {"head.dense": f"{head}.dense", "head.norm": f"{head}.LayerNorm",
                "head.out": f"{head}.decoder", "head.out.bias": f"{head}.bias"}
    return {"head.out.bias": "cls.predictions.bias"}


def _tied(c: tasks.Settings) -> bool:
    return c.get("tie_word_embeddings", True) or not c.get("legacy", True)


POOLED: dict[str, Any] = {
    "dropout_in": "pooler_dropout", "dense": "pooler.dense", "act": "@pooler_hidden_act",
    "dropout": "cls_dropout hidden_dropout_prob", "out": "classifier"}
HEADS = {
    "DebertaV2Model":                     tasks.Base(),
    "DebertaV2ForMaskedLM":               tasks.MaskedLM(
        dense="cls.predictions.transform.dense", act="@hidden_act",
        norm="cls.predictions.transform.LayerNorm", out="cls.predictions.decoder",
        names=_word_rows, tied=_tied, untied_bias="cls.predictions.decoder.bias"),
    "DebertaV2ForSequenceClassification": tasks.SequenceClassifier(soft=True, **POOLED),
    "DebertaV2ForMultipleChoice":         tasks.MultipleChoice(**POOLED),
    "DebertaV2ForTokenClassification":    tasks.TokenClassifier(
        dropout="hidden_dropout_prob", out="classifier"),
    "DebertaV2ForQuestionAnswering":      tasks.Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "deberta-v2"
