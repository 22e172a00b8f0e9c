"""SqueezeBERT (Iandola et al., 2020): BERT whose linear maps work on groups of channels."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import bert, head_width, refuse
from armature.config import Config
from armature.model.spec import Block, LayerNorm, Learned, Own, Post, Stack
from armature.outputs.tasks import (
    Base,
    MaskedLM,
    MultipleChoice,
    SequenceClassifier,
    Spans,
    TokenClassifier,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.context import Context
    from armature.layers.kernels import Rule

LIKE = bert
DEFAULTS = bert.DEFAULTS | {
    "embedding_size": 768,
    "q_groups": 4,
    "k_groups": 4,
    "v_groups": 4,
    "post_attention_groups": 1,
    "intermediate_groups": 4,
    "output_groups": 4,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    refuse(c, embedding_size=c.hidden_size)
    stack = bert.encoder(c, Learned(c.max_position_embeddings))
    assert isinstance(stack.block, Block)
    block = replace(
        stack.block,
        order=Post(LayerNorm(1e-12)),  # HF: whatever the config says
        attn=Own(lambda: _attention()(c)),
        mlp=Own(lambda: _mlp()(c)),
    )
    return replace(stack, block=block)


@cache
def _groups() -> type[nn.Module]:
    import torch
    from torch import nn

    class Groups(nn.Module):
        """A linear map of each group of channels: a convolution one token wide."""

        def __init__(self, width: int, rows: int, groups: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.empty(rows, width // groups, 1))
            self.bias = nn.Parameter(torch.empty(rows))
            self.groups = groups

        def forward(self, x: Tensor) -> Tensor:
            """(N, D) → (N, rows)."""
            parts = x.unflatten(-1, (self.groups, -1)).transpose(0, 1)
            weight = self.weight[..., 0].unflatten(0, (self.groups, -1))
            return (parts @ weight.mT).transpose(0, 1).flatten(1) + self.bias

    return Groups


@cache
def _attention() -> type[nn.Module]:
    import torch
    from torch import nn

    from armature.layers import kernels
    from armature.layers.attention import SelfAttention

    class Grouped(nn.Module):
        """Queries, keys and values, each by groups of its own."""

        def __init__(self, c: Config) -> None:
            super().__init__()
            self.q = _groups()(c.hidden_size, c.hidden_size, c.q_groups)
            self.k = _groups()(c.hidden_size, c.hidden_size, c.k_groups)
            self.v = _groups()(c.hidden_size, c.hidden_size, c.v_groups)

        def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            """(N, D) → (N, D) of each."""
            return self.q(x), self.k(x), self.v(x)

    class Attention(SelfAttention):
        """Attention that shows its scores, not the weights that are made of them."""

        def __init__(self, c: Config) -> None:
            heads, width = c.num_attention_heads, head_width(c)
            super().__init__(c.hidden_size, heads, width, kv_heads=heads, bias=(True, True))
            self.qkv = Grouped(c)
            self.out = _groups()(c.hidden_size, c.hidden_size, c.post_attention_groups)

        def _mix(self, q: Tensor, k: Tensor, v: Tensor, context: Context, rule: Rule) -> Tensor:
            layout = context.layout
            if context.layer in context.record.attentions:
                wide = layout.unpack(q).transpose(1, 2), layout.unpack(k).transpose(1, 2)
                scores = wide[0] @ wide[1].mT * self.scale
                hidden = ~layout.mask[:, None, None]
                lowest = torch.finfo(scores.dtype).min
                context.record.kept_attentions[context.layer] = scores.masked_fill(hidden, lowest)
            return kernels.attend(q, k, v, layout, layout, rule)

    return Attention


@cache
def _mlp() -> type[nn.Module]:
    from torch import nn

    from armature.layers.act import activation

    class Mlp(nn.Module):
        """Up, activation, down, by groups."""

        def __init__(self, c: Config) -> None:
            super().__init__()
            self.up = _groups()(c.hidden_size, c.intermediate_size, c.intermediate_groups)
            self.down = _groups()(c.intermediate_size, c.hidden_size, c.output_groups)
            self.act = activation(c.hidden_act)

        def forward(self, x: Tensor, _context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            return self.down(self.act(self.up(x)))

    return Mlp


PREFIX = "transformer"
# fmt: off
NAMES = {
    "embed.token":           "embeddings.word_embeddings",
    "embed.position":        "embeddings.position_embeddings",
    "embed.segment":         "embeddings.token_type_embeddings",
    "embed.norm":            "embeddings.LayerNorm",
    "blocks.{i}.attn.qkv.q": "encoder.layers.{i}.attention.query",
    "blocks.{i}.attn.qkv.k": "encoder.layers.{i}.attention.key",
    "blocks.{i}.attn.qkv.v": "encoder.layers.{i}.attention.value",
    "blocks.{i}.attn.out":   "encoder.layers.{i}.post_attention.conv1d",
    "blocks.{i}.attn_norm":  "encoder.layers.{i}.post_attention.layernorm",
    "blocks.{i}.mlp.up":     "encoder.layers.{i}.intermediate.conv1d",
    "blocks.{i}.mlp.down":   "encoder.layers.{i}.output.conv1d",
    "blocks.{i}.mlp_norm":   "encoder.layers.{i}.output.layernorm",
}
UNUSED = ("classifier_dropout",)

SPARE = "transformer.pooler.dense"  # HF: every class has a pooler, used or not
POOLED: dict[str, Any] = {"dense": SPARE, "act": "tanh", "out": "classifier",
                          "dropout": "hidden_dropout_prob"}
HEADS = {
    "SqueezeBertModel":                     Base(dense=SPARE, act="tanh"),
    "SqueezeBertForMaskedLM":               MaskedLM(spare=SPARE, **bert.WORDS),
    "SqueezeBertForSequenceClassification": SequenceClassifier(**POOLED),
    "SqueezeBertForMultipleChoice":         MultipleChoice(**POOLED),
    "SqueezeBertForTokenClassification":    TokenClassifier(
        out="classifier", dropout="hidden_dropout_prob", spare=SPARE),
    "SqueezeBertForQuestionAnswering":      Spans(out="qa_outputs", spare=SPARE),
}
# fmt: on
INPUTS = "squeezebert"
