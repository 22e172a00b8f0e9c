"""Attention to what tokens say and, apart from it, to where they stand (He et al., 2020).

A score is a sum of three products: of query and key (c2c), of the query and the vector of its
distance to the key (c2p), of the key and the vector of the same distance (p2c).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from armature.batch import Layout
from armature.layers.attention import SelfAttention
from armature.layers.context import Context
from armature.layers.kernels import Rule
from armature.layers.linear import Linear


class Distances(nn.Module):
    """A vector for each bucket of distances: near ones exactly, far ones by logarithm."""

    def __init__(self, width: int, reach: tuple[int, int], norm: nn.Module | None) -> None:
        """Build it.

        Args:
            width: D; 0: there are no vectors.
            reach: how many buckets there are on each side (none, if not above 0), and how far
                the farthest reaches.
            norm: what norms the vectors.
        """
        super().__init__()
        self.buckets, self.distance = reach
        self.span = self.buckets if self.buckets > 0 else self.distance
        self.weight: Any = nn.Parameter(torch.empty(2 * self.span, width)) if width else None
        self.norm = norm

    def forward(self, layout: Layout) -> tuple[Tensor, Tensor]:
        """Return the vectors within reach, (R, D), and the row of each distance, (2T - 1,)."""
        distances = torch.arange(1 - layout.width, layout.width, device="cpu")
        rows = (self.bucket(distances) + self.span).clamp(0, 2 * self.span - 1)
        low, high = int(rows.min()), int(rows.max())
        vectors = self.weight[low : high + 1]
        vectors = vectors if self.norm is None else self.norm(vectors)
        return vectors, (rows - low).to(vectors.device)

    def bucket(self, distance: Tensor) -> Tensor:
        """Return the bucket of each distance."""
        if self.buckets <= 0:
            return distance
        middle, far = self.buckets // 2, distance.abs()
        whole = torch.tensor((self.distance - 1) / middle, device="cpu").log()
        steps = ((far / middle).log() / whole * (middle - 1)).ceil() + middle
        return torch.where(far <= middle, distance, steps * distance.sign()).long()


class Disentangled(SelfAttention):
    """Attention to content, and apart from it to distances."""

    def __init__(
        self, width: int, heads: int, head_width: int, kind: tuple[set[str], bool, bool]
    ) -> None:
        """Build it.

        Args:
            width: D.
            heads: H.
            head_width: E.
            kind: which of "c2p" and "p2c" scores are scaled for; whether they are there at all;
                whether vectors of distances are projected as tokens are.
        """
        terms, there, shared = kind
        scale = (head_width * (1 + len(terms))) ** -0.5
        super().__init__(width, heads, head_width, kv_heads=heads, bias=(True, True), scale=scale)
        self.terms = terms if there else set()
        apart = set() if shared else self.terms
        inner = heads * head_width
        self.position_k = Linear(width, inner) if "c2p" in apart else None
        self.position_q = Linear(width, inner) if "p2c" in apart else None
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
            index = index[..., : k.shape[2]]  # keys may end before queries do
            c2p = nothing if keys is None else _picked(q @ keys, index)
            p2c = nothing if queries is None else _picked(k @ queries, index.mT).mT
            return c2p + p2c

        return replace(rule, bias=None, content=content)

    def project(self, vectors: Tensor, part: str, own: nn.Module | None) -> Tensor:
        """(R, D) → (H, E, R)."""
        x = self.qkv.part(vectors, part) if own is None else own(vectors)
        return self._heads(x).permute(1, 2, 0) * self.scale


def _index(layout: Layout, rows: slice, places: Tensor) -> Tensor:
    """Return the vector of the distance of each query to each key: (1 or b, 1, Q, S)."""
    shape = (rows.stop - rows.start, layout.lengths[rows.start])
    columns = layout.columns[layout.starts[rows.start] :][: shape[0] * shape[1]].view(shape)
    columns = columns[:1] if layout.index is None else columns
    return places[columns[:, None, :, None] - columns[:, None, None, :] + layout.width - 1]


def _picked(scores: Tensor, index: Tensor) -> Tensor:
    """(b, H, Q, R) and (1 or b, 1, Q, S) → (b, H, Q, S)."""
    return scores.gather(-1, index.expand(*scores.shape[:-1], index.shape[-1]))
