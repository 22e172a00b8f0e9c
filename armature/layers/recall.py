"""Recall: the states of earlier calls that a block looks at beside those of its own tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers.context import Context


@dataclass
class States:
    """What a block remembers, (B, M, D), in a cache's place of keys and values."""

    states: Tensor

    def clone(self) -> States:
        """Return a copy."""
        return States(self.states.clone())

    def select(self, rows: Tensor) -> None:
        """Keep the rows named, in that order; a row may be named several times."""
        self.states = self.states.index_select(0, rows)


@dataclass(frozen=True)
class Rectangle:
    """Packed tokens as rows that all begin at the left, so that memories go before them."""

    layout: Layout
    places: Tensor  # (N,) of each token in the flattened rectangle

    @classmethod
    def of(cls, layout: Layout) -> Rectangle:
        """Return the rectangle of a batch."""
        if layout.hidden is not None:
            raise ArgumentError("a compiled model that recalls earlier texts takes no padding")
        longest = max(layout.lengths)
        spans = [torch.arange(n) + row * longest for row, n in enumerate(layout.lengths)]
        return cls(layout, torch.cat(spans).to(layout.device))

    def cut(self, x: Tensor) -> Tensor:
        """(N, D) → (B, T, D), zero where a row has ended."""
        shape = (self.layout.rows, max(self.layout.lengths))
        rows = x.new_zeros(shape[0] * shape[1], x.shape[1]).index_copy(0, self.places, x)
        return rows.unflatten(0, shape)

    def join(self, x: Tensor) -> Tensor:
        """(B, T, …) → (N, …)."""
        return x.flatten(0, 1)[self.places]

    def shown(self, shares: Tensor) -> Tensor:
        """Put the rows of attentions (B, H, T, S) where their tokens stood."""
        if self.layout.index is None:
            return shares
        return self.layout.unpack(self.join(shares.transpose(1, 2))).transpose(1, 2)


def recall(x: Tensor, context: Context, length: int) -> Tensor:
    """Return the (B, M, D) states before rows (B, T, D): a cache's, the caller's, or zeros."""
    cache, given = context.cache, context.shared.get("mems")
    if cache is not None and context.layer in cache.layers:
        memory: Any = cache.layers[context.layer]
        return memory.states
    if given is not None:
        return given[context.layer].transpose(0, 1)
    return x.new_zeros(x.shape[0], length, x.shape[2])


def remember(x: Tensor, memory: Tensor, context: Context, length: int) -> None:
    """Keep the last `length` states of each row, remembered ones too; 0: all, for a cache."""
    both, past = torch.cat((memory, x), 1).detach(), memory.shape[1]
    kept = min(length, both.shape[1]) if length else both.shape[1]
    ends = torch.tensor(context.layout.lengths, device=x.device) + past
    index = (ends[:, None] - kept + torch.arange(kept, device=x.device)).clamp(min=0)
    states = both.gather(1, index[..., None].expand(-1, -1, both.shape[2]))
    if length:
        context.record.kept_mems.append(states.transpose(0, 1))
    if context.cache is not None:
        layers: dict[int, Any] = context.cache.layers
        layers[context.layer] = States(states)
