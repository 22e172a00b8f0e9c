"""Pools: one layer's keys and values, whose places a table of all layers tells."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from armature.batch import Layout
from armature.layers import kernels
from armature.layers.kernels import Rule

if TYPE_CHECKING:
    from armature.layers.slots import Slots


@dataclass
class Pool:
    """The keys and values of one layer, (places, K, E)."""

    slots: Slots
    index: int
    keys: Tensor = field(default_factory=lambda: torch.empty(0))
    values: Tensor = field(default_factory=lambda: torch.empty(0))

    def append(self, k: Tensor, v: Tensor, layout: Layout, _capacity: int) -> None:
        """Store packed k and v, (N, K, E), where the table says."""
        places = self.slots.place(layout)
        self.fit(k)
        self.keys[places] = k
        self.values[places] = v

    def fit(self, like: Tensor) -> None:
        """Have as many places as were given out; `like` is (N, K, E)."""
        have = self.keys.shape[0]
        if have < self.slots.size:
            for name in ("keys", "values"):
                new = like.new_zeros(self.slots.size, *like.shape[1:])
                if have:
                    new[:have] = getattr(self, name)
                setattr(self, name, new)
            self.slots.moved()

    def read(self, layout: Layout) -> tuple[Tensor, Tensor]:
        """Gather the keys and values of all rows, (B, K, S, E)."""
        table = self.slots.table[:, : layout.longest].long()
        return self.keys[table].transpose(1, 2), self.values[table].transpose(1, 2)

    def weights(self, q: Tensor, layout: Layout, rule: Rule) -> Tensor:
        """Return how much new tokens (N, H, E) look at their rows → (B, H, T, S)."""
        return kernels.weights_cached(q, self.read(layout)[0], layout, rule)

    def attend(self, q: Tensor, layout: Layout, rule: Rule) -> Tensor:
        """Let packed new tokens (N, H, E) attend to their rows → (N, H · E)."""
        plain = rule.content is None and rule.regions is None and rule.bias is None
        if plain and set(layout.lengths) == {1} and not torch.is_grad_enabled():
            return self.slots.mixed(self.index, q, layout, rule)
        return kernels.attend_cached(q, *self.read(layout), layout, rule)
