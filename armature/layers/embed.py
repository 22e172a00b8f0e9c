"""Embeddings: tokens and what is added to them, patches of images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from armature.batch import Layout, extremes
from armature.errors import ArgumentError
from armature.layers.linear import Linear
from armature.layers.position import Learned


@dataclass
class Inputs:
    """Packed inputs of a stack: token ids or ready embeddings, and what goes with them."""

    layout: Layout
    tokens: Tensor | None = None  # (N,)
    whole: Tensor | None = None  # (B, T) the ids with their padding, which some positions count
    types: Tensor | None = None  # (N,)
    positions: Tensor | None = None  # (N,)
    embeds: Tensor | None = None  # (N, D)
    further: dict[str, Any] = field(default_factory=dict)  # of a call, unpacked: see `takes`

    def keep_padding(self, pad: int) -> None:
        """Make padding of tokens `pad`, computed and yet hidden, as it is in a compiled graph."""
        old = self.layout
        if old.index is not None:
            whole, hidden = (old.width,) * old.rows, ~old.mask
            self.layout = Layout(whole, old.width, old.device, past=old.past, hidden=hidden)
            if self.tokens is not None:
                self.tokens = old.unpack(self.tokens, pad).flatten()
            for name in ("types", "positions"):
                value = getattr(self, name)
                setattr(self, name, None if value is None else old.unpack(value).flatten())
            if self.embeds is not None:
                self.embeds = old.unpack(self.embeds).flatten(0, 1)


class Embedding(nn.Embedding):
    """A table of vectors."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are: they are filled once, by a file or by the model."""


class Tokens(nn.Module):
    """Token, position and segment embeddings, their sum perhaps normed and projected."""

    takes: tuple[str, ...] = ()  # further arguments of a call that reach `Inputs.further`
    answers: Any = None  # takes a result's fields apart; returns a field → the new one behind it

    def __init__(  # noqa: PLR0913
        self,
        vocab: int,
        width: int,
        *,
        position: Learned | None = None,
        types: int = 0,
        norm: nn.Module | None = None,
        scale: float = 1.0,
        project: int = 0,
    ) -> None:
        super().__init__()
        self.token = Embedding(vocab, width)
        self.position = position
        self.segment = Embedding(types, width) if types > 0 else None
        self.norm = norm
        self.project = Linear(width, project) if project else None
        self.dropout = nn.Dropout(0.0)
        self.scale, self.types_are_tokens = scale, types < 0
        self.width = project or width  # of the states that leave here
        self.takes_types = types != 0

    def forward(self, inputs: Inputs) -> Tensor:
        """Packed inputs → (N, D)."""
        x = self.summed(inputs)
        x = x if self.norm is None else self.norm(x)
        x = self.dropout(x)
        return x if self.project is None else self.project(x)

    def summed(self, inputs: Inputs) -> Tensor:
        """Packed inputs → (N, width of the tables): tokens, segments and positions."""
        x = self._tokens(inputs)
        if self.segment is not None:
            x = x + self._segments(inputs.types)
        elif self.types_are_tokens and inputs.types is not None:
            x = x + self.token(inputs.types)
        if self.position is not None:
            rows = inputs.positions
            if rows is None:
                rows = self.position.rows(inputs.layout, inputs.tokens, inputs.whole)
            else:  # a caller's positions name rows of the table, unless the offset is its secret
                rows = rows - (self.position.offset if self.position.pad is not None else 0)
            x = x + self.position(rows).to(x.dtype)
        return x

    @property
    def factor(self) -> float:
        """What embeddings that a caller gives are multiplied with: a scale is the table's."""
        return 1.0

    def _segments(self, types: Tensor | None) -> Tensor:
        assert self.segment is not None
        if types is None:
            return self.segment.weight[0]
        seen = extremes(types)
        if seen and seen[1] >= self.segment.num_embeddings:
            raise ArgumentError(
                f"token_type_ids hold {seen[1]}, but the model knows "
                f"{self.segment.num_embeddings} segments, counted from 0: leave them out"
            )
        return self.segment(types)

    def _tokens(self, inputs: Inputs) -> Tensor:
        if inputs.embeds is not None:
            return inputs.embeds if self.factor == 1.0 else inputs.embeds * self.factor
        if inputs.tokens is None:
            raise ArgumentError("give input_ids or inputs_embeds")
        vocab = self.token.num_embeddings
        seen = extremes(inputs.tokens)
        if seen and not 0 <= seen[0] <= seen[1] < vocab:
            raise ArgumentError(
                f"input_ids hold a token outside the vocabulary of {vocab}: "
                "use the tokenizer of this checkpoint"
            )
        x = self.token(inputs.tokens)
        return x if self.scale == 1.0 else x * self.scale


class ScaledTokens(Tokens):
    """Embeddings whose scale is for those that a caller gives, too."""

    @property
    def factor(self) -> float:
        """The scale of the table."""
        return self.scale


class PaddedTokens(Tokens):
    """Padding may stand for a text: it is embedded, too, and sees the text that it is hidden from.

    `stands` says whether one of these texts (B, T), given where it is real, needs it.
    """

    def forward(self, inputs: Inputs) -> Tensor:
        """Packed inputs → (N, D); with the padding where it is needed."""
        whole = inputs.whole
        if inputs.layout.index is None or whole is None:
            return super().forward(inputs)
        if self.stands(whole, inputs.layout.mask):
            inputs.keep_padding(0)
            inputs.tokens = whole.flatten()
        return super().forward(inputs)

    def stands(self, ids: Tensor, real: Tensor) -> bool:
        """Return whether padding stands for any text: what is in the first column does."""
        return not bool(real[:, 0].all())
