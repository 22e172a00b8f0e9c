"""RoFormer (Su et al., 2021): BERT whose queries and keys turn by a table of waves in the file."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import bert, head_width
from armature.config import Config
from armature.model.spec import Block, Learned, Own, Stack
from armature.outputs.tasks import (
    Base,
    CausalLM,
    MaskedLM,
    MultipleChoice,
    SequenceClassifier,
    Spans,
    TokenClassifier,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.context import Context
    from armature.layers.embed import Inputs
    from armature.layers.kernels import Rule

LIKE = bert
DEFAULTS = bert.DEFAULTS | {
    "vocab_size": 50000,
    "embedding_size": None,
    "max_position_embeddings": 1536,
    "rotary_value": False,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    stack = bert.encoder(c, Learned(c.max_position_embeddings))
    assert isinstance(stack.block, Block)
    waves = cache(lambda: _waves()(c))  # one table, that the embeddings own and attention reads
    block = replace(stack.block, attn=Own(lambda: _attention()(c)))
    return replace(stack, embed=Own(lambda: _embed()(c, waves())), block=block, bias=Own(waves))


@cache
def _waves() -> type[nn.Module]:
    from armature.layers import position

    class Waves(position.Learned):
        """Sines, then cosines, of each position's angles; stored, though never trained."""

        by_column = True  # HF: RoFormer takes no positions; where values turn, padding shows

        def __init__(self, c: Config) -> None:
            super().__init__(c.max_position_embeddings, head_width(c), 0, None)

        def _make(self) -> None:
            plain = position.Sinusoidal(self.size, self.width, 0, None)
            self.register_buffer("weight", plain._table(self.size))

        def table(self, context: Context) -> tuple[Tensor, ...]:
            """Return the sines and cosines of this pass's tokens, (N, 1, E / 2) each."""
            rows = context.layout.columns if context.positions is None else context.positions
            return self(rows)[:, None].chunk(2, -1)

    return Waves


@cache
def _embed() -> type[nn.Module]:
    from armature.layers import embed, norm

    class Embed(embed.Tokens):
        """Token embeddings to which no position is added."""

        def __init__(self, c: Config, waves: nn.Module) -> None:
            width, wide = c.embedding_size or c.hidden_size, c.hidden_size
            super().__init__(
                c.vocab_size,
                width,
                types=c.type_vocab_size,
                norm=norm.LayerNorm(width, eps=c.layer_norm_eps),
                project=wide if wide != width else 0,
            )
            self.position = waves

        def summed(self, inputs: Inputs) -> Tensor:
            return self._tokens(inputs) + self._segments(inputs.types)

    return Embed


@cache
def _attention() -> type[nn.Module]:
    import torch

    from armature.layers.attention import SelfAttention

    class Turning(SelfAttention):
        """Attention whose queries and keys, perhaps values too, turn in neighbouring pairs."""

        def __init__(self, c: Config) -> None:
            heads, width = c.num_attention_heads, head_width(c)
            causal = bool(c.is_decoder)
            super().__init__(
                c.hidden_size, heads, width, kv_heads=heads, bias=(True, True), causal=causal
            )
            self.turns_values = bool(c.rotary_value)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            waves: Any = context.bias
            sin, cos = context.once(waves, lambda: waves.table(context))

            def turn(x: Tensor) -> Tensor:
                a, b = x[..., 0::2], x[..., 1::2]
                return torch.stack((a * cos - b * sin, b * cos + a * sin), -1).flatten(-2)

            q, k, v = self._projected(x)
            v = turn(v) if self.turns_values else v
            return self.out(self._mix(turn(q), turn(k), v, context, self._rule(context)))

        def _rule(self, context: Context) -> Rule:
            return replace(super()._rule(context), bias=None)

    return Turning


PREFIX = "roformer"
# fmt: off
NAMES = bert.NAMES | {"embed.project": "embeddings_project",
                      "embed.position": "encoder.embed_positions"}
UNUSED = ("classifier_dropout",)

HEADS = {
    "RoFormerModel":                     Base(),
    "RoFormerForMaskedLM":               MaskedLM(**bert.WORDS),
    "RoFormerForCausalLM":               CausalLM(**bert.WORDS),
    "RoFormerForSequenceClassification": SequenceClassifier(
        dense="classifier.dense", act="@hidden_act", out="classifier.out_proj",
        dropout="hidden_dropout_prob"),
    "RoFormerForMultipleChoice":         MultipleChoice(
        summary="sequence_summary.summary", out="classifier"),
    "RoFormerForTokenClassification":    TokenClassifier(
        out="classifier", dropout="hidden_dropout_prob"),
    "RoFormerForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "roformer"
