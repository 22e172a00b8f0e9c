"""MobileBERT (Sun et al., 2020): BERT whose blocks work inside a narrow bottleneck."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import bert, refuse
from armature.config import Config
from armature.model.spec import Dropout, Own, Stack
from armature.outputs import tasks

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.context import Context
    from armature.layers.embed import Inputs
    from armature.layers.kernels import Rule

LIKE = bert
DEFAULTS = bert.DEFAULTS | {
    "hidden_size": 512,
    "num_hidden_layers": 24,
    "num_attention_heads": 4,
    "intermediate_size": 512,
    "hidden_act": "relu",
    "hidden_dropout_prob": 0.0,
    "embedding_size": 128,
    "trigram_input": True,
    "use_bottleneck": True,
    "intra_bottleneck_size": 128,
    "use_bottleneck_attention": False,
    "key_query_shared_bottleneck": True,
    "num_feedforward_networks": 4,
    "normalization_type": "no_norm",
    "classifier_activation": True,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    refuse(c, position_embedding_type="absolute")
    if c.normalization_type != "layer_norm":
        refuse(c, normalization_type="no_norm")
    return Stack(
        embed=Own(lambda: _embed()(c)),
        block=lambda _index: Own(lambda: _block()(c)),
        depth=c.num_hidden_layers,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


def _norm(c: Config, width: int, eps: float = 1e-5) -> nn.Module:
    import torch
    from torch import nn

    from armature.layers.norm import LayerNorm

    class Scale(nn.Module):
        """A weight and a bias for each channel, and no norm."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.empty(width))
            self.bias = nn.Parameter(torch.empty(width))

        def forward(self, x: Tensor) -> Tensor:
            """(…, D) → (…, D)."""
            return x * self.weight + self.bias

    return LayerNorm(width, eps=eps) if c.normalization_type == "layer_norm" else Scale()


@cache
def _embed() -> type[nn.Module]:
    import torch
    from torch.nn import functional as F

    from armature.layers import embed, linear, position

    class Embed(embed.Tokens):
        """Each token's embedding beside its neighbours', mapped to the width of the blocks."""

        takes = ("input_ids", "inputs_embeds")

        def __init__(self, c: Config) -> None:
            width = c.hidden_size
            super().__init__(c.vocab_size, c.embedding_size)
            self.position = position.Learned(c.max_position_embeddings, width, 0, None)
            self.segment, self.takes_types = embed.Embedding(c.type_vocab_size, width), True
            self.trigrams = bool(c.trigram_input)
            self.project = linear.Linear(c.embedding_size * (3 if self.trigrams else 1), width)
            self.maps = self.trigrams or c.embedding_size != width
            self.norm, self.width = _norm(c, width), width

        def summed(self, inputs: Inputs) -> Tensor:
            x = self._near(inputs) if self.trigrams else self._tokens(inputs)
            x = self.project(x) if self.maps else x
            rows = inputs.layout.columns if inputs.positions is None else inputs.positions
            return x + self.position(rows) + self._segments(inputs.types)

        def _near(self, inputs: Inputs) -> Tensor:
            """Return (N, 3 · width): the embeddings of the next token, this one, the last one."""
            layout, given, own = inputs.layout, inputs.further, self._tokens(inputs)
            ids, whole = given.get("input_ids"), given.get("inputs_embeds")
            if ids is not None:  # HF: a text's last token has padding beside it, if there is any
                whole = self.token(ids.reshape(layout.rows, layout.width))
            whole = (
                layout.unpack(own)
                if whole is None
                else whole.reshape(layout.rows, layout.width, -1)
            )
            after, before = F.pad(whole[:, 1:], (0, 0, 0, 1)), F.pad(whole[:, :-1], (0, 0, 1, 0))
            return layout.pack(torch.cat((after, whole, before), -1))

        def forward(self, inputs: Inputs) -> Tensor:
            return self.dropout(self.norm(self.summed(inputs)))

    return Embed


@cache
def _block() -> type[nn.Module]:  # noqa: C901 - modules' methods
    from torch import nn

    from armature.layers.attention import SelfAttention
    from armature.layers.kernels import WrittenOut
    from armature.layers.linear import Linear
    from armature.layers.mlp import Dense
    from armature.model.block import Block

    class Attention(SelfAttention):
        """Attention whose queries and keys come from one input, and whose values from another."""

        def __init__(self, c: Config, width: int, value_width: int) -> None:
            heads, each = c.num_attention_heads, width // c.num_attention_heads
            super().__init__(width, heads, each, kv_heads=heads, bias=(True, True))
            self.qkv.v = Linear(value_width, heads * each)

        def _rule(self, context: Context) -> Rule:
            return WrittenOut(**vars(super()._rule(context)))

        def between(self, x: Tensor, values: Tensor, context: Context) -> Tensor:
            parts = self.qkv.part(x, "q"), self.qkv.part(x, "k"), self.qkv.part(values, "v")
            q, k, v = (self._heads(part) for part in parts)
            return self.out(self._mix(q, k, v, context, self._rule(context)))

    class Mapped(nn.Module):
        """A linear map and a norm."""

        def __init__(self, c: Config, width: int, rows: int) -> None:
            super().__init__()
            self.dense, self.norm = Linear(width, rows), _norm(c, rows, c.layer_norm_eps)

        def forward(self, x: Tensor, more: Tensor | float = 0.0) -> Tensor:
            """(N, D) → (N, rows), of which `more` is a part."""
            return self.norm(self.dense(x) + more)

    class Thin(nn.Module):
        """One more mlp with its norm."""

        def __init__(self, c: Config, width: int) -> None:
            super().__init__()
            self.mlp = Dense(width, c.intermediate_size, c.hidden_act, bias=True)
            self.norm = _norm(c, width, c.layer_norm_eps)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            return self.norm(x + self.mlp(x, context))

    class Narrow(Block):
        """Attention and several mlps, all narrow, between a map in and a map out."""

        def __init__(self, c: Config) -> None:
            wide, narrow = c.hidden_size, bool(c.use_bottleneck)
            width = (wide, c.intra_bottleneck_size)[narrow]
            norms = {"attn_norm": _norm(c, width, c.layer_norm_eps), "mlp_norm": _norm(c, width)}
            value_width = width if c.use_bottleneck_attention else wide
            mlp = Dense(width, c.intermediate_size, c.hidden_act, bias=True)
            super().__init__(Attention(c, width, value_width), mlp, norms, None)
            more = max(c.num_feedforward_networks - 1, 0)
            self.more = nn.ModuleList(Thin(c, width) for _ in range(more))
            self.within = Mapped(c, wide, width) if narrow else None
            shared = bool(c.key_query_shared_bottleneck) and narrow
            self.asking = Mapped(c, wide, width) if shared else None
            self.without = Mapped(c, width, wide) if narrow else None
            self.narrow_values = bool(c.use_bottleneck_attention)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            asks = values = x
            inner = x if self.within is None else self.within(x)
            if self.within is not None and self.narrow_values:
                asks = values = inner
            elif self.asking is not None:
                asks = self.asking(x)
            inner = self.attn_norm(inner + self.attn.between(asks, values, context))
            for mlp in self.more:
                inner = mlp(inner, context)
            inner = self.mlp_norm(inner + self.mlp(inner, context))
            return inner if self.without is None else self.without(inner, x)

    return Narrow


PREFIX = "mobilebert"
# fmt: off
NAMES = bert.NAMES | {
    "embed.project":               "embeddings.embedding_transformation",
    "blocks.{i}.within.dense":     "encoder.layer.{i}.bottleneck.input.dense",
    "blocks.{i}.within.norm":      "encoder.layer.{i}.bottleneck.input.LayerNorm",
    "blocks.{i}.asking.dense":     "encoder.layer.{i}.bottleneck.attention.dense",
    "blocks.{i}.asking.norm":      "encoder.layer.{i}.bottleneck.attention.LayerNorm",
    "blocks.{i}.without.dense":    "encoder.layer.{i}.output.bottleneck.dense",
    "blocks.{i}.without.norm":     "encoder.layer.{i}.output.bottleneck.LayerNorm",
    "blocks.{i}.more.{j}.mlp.up":   "encoder.layer.{i}.ffn.{j}.intermediate.dense",
    "blocks.{i}.more.{j}.mlp.down": "encoder.layer.{i}.ffn.{j}.output.dense",
    "blocks.{i}.more.{j}.norm":     "encoder.layer.{i}.ffn.{j}.output.LayerNorm",
}
UNUSED: tuple[str, ...] = ("true_hidden_size",)

WORDS: dict[str, Any] = {**bert.WORDS, "rest": "cls.predictions.dense"}
FIRST: dict[str, Any] = {"dense": "mobilebert.pooler.dense", "act": "tanh",
                         "gate": "classifier_activation"}
DROPOUT = "classifier_dropout hidden_dropout_prob"
HEADS = {
    "MobileBertModel":                     tasks.Base(**FIRST),
    "MobileBertForPreTraining":            tasks.PreTraining(
        pooler="mobilebert.pooler.dense", pooler_gate="classifier_activation",
        order="cls.seq_relationship", **WORDS),
    "MobileBertForMaskedLM":               tasks.MaskedLM(**WORDS),
    "MobileBertForNextSentencePrediction": tasks.NextSentence(out="cls.seq_relationship", **FIRST),
    "MobileBertForSequenceClassification": tasks.SequenceClassifier(
        out="classifier", dropout=DROPOUT, **FIRST),
    "MobileBertForMultipleChoice":         tasks.MultipleChoice(
        out="classifier", dropout=DROPOUT, **FIRST),
    "MobileBertForTokenClassification":    tasks.TokenClassifier(out="classifier"),
    "MobileBertForQuestionAnswering":      tasks.Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "mobilebert"
