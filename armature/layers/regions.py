"""Regions: what a feature map holds inside each of many boxes (He et al., 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

_SAMPLES = 1 << 20  # read at a time


def roi_align(
    maps: Tensor,
    boxes: Sequence[Tensor],
    size: tuple[int, int],
    *,
    scale: float = 1.0,
    samples: int = 0,
    aligned: bool = False,
) -> Tensor:
    """Cut boxes out of maps and bring them to one size: means of samples between pixels.

    Args:
        maps: (B, C, height, width).
        boxes: for each map its boxes (n, 4), corners in the image.
        size: rows and columns of the result.
        scale: what an image's lengths are multiplied by to be those of the map.
        samples: how many, down and across, each mean is of; 0: one for each pixel of a box's part.
        aligned: a pixel's value is that of its middle, not of its corner.

    Returns:
        (all boxes, C, *size), map by map.
    """
    which = torch.cat(
        [box.new_full((len(box),), i, dtype=torch.long) for i, box in enumerate(boxes)]
    )
    found = torch.cat(tuple(boxes)).to(maps.dtype) * scale - (0.5 if aligned else 0.0)
    if not len(found):
        return maps.new_zeros(0, maps.shape[1], *size) + 0 * maps.sum()
    height, width = maps.shape[2:]
    low = (1.0, 1.0) if not aligned else (None, None)
    down = _Axis(found[:, 1], found[:, 3], size[0], height, samples, low[0])
    across = _Axis(found[:, 0], found[:, 2], size[1], width, samples, low[1])
    table = maps.permute(0, 2, 3, 1).reshape(-1, maps.shape[1])  # (B · height · width, C)
    each = size[0] * size[1] * down.count * across.count * 4
    some = max(1, _SAMPLES // each)
    parts = []
    for start in range(0, len(found), some):
        rows, row_shares = down.part(start, some)  # (n, rows, 2 · samples)
        columns, column_shares = across.part(start, some)
        first = which[start : start + some, None, None, None, None] * (height * width)
        places = first + rows[:, :, None, :, None] * width + columns[:, None, :, None, :]
        shares = row_shares[:, :, None, :, None] * column_shares[:, None, :, None, :]
        bags = F.embedding_bag(
            places.flatten(3).flatten(0, 2),
            table,
            mode="sum",
            per_sample_weights=shares.flatten(3).flatten(0, 2),
        )
        parts.append(bags.unflatten(0, (len(rows), *size)))
    return torch.cat(parts).permute(0, 3, 1, 2)


class _Axis:
    """Where one side of each box is sampled, and what each pixel counts.

    Samples are means of neighbouring pixels, down as across, so each axis is found for itself.
    """

    def __init__(
        self,
        first: Tensor,
        last: Tensor,
        parts: int,
        length: int,
        samples: int,
        least: float | None,
    ) -> None:
        side = last - first if least is None else (last - first).clamp(min=least)
        part = side / parts
        counts = part.ceil().clamp(min=0) if samples < 1 else torch.full_like(part, samples)
        self.first, self.part_side, self.counts = first, part, counts
        self.parts, self.length = parts, length
        self.count = max(1, int(counts.max()))

    def part(self, start: int, some: int) -> tuple[Tensor, Tensor]:
        """Return pixels (n, parts, 2 · samples), and their shares, of some boxes."""
        first, side, counts = (
            x[start : start + some, None, None] for x in (self.first, self.part_side, self.counts)
        )
        place = torch.arange(self.parts, device=first.device, dtype=first.dtype)[:, None]
        sample = torch.arange(self.count, device=first.device, dtype=first.dtype)
        at = first + place * side + (sample + 0.5) * side / counts.clamp(min=1)
        real = (sample < counts) & (at >= -1) & (at <= self.length)
        at = at.clamp(0, self.length - 1)
        below = at.floor()
        beyond = at - below
        weight = real.to(at.dtype) / counts.clamp(min=1)
        pixels = torch.cat((below, (below + 1).clamp(max=self.length - 1)), dim=-1).long()
        return pixels, torch.cat(((1 - beyond) * weight, beyond * weight), dim=-1)
