"""Boxes: their formats, how far they overlap, which of many to keep, and how they are coded.

Boxes are (…, 4): corners (left, top, right, bottom), unless a function says otherwise.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from armature.errors import ArgumentError

_LONGEST = math.log(1000 / 16)  # the most that a coded side may grow, as a logarithm
_BLOCK = 2048  # boxes whose overlaps are looked at together


def corners(boxes: Tensor) -> Tensor:
    """(…, 4) of (x, y, width, height) around the centre → corners."""
    x, y, width, height = boxes.unbind(-1)
    return torch.stack(
        (x - 0.5 * width, y - 0.5 * height, x + 0.5 * width, y + 0.5 * height), dim=-1
    )


def centred(boxes: Tensor) -> Tensor:
    """(…, 4) of corners → (x, y, width, height) around the centre."""
    left, top, right, bottom = boxes.unbind(-1)
    return torch.stack(((left + right) / 2, (top + bottom) / 2, right - left, bottom - top), dim=-1)


def from_sides(boxes: Tensor) -> Tensor:
    """(…, 4) of (left, top, width, height), as annotations have them → corners."""
    return torch.cat((boxes[..., :2], boxes[..., :2] + boxes[..., 2:]), dim=-1)


def area(boxes: Tensor) -> Tensor:
    """(…, 4) → (…,)."""
    return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])


def overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 4), (M, 4) → intersection over union, and union, (N, M) each."""
    first = torch.max(a[:, None, :2], b[:, :2])
    last = torch.min(a[:, None, 2:], b[:, 2:])
    common = (last - first).clamp(min=0).prod(-1)
    union = area(a)[:, None] + area(b) - common
    return common / union, union


def generalised_overlap(a: Tensor, b: Tensor) -> Tensor:
    """(N, 4), (M, 4) → (N, M) overlap that also tells how far apart boxes are.

    (Rezatofighi et al., 2019)

    Raises:
        ArgumentError: a box ends before it begins.
    """
    for boxes in (a, b):
        if not (boxes[:, 2:] >= boxes[:, :2]).all():
            raise ArgumentError(
                "boxes should be (left, top, right, bottom), but one ends before it begins, or "
                "is no number"
            )
    share, union = overlap(a, b)
    hull = torch.cat(
        (torch.min(a[:, None, :2], b[:, :2]), torch.max(a[:, None, 2:], b[:, 2:])), dim=-1
    )
    return share - (area(hull) - union) / area(hull)


def paired_overlap(a: Tensor, b: Tensor) -> Tensor:
    """(N, 4), (N, 4) → (N,) generalised overlaps of each box with its partner."""
    common = (torch.min(a[:, 2:], b[:, 2:]) - torch.max(a[:, :2], b[:, :2])).clamp(min=0).prod(-1)
    union = area(a) + area(b) - common
    hull = (torch.max(a[:, 2:], b[:, 2:]) - torch.min(a[:, :2], b[:, :2])).prod(-1)
    return common / union - (hull - union) / hull


def clipped(boxes: Tensor, size: tuple[int, int]) -> Tensor:
    """Corners (…, 4) cut off at the edges of an image of (height, width)."""
    height, width = size
    x, y = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
    return torch.stack((x, y), dim=-1).flatten(-2)


def larger_than(boxes: Tensor, side: float) -> Tensor:
    """(N, 4) → (n,) places of those whose sides are both at least so long."""
    sides = boxes[:, 2:] - boxes[:, :2]
    return torch.where((sides >= side).all(1))[0]


def best(
    boxes: Tensor,
    scores: Tensor,
    limit: float,
    groups: Tensor | None = None,
    most: int | None = None,
) -> Tensor:
    """Return the places of boxes that no better one overlaps: non-maximum suppression.

    Args:
        boxes: (N, 4).
        scores: (N,).
        limit: how much, as intersection over union, a better box may overlap one that stays.
        groups: (N,) whole numbers; boxes of different groups may overlap. None: all are one group.
        most: how many may stay in all.

    Returns:
        (n,) places, the best first.
    """
    order = torch.sort(scores, descending=True, stable=True)[1]
    if groups is None:
        return order[_best_sorted(boxes[order], limit)][:most]
    kept = torch.zeros_like(scores, dtype=torch.bool)
    for group in groups.unique():
        mine = order[groups[order] == group]
        kept[mine[_best_sorted(boxes[mine], limit)]] = True
    return order[kept[order]][:most]


def _best_sorted(boxes: Tensor, limit: float) -> Tensor:
    """(N, 4), the best first → (n,) places of those that stay."""
    kept: list[Tensor] = []
    for start in range(0, len(boxes), _BLOCK):
        block = boxes[start : start + _BLOCK]
        alive = torch.ones(len(block), dtype=torch.bool, device=boxes.device)
        for before in kept:
            alive &= ~(overlap(boxes[before], block)[0] > limit).any(0)
        covers = (overlap(block, block)[0] > limit).triu(1)
        # Whether a box stays depends on better ones alone: each round settles at least one more.
        settled, stays = alive, alive & ~(covers & alive[:, None]).any(0)
        while not torch.equal(settled, stays):
            settled, stays = stays, alive & ~(covers & stays[:, None]).any(0)
        kept.append(torch.where(stays)[0] + start)
    return torch.cat(kept) if kept else torch.empty(0, dtype=torch.long, device=boxes.device)


def coded(boxes: Tensor, anchors: Tensor, weights: tuple[float, ...] = (1, 1, 1, 1)) -> Tensor:
    """(…, 4) corners → how far they are from their anchors, as a detector learns it.

    (Girshick et al., 2014): the centre's offset in sides of the anchor, and logarithms of the
    sides' ratios.
    """
    mine, theirs = centred(boxes), centred(anchors)
    offset = (mine[..., :2] - theirs[..., :2]) / theirs[..., 2:]
    growth = torch.log(mine[..., 2:] / theirs[..., 2:])
    return torch.cat((offset, growth), dim=-1) * boxes.new_tensor(weights)


def decoded(
    codes: Tensor,
    anchors: Tensor,
    weights: tuple[float, ...] = (1, 1, 1, 1),
    longest: float = _LONGEST,
) -> Tensor:
    """(…, 4) codes and the anchors they belong to → corners."""
    codes, theirs = codes / codes.new_tensor(weights), centred(anchors)
    middle = codes[..., :2] * theirs[..., 2:] + theirs[..., :2]
    half = codes[..., 2:].clamp(max=longest).exp() * theirs[..., 2:] * 0.5
    return torch.cat((middle - half, middle + half), dim=-1)
