"""Caches: the keys and values of tokens already seen, one pair of tensors for each layer."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers import kernels
from armature.layers.kernels import Rule

SLACK = 32  # tokens that a window keeps beyond its width, so that some can be taken back


def window_columns(window: int) -> int:
    """Return how many columns a layer has at most that looks back only so far."""
    return 2 * (window + SLACK)


@dataclass
class LayerCache:
    """Keys and values of one layer, (B, K, capacity, E); a row's tokens lie from the left."""

    keys: Tensor | None = None
    values: Tensor | None = None
    window: int | None = None  # how far back the layer looks, if older tokens may go
    gone: tuple[int, ...] = ()  # tokens of each row that went; () for none of any

    def append(self, k: Tensor, v: Tensor, layout: Layout, capacity: int) -> None:
        """Store packed k and v, (N, K, E), after each row's past."""
        layout = self.held(layout)
        if self._is_full(layout, capacity):
            layout = self._slide(layout)
        elif self.keys is None and self.window is not None and layout.longest > capacity > 0:
            k, v, layout = self._newest(k, v, layout, self.window + SLACK)
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

    def read(self) -> tuple[Tensor, Tensor]:
        """Return all keys and values that are here, (B, K, capacity, E)."""
        assert self.keys is not None and self.values is not None
        return self.keys, self.values

    def attend(self, q: Tensor, layout: Layout, rule: Rule) -> Tensor:
        """Let packed new tokens (N, H, E) attend to their rows → (N, H · E)."""
        return kernels.attend_cached(q, *self.read(), self.held(layout), rule)

    def weights(self, q: Tensor, layout: Layout, rule: Rule) -> Tensor:
        """Return how much new tokens (N, H, E) look at what is here → (B, H, T, S)."""
        return kernels.weights_cached(q, self.read()[0], self.held(layout), rule)

    def held(self, layout: Layout) -> Layout:
        """Return a layout that counts only the tokens that are still here as past."""
        if not any(self.gone) or not layout.past:
            return layout
        return layout.after(tuple(p - g for p, g in zip(layout.past, self.gone, strict=True)))

    def _is_full(self, layout: Layout, capacity: int) -> bool:
        if self.window is None or self.keys is None:
            return False
        most = max(self.keys.shape[2], capacity)
        return layout.longest > most and max(layout.past, default=0) > self.window + SLACK

    def _newest(
        self, k: Tensor, v: Tensor, layout: Layout, most: int
    ) -> tuple[Tensor, Tensor, Layout]:
        """Return what is worth keeping of a long prompt."""
        lengths = tuple(min(n, most) for n in layout.lengths)
        self.gone = tuple(n - m for n, m in zip(layout.lengths, lengths, strict=True))
        first = torch.tensor(self.gone, device=k.device)
        new = layout.counts >= first[layout.row_of]
        return k[new], v[new], Layout(lengths, max(lengths), layout.device)

    def _slide(self, layout: Layout) -> Layout:
        """Let go of what no new token looks at."""
        assert self.keys is not None and self.values is not None and self.window is not None
        most, device = self.window + SLACK, self.keys.device
        out = tuple(max(0, past - most) for past in layout.past)
        columns = torch.tensor(out, device=device)[:, None] + torch.arange(most, device=device)
        columns = columns.clamp(max=self.keys.shape[2] - 1)[:, None, :, None]
        for name in ("keys", "values"):
            old = getattr(self, name)
            index = columns.expand(-1, old.shape[1], -1, old.shape[3])
            old[:, :, :most] = old.gather(2, index)
        gone = self.gone or (0,) * layout.rows
        self.gone = tuple(a + b for a, b in zip(gone, out, strict=True))
        return layout.after(tuple(p - cut for p, cut in zip(layout.past, out, strict=True)))

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

    def select(self, rows: Tensor) -> None:
        """Keep the rows named, in that order; a row may be named several times."""
        if self.keys is not None and self.values is not None:
            self.keys = self.keys.index_select(0, rows)
            self.values = self.values.index_select(0, rows)
        self.gone = tuple(self.gone[row] for row in rows.tolist()) if self.gone else ()

    def clone(self) -> LayerCache:
        """Return a copy."""
        assert self.keys is not None and self.values is not None
        return replace(self, keys=self.keys.detach().clone(), values=self.values.detach().clone())


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
        for layer in self.layers.values():
            for n, cut, lost in zip(kept, gone, layer.gone, strict=False):
                if cut and lost and n - (layer.window or 0) < lost:
                    raise ArgumentError(
                        f"a cache whose layers keep windows of {layer.window} tokens has forgotten "
                        f"what came before token {lost}, so it cannot be cut to {n}.\n"
                        '  → pass cache_implementation="dynamic_full" to keep everything'
                    )
        self.lengths = kept
        if self.tokens is not None:
            self.tokens = tuple(row[:n] for row, n in zip(self.tokens, kept, strict=True))

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
            spans = [
                torch.arange(layout.starts[i], layout.starts[i] + layout.lengths[i]) for i in order
            ]
            index = torch.cat(spans).to(rows.device)
            for key, (k, v) in self.cross.items():
                self.cross[key] = (k.index_select(0, index), v.index_select(0, index))
            mask = layout.mask.index_select(0, rows.to(layout.device))
            self.memory_layout = Layout.of(mask, (len(order), layout.width), layout.device)
