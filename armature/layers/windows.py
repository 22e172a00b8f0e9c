"""Windows: a map cut into squares, each of them one sequence of a packed batch.

A shift moves the squares down and right; what leaves the map at one edge comes in at the other,
so a square there holds patches of several regions, which must not see each other.

    map 4 × 4, side 2      shifted by 1: squares, and regions of the last one
    a b │ c d              f g │ h e      p │ m
    e f │ g h              j k │ l i      ──┼──
    ────┼────              ────┼────      d │ a
    i j │ k l              n o │ p m
    m n │ o p              b c │ d a
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.batch import Layout


@dataclass(frozen=True, eq=False)
class Windows:
    """One way to cut maps into squares: a permutation of their patches, padded where they end."""

    side: int
    patches: int  # of one map
    order: Tensor  # (n · side²,) the patch at each place of the squares; `patches` means padding
    places: Tensor  # (patches,) the place of each patch
    regions: Tensor | None  # (n, side²) labels; None: every square is of one region

    def layout(self, tokens: int) -> Layout:
        """Return the layout of squares that together have so many tokens."""
        area = self.side**2
        return Layout((area,) * (tokens // area), area, self.order.device)

    def cut(self, x: Tensor) -> Tensor:
        """(B · patches, D) row by row → (B · n · side², D) square by square."""
        maps = x.unflatten(0, (-1, self.patches))
        if len(self.order) > self.patches:
            maps = F.pad(maps, (0, 0, 0, 1))  # one zero that every padded place copies
        return maps.index_select(1, self.order).flatten(0, 1)

    def join(self, x: Tensor) -> Tensor:
        """(B · n · side², D) square by square → (B · patches, D) row by row."""
        return x.unflatten(0, (-1, len(self.order))).index_select(1, self.places).flatten(0, 1)


@dataclass(frozen=True)
class Grid:
    """The map that packed patches belong to, one after another in its rows."""

    height: int
    width: int
    shrink: bool = True  # squares larger than the map shrink to it; else the map is padded

    def windows(self, side: int, shift: int, device: torch.device) -> Windows:
        """Cut the map into squares of `side` patches, moved by `shift`."""
        if self.shrink and min(self.height, self.width) <= side:
            side, shift = min(self.height, self.width), 0
        count = self.height * self.width
        down, across = self.height + -self.height % side, self.width + -self.width % side
        patches = torch.arange(count, device=device).view(self.height, self.width)
        patches = F.pad(patches, (0, across - self.width, 0, down - self.height), value=count)
        order = _squares(patches.roll((-shift, -shift), (0, 1)), side).flatten()
        places = order.new_empty(count + 1)
        places[order] = torch.arange(len(order), device=device)
        regions = None
        if shift:
            rows = _bands(down, side, shift, device)[:, None]
            regions = _squares(3 * rows + _bands(across, side, shift, device), side)
        return Windows(side, count, order, places[:count], regions)


def _squares(x: Tensor, side: int) -> Tensor:
    """(height, width) → (n, side²)."""
    cut = x.unflatten(1, (-1, side)).unflatten(0, (-1, side))  # (down, side, across, side)
    return cut.transpose(1, 2).flatten(2).flatten(0, 1)


def _bands(size: int, side: int, shift: int, device: torch.device) -> Tensor:
    """(size,) labels along one edge: whole squares, the last square's two parts."""
    places = torch.arange(size, device=device)
    return (places >= size - side).long() + (places >= size - shift).long()
