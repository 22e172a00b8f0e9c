"""Caches: the keys and values of tokens already seen, one pair of tensors for each layer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers import kernels
from armature.layers.kernels import Rule


@dataclass
class LayerCache:
    """Keys and values of one layer, (B, K, capacity, E); a row's tokens lie from the left."""

    keys: Tensor | None = None
    values: Tensor | None = None

    def append(self, k: Tensor, v: Tensor, layout: Layout, capacity: int) -> None:
        """Store packed k and v, (N, K, E), after each row's past."""
        self._reserve(k, layout, capacity)
        assert self.keys is not None and self.values is not None
        past = layout.past or (0,) * layout.rows
        if len(set(past)) == 1 and len(set(layout.lengths)) == 1:
            span = slice(past[0], past[0] + layout.lengths[0])
            shape = (layout.rows, layout.lengths[0])
            self.keys[:, :, span] = k.unflatten(0, shape).transpose(1, 2)
            self.values[:, :, span] = v.unflatten(0, shape).transpose(1, 2)
        else:
            self.keys[layout.row_of, :, layout.counts] = k
            self.values[layout.row_of, :, layout.counts] = v

    def read(self, _layout: Layout) -> tuple[Tensor, Tensor]:
        """Return all keys and values so far, (B, K, capacity, E)."""
        assert self.keys is not None and self.values is not None
        return self.keys, self.values

    def attend(self, q: Tensor, layout: Layout, rule: Rule) -> Tensor:
        """Let packed new tokens (N, H, E) attend to their rows → (N, H · E)."""
        return kernels.attend_cached(q, *self.read(layout), layout, rule)

    def _reserve(self, k: Tensor, layout: Layout, capacity: int) -> None:
        """Make room for the longest row, doubling where `capacity` was not enough."""
        have = 0 if self.keys is None else self.keys.shape[2]
        if have >= layout.longest:
            return
        size = max(capacity, layout.longest, 2 * have)
        shape = (layout.rows, k.shape[1], size, k.shape[2])
        for name in ("keys", "values"):
            old, new = getattr(self, name), k.new_zeros(shape)
            if old is not None:
                new[:, :, :have] = old
            setattr(self, name, new)

    def join(self, other: LayerCache) -> None:
        """Add the rows of another cache below these."""
        for name in ("keys", "values"):
            mine, theirs = getattr(self, name), getattr(other, name)
            width = max(mine.shape[2], theirs.shape[2])
            both = [F.pad(x, (0, 0, 0, width - x.shape[2])) for x in (mine, theirs)]
            setattr(self, name, torch.cat(both))

    def clone(self) -> LayerCache:
        """Return a copy."""
        assert self.keys is not None and self.values is not None
        return replace(self, keys=self.keys.clone(), values=self.values.clone())

    def select(self, rows: Tensor) -> None:
        """Keep the rows named, in that order; a row may be named several times."""
        if self.keys is not None and self.values is not None:
            self.keys = self.keys.index_select(0, rows)
            self.values = self.values.index_select(0, rows)


@dataclass
class Cache:
    """The caches of all layers, and how many tokens each row holds."""

    capacity: int = 0  # tokens to make room for at once; more are made room for as they come
    lengths: tuple[int, ...] = ()  # tokens of each row
    layers: dict[int, LayerCache] = field(default_factory=dict)
    cross: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)  # packed k, v: (M, K, E)
    memory_layout: Layout | None = None

    def layer(self, index: int) -> LayerCache:
        """Return the cache of block `index`."""
        return self.layers.setdefault(index, LayerCache())

    def remember(self, layer: int, k: Tensor, v: Tensor, layout: Layout) -> None:
        """Keep the keys and values (M, K, E) of what the rows look at besides."""
        self.cross[layer], self.memory_layout = (k, v), layout

    def recall(self, layer: int) -> tuple[Tensor, Tensor, Layout]:
        """Return the keys and values (M, K, E) of every row's memory, and their layout."""
        assert self.memory_layout is not None
        return *self.cross[layer], self.memory_layout

    def attend_memory(self, layer: int, q: Tensor, layout: Layout, rule: Rule) -> Tensor:
        """Let packed new tokens (N, H, E) attend to their memories → (N, H · E)."""
        k, v, keys = self.recall(layer)
        return kernels.attend(q, k, v, layout, keys, rule)

    def get_seq_length(self) -> int:
        """Return how many tokens the longest row holds."""
        return max(self.lengths, default=0)

    @property
    def crops(self) -> bool:
        """Whether a text can be shortened: all layers keep a column for each token."""
        return all(isinstance(layer, LayerCache) for layer in self.layers.values())

    def clone(self) -> Cache:
        """Return a copy that shares no numbers with this cache."""
        layers = {i: layer.clone() for i, layer in self.layers.items()}
        cross = {i: (k.clone(), v.clone()) for i, (k, v) in self.cross.items()}
        return replace(self, layers=layers, cross=cross)

    def crop(self, counts: int | Tensor) -> None:
        """Forget the last tokens of each row: so many of all, or of each, (B,).

        Only lengths change; what lies beyond them is written over.

        Raises:
            ArgumentError: the model keeps other things of a text than a column for each token.
        """
        if not self.crops:
            raise ArgumentError("what this model remembers of a text cannot be shortened")
        rows = len(self.lengths)
        gone = [counts] * rows if isinstance(counts, int) else counts.tolist()
        self.lengths = tuple(n - cut for n, cut in zip(self.lengths, gone, strict=True))

    def join(self, other: Cache) -> None:
        """Add the rows of another cache of the same model below these."""
        for index, layer in self.layers.items():
            layer.join(other.layers[index])
        self._join_memory(other)
        self.lengths += other.lengths

    def _join_memory(self, other: Cache) -> None:
        mine, theirs = self.memory_layout, other.memory_layout
        if mine is None or theirs is None:
            return
        for index, (k, v) in self.cross.items():
            more = other.cross[index]
            self.cross[index] = (torch.cat((k, more[0])), torch.cat((v, more[1])))
        lengths = torch.tensor(mine.lengths + theirs.lengths)
        width = int(lengths.max())
        mask = torch.arange(width) < lengths[:, None]
        self.memory_layout = Layout.of(mask, (len(lengths), width), mine.device)

    def forget(self) -> None:
        """Forget all tokens; what cross-attention looks at stays."""
        self.layers, self.lengths = {}, ()

    def select(self, rows: Tensor) -> None:
        """Keep the rows named, in that order: what beam search does at each step."""
        for layer in self.layers.values():
            layer.select(rows)
        order = rows.tolist()
        self.lengths = tuple(self.lengths[i] for i in order)
        layout = self.memory_layout
        if layout is not None and order != list(range(layout.rows)):
            spans = [
                torch.arange(layout.starts[i], layout.starts[i] + layout.lengths[i]) for i in order
            ]
            index = torch.cat(spans).to(rows.device)
            for key, (k, v) in self.cross.items():
                self.cross[key] = (k.index_select(0, index), v.index_select(0, index))
            mask = layout.mask.index_select(0, rows.to(layout.device))
            self.memory_layout = Layout.of(mask, (len(order), layout.width), layout.device)
