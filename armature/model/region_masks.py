"""Masks of regions: the pixels of the thing in each box (He et al., 2017)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.patches import Convolution
from armature.layers.plain_conv import row
from armature.layers.regions import roi_align
from armature.model.photos import Found, Size
from armature.model.regional import Regional, cut


class MaskedRegional(Regional):
    """A mask for each thing that is found, too."""

    fields = (*Regional.fields, "masks")

    def __init__(self, *parts: Any, layers: tuple[int, ...], inner: int, side: int) -> None:
        """Build it: convolutions of some widths, one that doubles maps, and scores of pixels."""
        super().__init__(*parts)
        widths = (self.neck.width, *layers)
        norm = self.judging.norm
        self.convs = nn.Sequential(*(row(one, two, 3, norm) for one, two in pairwise(widths)))
        self.grow = nn.ConvTranspose2d(layers[-1], inner, 2, 2)
        self.pixels = Convolution(inner, self.judging.labels, 1)
        self.side = side

    def further(self, maps: list[Tensor], sizes: list[Size], found: list[Found]) -> list[Found]:
        """Return what is found, each with a mask (1, side, side) of its box."""
        counts = [len(one["boxes"]) for one in found]
        logits = self._drawn(maps, sizes, [one["boxes"] for one in found])
        labels = torch.cat([one["labels"] for one in found])
        shares = logits.sigmoid()[torch.arange(len(labels), device=labels.device), labels]
        for one, masks in zip(found, shares.split(counts), strict=True):
            one["masks"] = masks[:, None]
        return found

    def finish(self, found: Found, size: Size) -> None:
        """Put each mask where its box is: (n, 1, height, width)."""
        found["masks"] = pasted(found["masks"], found["boxes"], size)

    def further_losses(
        self, maps: list[Tensor], sizes: list[Size], taken: list[Any], things: list[Found]
    ) -> dict[str, Tensor]:
        """Return the loss of masks, where things have any."""
        if not all("masks" in one for one in things):
            return {}
        good = [labels > 0 for _, _, labels in taken]
        boxes = [one[0][part] for one, part in zip(taken, good, strict=True)]
        labels = torch.cat([one[2][part] for one, part in zip(taken, good, strict=True)])
        logits = self._drawn(maps, sizes, boxes)
        if not len(labels):
            return {"loss_mask": logits.sum() * 0}
        wanted = []
        for (_, place, _), part, box, one in zip(taken, good, boxes, things, strict=True):
            size = (logits.shape[-2], logits.shape[-1])
            masks = one["masks"][:, None].to(box)
            # Each box is cut out of its own thing's mask.
            alone = [row[None] for row in box]
            wanted.append(roi_align(masks[place[part]], alone, size)[:, 0] if alone else box[:0, 0])
        truth = torch.cat([one for one in wanted if one.dim() == 3])
        mine = logits[torch.arange(len(labels), device=labels.device), labels]
        return {"loss_mask": F.binary_cross_entropy_with_logits(mine, truth)}

    def _drawn(self, maps: list[Tensor], sizes: list[Size], boxes: list[Tensor]) -> Tensor:
        """Return scores (n, labels, 2 · side, 2 · side) of the pixels of boxes."""
        x = cut(maps[: len(self.stages)], sizes, boxes, self.side, self.judging.samples)
        return self.pixels(self.grow(self.convs(x)).relu())


def pasted(masks: Tensor, boxes: Tensor, size: Size) -> Tensor:
    """Masks (n, 1, m, m) of boxes (n, 4) → (n, 1, height, width), with nothing around them."""
    side = masks.shape[-1]
    share = (side + 2) / side  # one more row of zeros around each mask
    half = (boxes[:, 2:] - boxes[:, :2]) * 0.5 * share
    middle = (boxes[:, 2:] + boxes[:, :2]) * 0.5
    corners = torch.cat((middle - half, middle + half), 1).long().tolist()
    found = masks.new_zeros(len(masks), 1, *size)
    for canvas, mask, (left, top, right, bottom) in zip(
        found, F.pad(masks, (1, 1, 1, 1)), corners, strict=True
    ):
        sides = (max(bottom - top + 1, 1), max(right - left + 1, 1))
        wide = F.interpolate(mask[None], sides, mode="bilinear", align_corners=False)[0, 0]
        x0, x1 = max(left, 0), min(right + 1, size[1])
        y0, y1 = max(top, 0), min(bottom + 1, size[0])
        canvas[0, y0:y1, x0:x1] = wide[y0 - top : y1 - top, x0 - left : x1 - left]
    return found
