"""Slots: a cache whose tokens lie anywhere, found by a table of each row's places.

Rows may share places: moving, repeating or dropping rows only changes the table, so beams and
common beginnings cost no copies.

    table   row 0: 0 1 2 5      two beams of one prompt (places 0 1 2), each gone on by itself
            row 1: 0 1 2 4
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.batch import Layout
from armature.layers.cache import Cache
from armature.layers.columns import SLACK
from armature.layers.kernels import Rule
from armature.layers.pool import Pool
from armature.native.program import Places, Plan, Writer, pointers


@dataclass
class Slots(Cache):
    """The caches of all layers, one table for all of them."""

    layers: dict[int, Any] = field(default_factory=dict)  # Pools
    table: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.int32))
    size: int = 0  # places that there are
    free: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    given: int = 0  # how many of the free ones were given out
    memory_rows: Tensor | None = None  # (R,) whose memory each row looks at
    looks: tuple[int | None, ...] = ()  # how far back each layer looks
    gone: tuple[int, ...] = ()  # tokens of each row whose places were given away

    def __post_init__(self) -> None:
        self._pass: Layout | None = None  # the pass whose tokens have their places
        self._placed = torch.empty(0)
        self._places_of: Layout | None = None
        self._places: Places | None = None
        self._pointers: tuple[Any, Any] | None = None
        self._memory: Tensor | None = None
        self._plans: dict[tuple[Any, ...], Plan] = {}

    def layer(self, index: int, window: int | None = None) -> Any:
        """Return the pool of block `index`, which looks back so far."""
        if index not in self.layers:
            self.layers[index], self.looks = Pool(self, index), (*self.looks, window)
        return self.layers[index]

    def place(self, layout: Layout) -> Tensor:
        """Return the places (N,) of a pass's new tokens; all its layers get the same."""
        if self._pass is layout:
            return self._placed
        self._widen(layout.rows, layout.longest)
        placed = self._take(layout.total)
        self.table[layout.row_of, layout.counts] = placed.int()
        self._pass, self._placed = layout, placed
        return placed

    def _widen(self, rows: int, longest: int) -> None:
        """Have a table of so many rows and columns at least."""
        if not len(self.table):
            self.table = torch.zeros(rows, max(self.capacity, longest), dtype=torch.int32)
        if longest > self.table.shape[1]:
            more = max(longest, 2 * self.table.shape[1]) - self.table.shape[1]
            self.table = F.pad(self.table, (0, more))

    def _take(self, count: int) -> Tensor:
        """Give out places, (count,)."""
        if self.given + count > len(self.free):
            self._find(count)
        self.given += count
        return self.free[self.given - count : self.given]

    def _find(self, needed: int) -> None:
        """Collect the places that no row has any more, and make new ones where they are few."""
        used = torch.zeros(self.size, dtype=torch.bool)
        far = [n for n in self.looks if n is not None]
        if self.slides is not False and far and len(far) == len(self.looks):
            self.gone = tuple(max(0, n - max(far) - SLACK) for n in self.lengths)
        starts = self.gone or (0,) * len(self.lengths)
        for row, start, length in zip(self.table, starts, self.lengths, strict=False):
            used[row[start:length].long()] = True
        self.free = (~used).nonzero().squeeze(1)
        self.given = 0
        if len(self.free) < needed:
            before, rows = self.size, len(self.table)
            # At first, what all rows were said to need; later, half as much again.
            more = before // 2 if before else self.capacity * rows
            self.size = before + max(more, needed)
            self.free = torch.cat([self.free, torch.arange(before, self.size)])
            self.moved()

    def select(self, rows: Tensor) -> None:
        """Keep the rows named, in that order: what beam search does at each step."""
        self.table = self.table[rows]
        order = rows.tolist()
        self.lengths = tuple(self.lengths[i] for i in order)
        self.gone = tuple(self.gone[i] for i in order) if self.gone else ()
        self.tokens = None if self.tokens is None else tuple(self.tokens[i] for i in order)
        if self.memory_rows is not None:
            self.memory_rows = self.memory_rows[rows]
            self._drop_memories()
        self._memory = None

    def join(self, other: Cache) -> None:
        """Add the rows of another cache of the same model below these."""
        assert isinstance(other, Slots)
        rows, layout = len(self.table), Layout(other.lengths, max(other.lengths), self.table.device)
        self._widen(rows, layout.longest)
        fresh = self.table.new_zeros(layout.rows, self.table.shape[1])
        self.table = torch.cat((self.table, fresh))
        placed = self._take(layout.total)
        self.table[layout.row_of + rows, layout.counts] = placed.int()
        there = other.table[layout.row_of, layout.counts].long()
        for index, pool in self.layers.items():
            pool.fit(pool.keys)
            pool.keys[placed] = other.layers[index].keys[there]
            pool.values[placed] = other.layers[index].values[there]
        if not (
            self.memory_layout is None or self.memory_rows is None or other.memory_rows is None
        ):
            below = other.memory_rows + self.memory_layout.rows
            self.memory_rows = torch.cat((self.memory_rows, below))
        self._join_memory(other)
        if self.gone or other.gone:
            pairs = ((self.gone, self.lengths), (other.gone, other.lengths))
            self.gone = tuple(n for gone, rows in pairs for n in gone or (0,) * len(rows))
        self.lengths += other.lengths
        self.tokens = self._memory = self._places = None

    @property
    def crops(self) -> bool:
        """Whether a text can be shortened: always, by a shorter row of the table."""
        return True

    def clone(self) -> Slots:
        """Return a copy that shares no numbers with this cache."""
        copy = Slots(self.capacity, self.lengths, table=self.table.clone(), size=self.size)
        copy.free, copy.given, copy.memory_rows = self.free, self.given, self.memory_rows
        copy.cross, copy.memory_layout = dict(self.cross), self.memory_layout
        copy.slides, copy.tokens, copy.looks, copy.gone = (
            self.slides, self.tokens, self.looks, self.gone
        )  # fmt: skip
        for index, pool in self.layers.items():
            keys, values = (part.detach().clone() for part in (pool.keys, pool.values))
            copy.layers[index] = Pool(copy, index, keys, values)
        return copy

    def expand(self, times: int) -> Slots:
        """Return a cache that holds each row so many times, all in the same places."""
        found = self.clone()
        found.select(torch.arange(len(self.lengths)).repeat_interleave(times))
        return found

    def thaw(self) -> None:
        """Make the numbers ordinary tensors, which those made in inference mode are not."""
        self.table = self.table.clone()
        self.cross = {i: (k.clone(), v.clone()) for i, (k, v) in self.cross.items()}
        for pool in self.layers.values():
            pool.keys, pool.values = pool.keys.clone(), pool.values.clone()
        self._memory = self._pass = None
        self.moved()

    def windows(self) -> list[tuple[tuple[int, ...], int]]:
        """Return how many tokens of each row went, and how far back layers look."""
        return [(self.gone, max(n or 0 for n in self.looks))] if any(self.gone) else []

    def forget(self) -> None:
        """Forget all tokens; what cross-attention looks at stays."""
        super().forget()
        self.table, self.size, self.given = torch.zeros(0, 0, dtype=torch.int32), 0, 0
        self.free, self.looks, self.gone = torch.empty(0, dtype=torch.long), (), ()
        self._pass = None
        self.moved()

    # ---------------------------------------------------------------- another sequence

    def remember(self, layer: int, k: Tensor, v: Tensor, layout: Layout) -> None:
        """Keep the keys and values (M, K, E) of what the rows look at besides."""
        super().remember(layer, k, v, layout)
        if self.memory_rows is None:
            self.memory_rows = torch.arange(layout.rows)

    def _drop_memories(self) -> None:
        """Forget the memories that no row looks at any more, once they are the greater part."""
        layout, rows = self.memory_layout, self.memory_rows
        assert layout is not None and rows is not None
        kept = rows.unique()
        if 2 * len(kept) > layout.rows:
            return
        index, self.memory_layout = layout.take(kept)
        self.cross = {i: (k[index], v[index]) for i, (k, v) in self.cross.items()}
        self.memory_rows = torch.searchsorted(kept, rows)

    def recall(self, layer: int) -> tuple[Tensor, Tensor, Layout]:
        """Return the keys and values (M, K, E) of every row's memory, and their layout."""
        k, v, layout = super().recall(layer)
        assert self.memory_rows is not None
        if self.memory_rows.tolist() == list(range(layout.rows)):
            return k, v, layout
        index, layout = layout.take(self.memory_rows)
        return k[index], v[index], layout

    def attend_memory(self, layer: int, q: Tensor, layout: Layout, rule: Rule) -> Tensor:
        """Let packed new tokens (N, H, E) attend to their memories → (N, H · E)."""
        if set(layout.lengths) != {1} or torch.is_grad_enabled():
            return super().attend_memory(layer, q, layout, rule)
        return self.mixed(layer, q, layout, rule, recall=True)

    # ---------------------------------------------------------------- for the native kernels

    def moved(self) -> None:
        """Take note that keys and values lie elsewhere now."""
        self._pointers = self._places = None

    def places(self, layout: Layout) -> Places:
        """Return where one pass's rows find everything."""
        if self._places_of is layout and self._places is not None:
            return self._places
        self.place(layout)
        if self._pointers is None:
            pools: list[Any] = [self.layers[i] for i in sorted(self.layers)]
            for pool in pools:
                pool.fit(pool.keys)
            keys, values = ([getattr(p, name) for p in pools] for name in ("keys", "values"))
            self._pointers = pointers(keys), pointers(values)
        places = Places(
            self.table,
            torch.tensor(layout.totals, dtype=torch.int32),
            layout.longest,
            *self._pointers,
        )
        if self.cross:
            self._add_memory(places)
        self._places_of, self._places = layout, places
        return places

    def mixed(
        self, layer: int, q: Tensor, layout: Layout, rule: Rule, *, recall: bool = False
    ) -> Tensor:
        """Let one new token of each row (R, H, E) attend to its row or memory → (R, H · E)."""
        k = self.cross[layer][0] if recall else self.layers[layer].keys
        sizes = {
            "heads": q.shape[1],
            "shared": k.shape[1],
            "width": q.shape[2],
            "scale": rule.scale,
            "window": rule.window or 0,
            "cap": rule.cap or 0.0,
            "layer": layer,
        }
        key = (recall, *sizes.values())
        if key not in self._plans:
            writer = Writer()
            writer.attend("q", "y", recall=recall, **sizes)
            writer.buffer("q", q.shape[1] * q.shape[2])
            self._plans[key] = Plan(writer, "q", "y")
        return self._plans[key].run(q.flatten(1), self.places(layout))

    def _add_memory(self, places: Places) -> None:
        layout = self.memory_layout
        assert layout is not None and self.memory_rows is not None
        if self._memory is None:
            spans = torch.tensor([layout.starts, layout.lengths], dtype=torch.int32)
            self._memory = spans[:, self.memory_rows].T.contiguous()
            pairs = [self.cross[i] for i in sorted(self.cross)]
            self._memory_pointers = tuple(pointers([pair[i] for pair in pairs]) for i in (0, 1))
        places.memory, places.memory_longest = self._memory, max(layout.lengths)
        places.memory_keys, places.memory_values = self._memory_pointers
