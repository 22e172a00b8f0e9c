"""Context: what all blocks of one forward pass share, made once and handed through."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from armature.batch import Layout
from armature.layers.bias import Bias
from armature.layers.cache import Cache
from armature.layers.position import Rotary, Table
from armature.layers.windows import Grid


@dataclass
class Record:
    """What a caller asked to see: recorded by layer, nothing else is kept."""

    states: frozenset[int] = frozenset()  # 0 is the embeddings, i the output of block i
    attentions: frozenset[int] = frozenset()  # blocks
    router: bool = False
    kept_states: dict[int, Tensor] = field(default_factory=dict)  # packed (N, D)
    kept_attentions: dict[int, Tensor] = field(default_factory=dict)  # (B, H, T, S)
    kept_cross: dict[int, Tensor] = field(default_factory=dict)
    kept_router: list[Tensor] = field(default_factory=list)  # (N, X)
    kept_mems: list[Tensor] = field(default_factory=list)  # (M, B, D) for a later call to recall


@dataclass
class Context:
    """One forward pass: the layout of its tokens, shared tables, a memory, a cache, a record."""

    layout: Layout
    positions: Tensor | None = None  # (N,) for rotations; None: ranks in each sequence
    bias: Bias | None = None
    grid: Grid | None = None  # the map whose patches a sequence is
    regions: Tensor | None = None  # (R, T) labels; only tokens of one label see each other
    memory: Tensor | None = None  # (M, D) what cross-attention looks at, packed
    memory_layout: Layout | None = None
    cache: Cache | None = None
    record: Record = field(default_factory=Record)
    layer: int = 0  # the block that runs now
    shared: dict[Hashable, Any] = field(default_factory=dict)

    def once(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return what `make` yields, made once for all blocks of this pass."""
        if key not in self.shared:
            self.shared[key] = make()
        return self.shared[key]

    def table(self, rotary: Rotary) -> Table:
        """Return the cosines and sines of this pass's tokens."""
        positions = self.layout.counts if self.positions is None else self.positions
        return self.once(rotary, lambda: rotary(positions, self.layout))
