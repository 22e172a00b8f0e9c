"""Layout: sequences laid end to end, and where each token stood in the padded rectangle.

Models see packed tokens, `(N, …)`, never padding. A padded batch is packed on the way in and
unpacked on the way out; where nothing is padded both are views.

    padded (B=2, T=4)      packed (N=5)         lengths (3, 2)
    a b c ·                a b c d e            index   0 1 2 4 5
    d e · ·
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

from armature.errors import ArgumentError


def extremes(numbers: Tensor) -> tuple[int, int] | None:
    """Return the least and the greatest number; None where there is none, or nobody can look.

    While a graph is compiled, values are not known, and looking at them would end the graph.
    """
    if torch.compiler.is_compiling() or not numbers.numel():
        return None
    return int(numbers.min()), int(numbers.max())


Made = TypeVar("Made")


def _kept(make: Callable[[Any], Made]) -> Made:
    """Return a property that is computed once; each time anew in a graph that is compiled."""
    name = f"_{make.__name__}"

    def read(self: Any) -> Made:
        if torch.compiler.is_compiling():
            return make(self)
        if name not in self.__dict__:
            self.__dict__[name] = make(self)
        return self.__dict__[name]

    return cast("Made", property(read, doc=make.__doc__))


@dataclass(frozen=True)
class Run:
    """Neighbouring sequences of one length: a rectangle inside a packed batch."""

    start: int  # first packed token
    rows: int
    length: int
    first_row: int

    @property
    def stop(self) -> int:
        """The packed token after the last."""
        return self.start + self.rows * self.length


@dataclass(frozen=True, eq=False)
class Layout:
    """How the tokens of a packed batch belong to its sequences."""

    lengths: tuple[int, ...]  # tokens of each sequence
    width: int  # columns T of the padded rectangle
    device: torch.device
    index: Tensor | None = None  # (N,) place in the flattened rectangle; None: nothing is padded
    past: tuple[int, ...] = field(default=())  # tokens of each sequence that a cache holds already
    hidden: Tensor | None = None  # (B, T) where no token is, if a compiled graph keeps the padding

    @classmethod
    def of(cls, mask: Tensor | None, shape: tuple[int, int], device: torch.device) -> Layout:
        """Read the layout off an attention mask (B, T) of ones and zeros, or off a bare shape."""
        rows, width = shape
        if mask is None:
            return cls((width,) * rows, width, device)
        if tuple(mask.shape) != (rows, width):
            raise ArgumentError(
                f"attention_mask has the shape {tuple(mask.shape)}, but the input has "
                f"{(rows, width)}: give one number, 1 or 0, for each token"
            )
        real = mask.to(device) != 0
        if torch.compiler.is_compiling():  # lengths are not known
            return cls((width,) * rows, width, device, hidden=~real)
        lengths = tuple(real.sum(1).tolist())
        if 0 in lengths:
            raise ArgumentError(
                f"row {lengths.index(0)} of attention_mask is all zeros: leave empty sequences out"
            )
        if sum(lengths) == rows * width:
            return cls(lengths, width, device)
        return cls(lengths, width, device, real.flatten().nonzero().squeeze(1))

    @property
    def mask(self) -> Tensor:
        """(B, T) whether a place of the padded rectangle holds a token."""
        shape = (self.rows, self.width)
        if self.hidden is not None:
            return ~self.hidden
        if self.index is None:
            return torch.ones(shape, dtype=torch.bool, device=self.device)
        flat = torch.zeros(self.rows * self.width, dtype=torch.bool, device=self.device)
        return flat.index_fill(0, self.index, True).view(shape)

    def after(self, past: tuple[int, ...]) -> Layout:
        """Return this layout as the continuation of sequences of which `past` tokens are cached."""
        return Layout(self.lengths, self.width, self.device, self.index, past, self.hidden)

    def take(self, rows: Tensor) -> tuple[Tensor, Layout]:
        """Return the packed tokens of some rows, (M,), and their layout: each as it was padded."""
        order = rows.tolist()
        if not order:
            return torch.zeros(0, dtype=torch.long, device=self.device), Layout((), 0, self.device)
        spans = [torch.arange(self.starts[i], self.starts[i] + self.lengths[i]) for i in order]
        mask = self.mask.index_select(0, rows.to(self.device))
        taken = Layout.of(mask, (len(order), self.width), self.device)
        return torch.cat(spans).to(self.device), taken

    @property
    def rows(self) -> int:
        """B, how many sequences there are."""
        return len(self.lengths)

    @property
    def total(self) -> int:
        """N, how many tokens there are."""
        return sum(self.lengths)

    @_kept
    def totals(self) -> tuple[int, ...]:
        """Tokens of each sequence with those that are cached."""
        past = self.past or (0,) * self.rows
        return tuple(n + p for n, p in zip(self.lengths, past, strict=True))

    @_kept
    def longest(self) -> int:
        """The greatest of `totals`."""
        return max(self.totals, default=0)

    @_kept
    def counts(self) -> Tensor:
        """(N,) how many real tokens of its sequence come before each token."""
        if self.hidden is not None:
            return (self.mask.long().cumsum(1) - 1).clamp(min=0).flatten()
        if not self.past and len(set(self.lengths)) == 1:
            return torch.arange(self.lengths[0], device=self.device).repeat(self.rows)
        past = self.past or (0,) * self.rows
        spans = [torch.arange(p, p + n) for n, p in zip(self.lengths, past, strict=True)]
        return torch.cat(spans).to(self.device) if spans else torch.empty(0, dtype=torch.long)

    @_kept
    def columns(self) -> Tensor:
        """(N,) the column of each token in its padded row, counted after what is cached."""
        if self.hidden is not None:
            return torch.arange(self.width, device=self.device).repeat(self.rows)
        if self.index is None:
            return self.counts
        columns = self.index % self.width
        if not self.past:
            return columns
        return columns + torch.tensor(self.past, device=self.device)[self.index // self.width]

    @_kept
    def row_of(self) -> Tensor:
        """(N,) the sequence of each token."""
        lengths = torch.tensor(self.lengths, device=self.device)
        return torch.arange(self.rows, device=self.device).repeat_interleave(lengths)

    @_kept
    def starts(self) -> tuple[int, ...]:
        """The first packed token of each sequence."""
        starts, at = [], 0
        for length in self.lengths:
            starts.append(at)
            at += length
        return tuple(starts)

    @property
    def ends(self) -> tuple[Tensor, Tensor]:
        """(B,), (B,) the first and the last packed token of each sequence."""
        starts = torch.tensor(self.starts, device=self.device)
        if self.hidden is None:
            return starts, starts + torch.tensor(self.lengths, device=self.device) - 1
        columns = torch.arange(self.width, device=self.device)
        last = torch.where(self.hidden, -1, columns).amax(1)
        return starts + torch.where(self.hidden, self.width, columns).amin(1), starts + last

    @_kept
    def runs(self) -> tuple[Run, ...]:
        """The packed batch as rectangles: neighbouring sequences of one length together."""
        runs: list[Run] = []
        for row, (start, length) in enumerate(zip(self.starts, self.lengths, strict=True)):
            if runs and runs[-1].length == length:
                runs[-1] = Run(runs[-1].start, runs[-1].rows + 1, length, runs[-1].first_row)
            else:
                runs.append(Run(start, 1, length, row))
        return tuple(run for run in runs if run.length)

    def apart(self, gap: int) -> Tensor:
        """Return the (N,) places of tokens in one line, `gap` empty ones between sequences."""
        steps = self.columns.diff(prepend=self.columns[:1])
        fresh = self.row_of.diff(prepend=self.row_of[:1]) != 0
        return steps.masked_fill(fresh, gap + 1).cumsum(0)

    def pack(self, x: Tensor) -> Tensor:
        """(B, T, …) → (N, …): drop the padding."""
        flat = x.flatten(0, 1)
        return flat if self.index is None else flat.index_select(0, self.index)

    def unpack(self, x: Tensor, fill: float = 0.0) -> Tensor:
        """(N, …) → (B, T, …), with `fill` where the rectangle is padded.

        Where nothing is padded, rows may be shorter: tokens of a layer before or behind.
        """
        if self.index is None:
            whole = x.unflatten(0, (self.rows, -1))
            if self.hidden is None:
                return whole
            places = self.hidden.view(*self.hidden.shape, *(1,) * (whole.dim() - 2))
            return whole.masked_fill(places, fill)
        padded = x.new_full((self.rows * self.width, *x.shape[1:]), fill)
        padded = padded.index_copy(0, self.index, x)
        return padded.unflatten(0, (self.rows, self.width))
