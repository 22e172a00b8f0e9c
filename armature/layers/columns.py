"""Columns: one layer's keys and values in rows, token beside token."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.batch import Layout
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

    def read(self, _layout: Layout) -> tuple[Tensor, Tensor]:
        """Return all keys and values that are here, (B, K, capacity, E)."""
        assert self.keys is not None and self.values is not None
        return self.keys, self.values

    def attend(self, q: Tensor, layout: Layout, rule: Rule) -> Tensor:
        """Let packed new tokens (N, H, E) attend to their rows → (N, H · E)."""
        return kernels.attend_cached(q, *self.read(layout), self.held(layout), rule)

    def weights(self, q: Tensor, layout: Layout, rule: Rule) -> Tensor:
        """Return how much new tokens (N, H, E) look at what is here → (B, H, T, S)."""
        return kernels.weights_cached(q, self.read(layout)[0], self.held(layout), rule)

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

    def join(self, other: LayerCache) -> None:
        """Add the rows of another cache below these."""
        for name in ("keys", "values"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if name == "keys" and (self.gone or other.gone):
                pairs = ((self.gone, mine), (other.gone, theirs))
                self.gone = tuple(n for gone, rows in pairs for n in gone or (0,) * len(rows))
            width = max(mine.shape[2], theirs.shape[2])
            both = [F.pad(x, (0, 0, 0, width - x.shape[2])) for x in (mine, theirs)]
            setattr(self, name, torch.cat(both))

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
