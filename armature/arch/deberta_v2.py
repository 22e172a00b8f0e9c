"""DeBERTa v2 and v3 (He et al., 2020, 2021): attention to what tokens say and to where they stand.

A score is a sum of three products: of query and key (c2c), of the query and the vector of its
distance to the key (c2p), of the key and the vector of the same distance (p2c).
"""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import head_width
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Block, Dense, Dropout, LayerNorm, Own, Post, Stack
from armature.outputs import tasks

if TYPE_CHECKING:
    from torch import Tensor

    from armature.batch import Layout
    from armature.layers.context import Context
    from armature.layers.embed import Inputs
    from armature.layers.kernels import Rule

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
    block = Block(Post(norm), Own(lambda: _attention()(c)), mlp)
    first = Own(lambda: _convolved()(c, block)) if c.conv_kernel_size > 0 else block
    return Stack(
        embed=Own(lambda: _embed()(c)),
        block=lambda index: block if index else first,
        depth=c.num_hidden_layers,
        bias=Own(lambda: _distances()(c)),
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


@cache
def _distances() -> type:
    import torch
    from torch import nn

    from armature.layers.norm import LayerNorm

    class Distances(nn.Module):
        """A vector for each bucket of distances: near ones exactly, far ones by logarithm."""

        def __init__(self, c: Config) -> None:
            super().__init__()
            longest, self.buckets = c.max_relative_positions, c.position_buckets
            self.distance = longest if longest > 0 else c.max_position_embeddings
            self.span = self.buckets if self.buckets > 0 else self.distance
            table = torch.empty(2 * self.span, c.hidden_size)
            self.weight: Any = nn.Parameter(table) if c.relative_attention else None
            normed = "layer_norm" in _words(c.norm_rel_ebd)
            self.norm = LayerNorm(c.hidden_size, eps=c.layer_norm_eps) if normed else None

        def forward(self, layout: Layout) -> tuple[Tensor, Tensor]:
            """Return the vectors within reach, (R, D), and the row of each distance, (2T - 1,)."""
            distances = torch.arange(1 - layout.width, layout.width, device="cpu")
            rows = (self.bucket(distances) + self.span).clamp(0, 2 * self.span - 1)
            low, high = int(rows.min()), int(rows.max())
            vectors = self.weight[low : high + 1]
            vectors = vectors if self.norm is None else self.norm(vectors)
            return vectors, (rows - low).to(vectors.device)

        def bucket(self, distance: Tensor) -> Tensor:
            if self.buckets <= 0:
                return distance
            middle, far = self.buckets // 2, distance.abs()
            whole = torch.tensor((self.distance - 1) / middle, device="cpu").log()
            steps = ((far / middle).log() / whole * (middle - 1)).ceil() + middle
            return torch.where(far <= middle, distance, steps * distance.sign()).long()

    return Distances


@cache
def _attention() -> type:
    from torch import nn

    from armature.layers.attention import SelfAttention
    from armature.layers.linear import Linear

    class Disentangled(SelfAttention):
        """Attention to content, and apart from it to distances."""

        def __init__(self, c: Config) -> None:
            heads, width = c.num_attention_heads, head_width(c)
            terms = {"c2p", "p2c"} & set(_words(c.pos_att_type))
            scale = (width * (1 + len(terms))) ** -0.5
            super().__init__(
                c.hidden_size, heads, width, kv_heads=heads, bias=(True, True), scale=scale
            )
            self.terms = terms if c.relative_attention else set()
            apart = set() if c.share_att_key else self.terms
            inner = heads * width
            self.position_k = Linear(c.hidden_size, inner) if "c2p" in apart else None
            self.position_q = Linear(c.hidden_size, inner) if "p2c" in apart else None
            self.position_dropout = nn.Dropout(0.0)

        def _rule(self, context: Context) -> Rule:
            rule, layout = super()._rule(context), context.layout
            distances: Any = context.bias
            if not self.terms:
                return replace(rule, bias=None)
            vectors, places = context.once(distances, lambda: distances(layout))
            vectors, nothing = self.position_dropout(vectors), vectors.new_zeros(())
            keys = self.project(vectors, "k", self.position_k) if "c2p" in self.terms else None
            queries = self.project(vectors, "q", self.position_q) if "p2c" in self.terms else None

            def content(q: Tensor, k: Tensor, rows: slice) -> Tensor:
                index = context.once((distances, rows.start), lambda: _index(layout, rows, places))
                c2p = nothing if keys is None else _picked(q @ keys, index)
                p2c = nothing if queries is None else _picked(k @ queries, index.mT).mT
                return c2p + p2c

            return replace(rule, bias=None, content=content)

        def project(self, vectors: Tensor, part: str, own: nn.Module | None) -> Tensor:
            """(R, D) → (H, E, R)."""
            x = self.qkv.part(vectors, part) if own is None else own(vectors)
            return self._heads(x).permute(1, 2, 0) * self.scale

    return Disentangled


def _index(layout: Layout, rows: slice, places: Tensor) -> Tensor:
    """Return the vector of the distance of each query to each key: (1 or b, 1, Q, S)."""
    shape = (rows.stop - rows.start, layout.lengths[rows.start])
    columns = layout.columns[layout.starts[rows.start] :][: shape[0] * shape[1]].view(shape)
    columns = columns[:1] if layout.index is None else columns
    return places[columns[:, None, :, None] - columns[:, None, None, :] + layout.width - 1]


def _picked(scores: Tensor, index: Tensor) -> Tensor:
    """(b, H, Q, R) and (1 or b, 1, Q, S) → (b, H, Q, S)."""
    return scores.gather(-1, index.expand(*scores.shape[:-1], index.shape[-1]))


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
