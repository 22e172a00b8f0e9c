"""Queries: trained vectors that look at an image, one for each thing (Carion et al., 2020)."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.act import activation
from armature.layers.linear import Linear
from armature.layers.norm import LayerNorm


class Queries(nn.Embedding):
    """Trained vectors, one for each query; fresh ones are far apart, so that they part ways."""

    def compute(self, weight: Tensor) -> None:
        """Fill fresh vectors."""
        weight.normal_()


class QueryAttention(nn.Module):
    """Attention whose queries and keys know their places; values do not."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (Linear(width, width) for _ in range(3))
        self.out = Linear(width, width)
        self.dropout = 0.0

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, hidden: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Look from queries (B, Q, D) at keys and values (B, T, D).

        Args:
            query: with their places.
            key: with their places.
            value: without.
            hidden: (B, Q, T), true where a query does not see a place.

        Returns:
            (B, Q, D), and the shares (B, H, Q, T) of what was seen.
        """
        q, k, v = (
            x.unflatten(-1, (self.heads, -1)).transpose(1, 2) for x in self._maps(query, key, value)
        )
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(2, 3)
        if hidden is not None:
            scores = scores.masked_fill(hidden[:, None], float("-inf"))
        shares = scores.softmax(-1)
        mixed = F.dropout(shares, self.dropout, self.training) @ v
        return self.out(mixed.transpose(1, 2).flatten(2)), shares

    def _maps(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.q(query), self.k(key), self.v(value)


class PackedQueryAttention(QueryAttention):
    """Its maps of queries, keys and values lie one after another in one weight."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        del self.q, self.k, self.v
        self.weight = nn.Parameter(torch.empty(3 * width, width))
        self.bias = nn.Parameter(torch.empty(3 * width))

    def _maps(self, query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        weights, biases = self.weight.chunk(3), self.bias.chunk(3)
        triples = zip((query, key, value), weights, biases, strict=True)
        first, second, third = (F.linear(*triple) for triple in triples)
        return first, second, third


class QueryBlock(nn.Module):
    """Queries look at each other, at the image, and think: in any order, each with its norm."""

    def __init__(
        self,
        organs: dict[str, nn.Module],
        width: int,
        *,
        pre: bool = False,
        dropout: float = 0.0,
    ) -> None:
        """Join organs.

        Args:
            organs: "attn", "cross" and "mlp", in the order in which they work.
            width: D.
            pre: whether the norms stand before the organs, or behind the sums.
            dropout: how much of their results is dropped while training.
        """
        super().__init__()
        self.order, self.pre = tuple(organs), pre
        for name, organ in organs.items():
            setattr(self, name, organ)
        self.norms = nn.ModuleDict({name: LayerNorm(width) for name in organs})
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        place: Tensor,
        memory: Tensor,
        memory_place: Tensor,
        hidden: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Let queries look at a memory.

        Args:
            x: (B, Q, D).
            place: of the queries, (Q, D).
            memory: (B, T, D).
            memory_place: of the memory, (1 or B, T, D).
            hidden: (B, Q, T), true where a query does not see a place of the memory.

        Returns:
            (B, Q, D), and what was seen: "attn" (B, H, Q, Q) and "cross" (B, H, Q, T).
        """
        seen: dict[str, Tensor] = {}
        for name in self.order:
            y = self.norms[name](x) if self.pre else x
            organ = getattr(self, name)
            if name == "attn":
                y, seen[name] = organ(y + place, y + place, y)
            elif name == "cross":
                y, seen[name] = organ(y + place, memory + memory_place, memory, hidden)
            else:
                y = organ(y)
            x = x + self.dropout(y)
            x = x if self.pre else self.norms[name](x)
        return x, seen


class Perceptron(nn.Module):
    """Linear maps with a rectifier between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        pairs = itertools.pairwise(widths)
        self.maps = nn.ModuleList(Linear(one, two) for one, two in pairs)

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → (…, last width)."""
        *inner, last = self.maps
        for one in inner:
            x = F.relu(one(x))
        return last(x)


class QueryMLP(nn.Module):
    """What a query thinks with: up, activation, down."""

    def __init__(self, width: int, inner: int, act: str, dropout: float = 0.0) -> None:
        super().__init__()
        self.up, self.down = Linear(width, inner), Linear(inner, width)
        self.act, self.dropout = activation(act), nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → (…, D)."""
        return self.down(self.dropout(self.act(self.up(x))))
