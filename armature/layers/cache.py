"""Caches: the keys and values of tokens already seen, one pair of tensors for each layer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers import kernels
from armature.layers.columns import LayerCache, window_columns
from armature.layers.kernels import Rule


@dataclass
class Cache:
    """The caches of all layers, and how many tokens each row holds."""

    capacity: int = 0  # tokens to make room for at once; more are made room for as they come
    lengths: tuple[int, ...] = ()  # tokens of each row
    layers: dict[int, LayerCache] = field(default_factory=dict)
    cross: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict)  # packed k, v: (M, K, E)
    memory_layout: Layout | None = None
    slides: bool | None = (
        True  # layers with a window let go: once `capacity` is full, or (None) soon
    )
    tokens: tuple[Tensor, ...] | None = None  # of each row, as far as they are known

    def layer(self, index: int, window: int | None = None) -> LayerCache:
        """Return the cache of block `index`, which looks back so far."""
        if index not in self.layers:
            self.layers[index] = LayerCache(window=window if self.slides is not False else None)
        return self.layers[index]

    def room(self, window: int | None) -> int:
        """Return how many columns to make room for in a layer that looks back so far."""
        soon = self.slides is None and window is not None
        return min(self.capacity, window_columns(window)) if soon and window else self.capacity

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
    def bytes(self) -> int:
        """Return the memory that keys and values take."""
        pairs = [(layer.keys, layer.values) for layer in self.layers.values()]
        tensors = [x for pair in (*pairs, *self.cross.values()) for x in pair if x is not None]
        return sum(x.numel() * x.element_size() for x in tensors)

    @property
    def crops(self) -> bool:
        """Whether a text can be shortened: all layers keep a column for each token."""
        return all(isinstance(layer, LayerCache) for layer in self.layers.values())

    def clone(self) -> Cache:
        """Return a copy that shares no numbers with this cache."""
        layers = {i: layer.clone() for i, layer in self.layers.items()}
        cross = {i: (k.clone(), v.clone()) for i, (k, v) in self.cross.items()}
        return replace(self, layers=layers, cross=cross)

    def expand(self, times: int) -> Cache:
        """Return a cache that holds each row so many times: one beginning of several texts."""
        found = replace(self, layers={i: replace(layer) for i, layer in self.layers.items()})
        found.cross = dict(self.cross)
        rows = torch.arange(len(self.lengths)).repeat_interleave(times)
        some = next((layer.keys for layer in self.layers.values()), None)
        found.select(rows if some is None else rows.to(some.device))
        return found

    def crop(self, length: int) -> None:
        """Forget all but the first `length` tokens of each row, or the last `-length` of each."""
        kept = [min(n, length) if length >= 0 else max(n + length, 0) for n in self.lengths]
        self.shorten(torch.tensor([n - m for n, m in zip(self.lengths, kept, strict=True)]))

    def shorten(self, counts: int | Tensor) -> None:
        """Forget the last tokens of each row: so many of all, or of each, (B,).

        Only lengths change; what lies beyond them is written over.

        Raises:
            ArgumentError: what came before them is no longer there.
        """
        if not self.crops:
            raise ArgumentError("what this model remembers of a text cannot be shortened")
        rows = len(self.lengths)
        gone = [counts] * rows if isinstance(counts, int) else counts.tolist()
        kept = tuple(n - cut for n, cut in zip(self.lengths, gone, strict=True))
        for gone_of, window in self.windows():
            for n, cut, lost in zip(kept, gone, gone_of, strict=False):
                if cut and lost and n - window < lost:
                    raise ArgumentError(
                        f"a cache whose layers keep windows of {window} tokens has forgotten "
                        f"what came before token {lost}, so it cannot be cut to {n}.\n"
                        '  → pass cache_implementation="dynamic_full" to keep everything'
                    )
        self.lengths = kept
        if self.tokens is not None:
            self.tokens = tuple(row[:n] for row, n in zip(self.tokens, kept, strict=True))

    def join(self, other: Cache) -> None:
        """Add the rows of another cache of the same model below these."""
        for index, layer in self.layers.items():
            layer.join(other.layers[index])
        self._join_memory(other)
        self.lengths += other.lengths
        self.tokens = None

    def _join_memory(self, other: Cache) -> None:
        mine, theirs = self.memory_layout, other.memory_layout
        if mine is None or theirs is None:
            return
        for index, (k, v) in self.cross.items():
            more = other.cross[index]
            self.cross[index] = (torch.cat((k, more[0])), torch.cat((v, more[1])))
        width = max(mine.width, theirs.width)
        both = torch.cat([F.pad(x.mask, (0, width - x.width)) for x in (mine, theirs)])
        self.memory_layout = Layout.of(both, (len(both), width), mine.device)

    def windows(self) -> list[tuple[tuple[int, ...], int]]:
        """Return how many tokens of each row went, and how far back layers look that let go."""
        return [(one.gone, one.window) for one in self.layers.values() if one.window is not None]

    def forget(self) -> None:
        """Forget all tokens; what cross-attention looks at stays."""
        self.layers, self.lengths, self.tokens = {}, (), None

    def note(self, tokens: Tensor | None, layout: Layout) -> None:
        """Remember which tokens (N,) were read, so that a later call can tell whether it fits."""
        known = self.tokens
        if tokens is None or (known is None and any(layout.past)):
            self.tokens = None
            return
        rows = tokens.split(layout.lengths)
        if known is None:
            self.tokens = tuple(rows)
        else:
            self.tokens = tuple(torch.cat(pair) for pair in zip(known, rows, strict=True))

    def thaw(self) -> None:
        """Make the numbers ordinary tensors, which those made in inference mode are not."""
        self.__dict__.update(self.clone().__dict__)

    def select(self, rows: Tensor) -> None:
        """Keep the rows named, in that order: what beam search does at each step."""
        for layer in self.layers.values():
            layer.select(rows)
        order = rows.tolist()
        self.lengths = tuple(self.lengths[i] for i in order)
        if self.tokens is not None:
            self.tokens = tuple(self.tokens[i] for i in order)
        layout = self.memory_layout
        if layout is not None and order != list(range(layout.rows)):
            index, self.memory_layout = layout.take(rows)
            for key, (k, v) in self.cross.items():
                self.cross[key] = (k.index_select(0, index), v.index_select(0, index))
