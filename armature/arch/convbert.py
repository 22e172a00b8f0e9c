"""ConvBERT (Jiang et al., 2020): half of each attention is a convolution made for each token."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import bert
from armature.config import Config
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
    from torch import Tensor, nn

    from armature.layers.context import Context
    from armature.layers.kernels import Rule

DEFAULTS = bert.DEFAULTS | {
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "embedding_size": 768,
    "head_ratio": 2,
    "conv_kernel_size": 9,
    "num_groups": 1,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    stack = bert.encoder(c, Learned(c.max_position_embeddings))
    assert isinstance(stack.block, Block)
    block = replace(stack.block, attn=Own(lambda: _attention()(c)))
    if c.num_groups != 1:
        block = replace(block, mlp=Own(lambda: _grouped()(c)))
    return replace(stack, embed=Own(lambda: _embed()(c)), block=block)


@cache
def _embed() -> type[nn.Module]:
    from armature.layers import embed, norm, position

    class Embed(embed.Tokens):
        """Embeddings of padding too: convolutions see it, though attention does not."""

        takes = ("attention_mask",)

        def __init__(self, c: Config) -> None:
            width, wide = c.embedding_size, c.hidden_size
            super().__init__(
                c.vocab_size,
                width,
                position=position.Learned(c.max_position_embeddings, width, 0, None),
                types=c.type_vocab_size,
                norm=norm.LayerNorm(width, eps=c.layer_norm_eps),
                project=wide if wide != width else 0,
            )

    return Embed


@cache
def _attention() -> type[nn.Module]:
    import torch
    from torch import nn

    from armature.layers.attention import SelfAttention
    from armature.layers.linear import Linear

    class Separable(nn.Module):
        """A convolution of each channel alone, then a map over channels."""

        def __init__(self, width: int, inner: int, kernel: int) -> None:
            super().__init__()
            self.depthwise = nn.Conv1d(
                width, width, kernel, padding=kernel // 2, groups=width, bias=False
            )
            self.pointwise = nn.Conv1d(width, inner, 1, bias=False)
            self.bias = nn.Parameter(torch.zeros(inner, 1))

        def forward(self, x: Tensor) -> Tensor:
            """(B, D, T) → (B, A, T)."""
            return self.pointwise(self.depthwise(x)) + self.bias

    class Mixed(SelfAttention):
        """Attention beside a convolution whose kernel each token makes of its neighbours."""

        def __init__(self, c: Config) -> None:
            heads, width = c.num_attention_heads // c.head_ratio or 1, c.hidden_size
            each = width // heads // 2
            super().__init__(width, heads, each, kv_heads=heads, bias=(True, True))
            inner, self.kernel = heads * each, c.conv_kernel_size
            self.conv = Separable(width, inner, self.kernel)
            self.made = Linear(inner, heads * self.kernel)
            self.seen = Linear(width, inner)
            self.out = Linear(2 * inner, width)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            shape, gap = (context.layout.rows, context.layout.width), (self.kernel - 1) // 2
            q, k, v = self.qkv(x)  # (N, A)
            near = self.conv(x.unflatten(0, shape).transpose(1, 2)).transpose(1, 2).flatten(0, 1)
            kernels = self.made(near * q).unflatten(-1, (self.heads, 1, self.kernel)).softmax(-1)
            seen = nn.functional.pad(self.seen(x).unflatten(0, shape), (0, 0, gap, gap))
            windows = self._heads(seen).unfold(1, self.kernel, 1).flatten(0, 1)  # (N, H, E, K)
            local = (windows * kernels).sum(-1).flatten(1)
            q, k, v = self._heads(q), self._heads(k), self._heads(v)
            mixed = self._mix(q, k, v, context, self._rule(context))
            return self.out(torch.cat((mixed, local), -1))

        def _rule(self, context: Context) -> Rule:
            rule, mask = super()._rule(context), context.shared.get("attention_mask")
            if mask is None:
                return rule
            hidden = mask.reshape(context.layout.rows, 1, 1, -1) == 0

            def content(q: Tensor, _k: Tensor, rows: slice) -> Tensor:
                return (
                    q.new_zeros(())
                    .expand(hidden[rows].shape)
                    .masked_fill(hidden[rows], float("-inf"))
                )

            return replace(rule, content=content)

    return Mixed


@cache
def _grouped() -> type[nn.Module]:
    import torch
    from torch import nn

    from armature.layers.act import activation

    class Group(nn.Module):
        """Maps of equal stretches of the input, side by side."""

        def __init__(self, width: int, rows: int, groups: int) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.empty(groups, width // groups, rows // groups))
            self.bias = nn.Parameter(torch.empty(rows))

        def forward(self, x: Tensor) -> Tensor:
            """(N, D) → (N, rows)."""
            parts = x.unflatten(-1, (self.weight.shape[0], -1)).transpose(0, 1)
            return (parts @ self.weight).transpose(0, 1).flatten(1) + self.bias

    class Grouped(nn.Module):
        """Up, activation, down, by groups."""

        def __init__(self, c: Config) -> None:
            super().__init__()
            self.up = Group(c.hidden_size, c.intermediate_size, c.num_groups)
            self.down = Group(c.intermediate_size, c.hidden_size, c.num_groups)
            self.act = activation(c.hidden_act)

        def forward(self, x: Tensor, _context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            return self.down(self.act(self.up(x)))

    return Grouped


PREFIX = "convbert"
# fmt: off
NAMES = bert.NAMES | {
    "embed.project":         "embeddings_project",
    "blocks.{i}.attn.conv":  "encoder.layer.{i}.attention.self.key_conv_attn_layer",
    "blocks.{i}.attn.made":  "encoder.layer.{i}.attention.self.conv_kernel_layer",
    "blocks.{i}.attn.seen":  "encoder.layer.{i}.attention.self.conv_out_layer",
}
ALIASES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
IGNORED = bert.IGNORED

DROPOUT = "classifier_dropout hidden_dropout_prob"
HEADS: dict[str, Any] = {
    "ConvBertModel":                     Base(),
    "ConvBertForMaskedLM":               MaskedLM(
        dense="generator_predictions.dense", act="gelu", norm="generator_predictions.LayerNorm",
        out="generator_lm_head"),
    "ConvBertForSequenceClassification": SequenceClassifier(
        dense="classifier.dense", act="@hidden_act", out="classifier.out_proj", dropout=DROPOUT),
    "ConvBertForMultipleChoice":         MultipleChoice(
        summary="sequence_summary.summary", out="classifier"),
    "ConvBertForTokenClassification":    TokenClassifier(out="classifier"),
    "ConvBertForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "convbert"
