"""Anchors: boxes that a detector starts from, and which of them stand for which things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from armature.layers.boxes import overlap

Cells = Sequence[tuple[Sequence[float], Sequence[float]]]  # of each map: sizes, ratios

BELOW, BETWEEN = -1, -2  # anchors that stand for no thing, and those that nobody counts


def cell(sizes: Sequence[float], ratios: Sequence[float]) -> Tensor:
    """Return the (n, 4) anchors around a point: each ratio of height to width, in each size."""
    tall = torch.as_tensor(ratios, dtype=torch.float32).sqrt()
    sides = torch.as_tensor(sizes, dtype=torch.float32)
    wide, high = ((1 / tall)[:, None] * sides).flatten(), (tall[:, None] * sides).flatten()
    return (torch.stack((-wide, -high, wide, high), dim=1) / 2).round()


def anchors(maps: Sequence[Tensor], cells: Cells, size: tuple[int, int]) -> list[Tensor]:
    """Return the anchors of each map, (height · width · n, 4), for images of a size."""
    found = []
    for one, pair in zip(maps, cells, strict=True):
        around = cell(*pair)
        rows, columns = one.shape[-2:]
        down = torch.arange(rows, device=one.device) * (size[0] // rows)
        across = torch.arange(columns, device=one.device) * (size[1] // columns)
        y, x = torch.meshgrid(down, across, indexing="ij")
        points = torch.stack((x, y, x, y), dim=-1).view(-1, 1, 4)
        found.append((points + around.to(one)).flatten(0, 1).to(one))
    return found


@dataclass(frozen=True)
class Matcher:
    """Which thing a box stands for, by how much they overlap (Ren et al., 2015)."""

    high: float
    low: float
    best: bool = False  # each thing also gets the boxes that overlap it most, however little

    def __call__(self, things: Tensor, boxes: Tensor) -> Tensor:
        """(T, 4), (N, 4) → (N,) the place of each box's thing, BELOW or BETWEEN."""
        if not len(things):
            return torch.full((len(boxes),), BELOW, device=boxes.device)
        shares = overlap(things, boxes)[0]
        most, found = shares.max(0)
        kept = found.clone()
        found[most < self.low] = BELOW
        found[(most >= self.low) & (most < self.high)] = BETWEEN
        if self.best:
            top = (shares == shares.max(1)[0][:, None]).any(0)
            found[top] = kept[top]
        return found


def sampled(found: Tensor, count: int, share: float) -> tuple[Tensor, Tensor]:
    """Pick at random `count` boxes of those that stand for things, and of those that do not.

    Args:
        found: (N,) what each box stands for.
        count: how many in all.
        share: how much of them may stand for things.

    Returns:
        The places of both kinds.
    """
    yes, no = torch.where(found >= 0)[0], torch.where(found == BELOW)[0]
    first = min(len(yes), int(count * share))
    second = min(len(no), count - first)
    some = torch.randperm(len(yes), device=yes.device)[:first]
    others = torch.randperm(len(no), device=no.device)[:second]
    return yes[some], no[others]
