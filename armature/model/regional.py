"""Regional: proposals of a feature pyramid, each looked at again (Ren et al., 2015)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers import boxes as b
from armature.layers.anchors import Matcher, sampled
from armature.layers.context import Record
from armature.layers.feature_pyramid import FeaturePyramid
from armature.layers.linear import Linear
from armature.layers.patches import Images
from armature.layers.plain_conv import Norms, row
from armature.layers.regions import roi_align
from armature.model.call import Asked
from armature.model.composite import Composite
from armature.model.photos import Found, Photos, Size, moved, whole
from armature.model.proposals import Proposals


class Seen(Composite):
    """A body that finds things in images of any size: maps of all resolutions, and boxes back."""

    takes = ("pixel_values", "pixel_mask")
    lists = ("pixel_values", "labels")
    fields = ("loss", "loss_dict", "scores", "labels", "boxes")

    def __init__(
        self,
        photos: Photos,
        pyramid: Any,
        stages: tuple[int, ...],
        neck: FeaturePyramid,
    ) -> None:
        """Build it; the pyramid's maps behind some stages are read."""
        super().__init__()
        self.photos, self.pyramid, self.stages, self.neck = photos, pyramid, stages, neck

    @property
    def stack(self) -> Any:
        """What embeds images."""
        return self.pyramid

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return losses where labels are given, and what is found unless the model is training."""
        images = [image.to(next(self.neck.parameters()).dtype) for image in whole(given)]
        pixels, sizes = self.photos(images)
        record = Record(states=frozenset(self.stages))
        self.pyramid.features(Images(pixels), record)
        maps = self.neck([record.kept_states[stage] for stage in self.stages])
        labels, things = given.get("labels"), None
        if labels is not None:
            things = self.photos.things(labels, images, sizes)
        area = (pixels.shape[2], pixels.shape[3])
        losses, found = self.look(maps, area, sizes, things)
        result: dict[str, Any] = {}
        if things is not None:
            result |= {"loss": torch.stack(list(losses.values())).sum(), "loss_dict": losses}
        for one, image, size in zip(found, images, sizes, strict=True) if found else ():
            old = (image.shape[1], image.shape[2])
            one["boxes"] = moved(one["boxes"], size, old)
            self.finish(one, old)
        names = [name for name in self.fields if name not in ("loss", "loss_dict")]
        return result | ({name: [one[name] for one in found] for name in names} if found else {})

    def look(
        self, maps: list[Tensor], area: Size, sizes: list[Size], things: list[Found] | None
    ) -> tuple[dict[str, Tensor], list[Found]]:
        """Return losses where things are known, and else, or also, what is found."""
        raise NotImplementedError(f"{type(self).__name__} finds nothing")

    def finish(self, found: Found, size: Size) -> None:
        """Bring what was found in an image to its own size."""


@dataclass(frozen=True)
class Judging:
    """How regions are judged."""

    labels: int  # with that which means nothing, the first
    size: int  # rows and columns of a region
    samples: int
    width: int
    weights: tuple[float, ...]
    least: float
    rivals: float
    most: int
    matcher: Matcher
    count: int
    share: float
    layers: tuple[int, ...] = ()  # widths of convolutions on regions
    norm: Norms | None = None  # behind them


class Regional(Seen):
    """Proposals, and a label and a finer box for each of them."""

    def __init__(
        self,
        photos: Photos,
        pyramid: Any,
        stages: tuple[int, ...],
        neck: FeaturePyramid,
        proposals: Proposals,
        judging: Judging,
    ) -> None:
        super().__init__(photos, pyramid, stages, neck)
        self.proposals, self.judging = proposals, judging
        channels, width = neck.width, judging.width
        widths, norm = (channels, *judging.layers), judging.norm
        self.seen = nn.Sequential(*(row(one, two, 3, norm) for one, two in pairwise(widths)))
        self.first = Linear(widths[-1] * judging.size**2, width)
        self.second = None if judging.layers else Linear(width, width)
        self.scores, self.codes = Linear(width, judging.labels), Linear(width, 4 * judging.labels)

    def look(
        self, maps: list[Tensor], area: Size, sizes: list[Size], things: list[Found] | None
    ) -> tuple[dict[str, Tensor], list[Found]]:
        """Return losses where things are known, and what is found unless the model is training."""
        boxes, losses = self.proposals(maps, area, sizes, things)
        if things is not None:
            taken = [self._taken(one, thing) for one, thing in zip(boxes, things, strict=True)]
            losses |= self._losses(maps, sizes, taken, things)
            losses |= self.further_losses(maps, sizes, taken, things)
        if self.training:
            return losses, []
        scores, codes = self._judged(maps, sizes, boxes)
        counts = [len(one) for one in boxes]
        found = [
            self._found(*parts)
            for parts in zip(boxes, scores.split(counts), codes.split(counts), sizes, strict=True)
        ]
        return losses, self.further(maps, sizes, found)

    def _judged(
        self, maps: list[Tensor], sizes: list[Size], boxes: list[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return scores (n, labels) and codes (n, 4 · labels) of all boxes."""
        how = self.judging
        x = cut(maps[: len(self.stages)], sizes, boxes, how.size, how.samples)
        x = self.first(self.seen(x).flatten(1)).relu()
        x = x if self.second is None else self.second(x).relu()
        return self.scores(x), self.codes(x)

    def _taken(self, boxes: Tensor, things: Found) -> tuple[Tensor, Tensor, Tensor]:
        """Return proposals that teach, the place of each one's thing, and its label."""
        how = self.judging
        boxes = torch.cat((boxes, things["boxes"].to(boxes)))
        found = how.matcher(things["boxes"], boxes)
        yes, no = sampled(found, how.count, how.share)
        kept = torch.cat((yes, no)).sort()[0]
        place = found[kept].clamp(min=0)
        labels = torch.zeros(len(kept), dtype=torch.long, device=boxes.device)
        if len(things["boxes"]):
            labels = things["labels"][place] * (found[kept] >= 0)
        return boxes[kept], place, labels

    def _losses(
        self, maps: list[Tensor], sizes: list[Size], taken: list[Any], things: list[Found]
    ) -> dict[str, Tensor]:
        scores, codes = self._judged(maps, sizes, [one[0] for one in taken])
        labels = torch.cat([one[2] for one in taken])
        wanted = []
        for (boxes, place, _), one in zip(taken, things, strict=True):
            theirs = one["boxes"] if len(one["boxes"]) else boxes.new_zeros(1, 4)
            wanted.append(b.coded(theirs[place], boxes, self.judging.weights))
        yes = torch.where(labels > 0)[0]
        moves = codes.unflatten(1, (-1, 4))[yes, labels[yes]]
        close = F.smooth_l1_loss(moves, torch.cat(wanted)[yes], beta=1 / 9, reduction="sum")
        return {
            "loss_classifier": F.cross_entropy(scores, labels),
            "loss_box_reg": close / max(len(labels), 1),
        }

    def _found(self, boxes: Tensor, scores: Tensor, codes: Tensor, size: Size) -> Found:
        """Return the best labels and boxes of one image."""
        how, shares = self.judging, scores.softmax(-1)
        moves = codes.unflatten(1, (-1, 4))
        every = b.clipped(b.decoded(moves, boxes[:, None], how.weights), size)[:, 1:]
        labels = torch.arange(1, how.labels, device=boxes.device).expand(len(boxes), -1)
        corners, marks, names = every.reshape(-1, 4), shares[:, 1:].flatten(), labels.flatten()
        kept = torch.where(marks > how.least)[0]
        kept = kept[b.larger_than(corners[kept], 1e-2)]
        best = kept[b.best(corners[kept], marks[kept], how.rivals, names[kept], how.most)]
        return {"boxes": corners[best], "labels": names[best], "scores": marks[best]}

    def further(self, _maps: list[Tensor], _sizes: list[Size], found: list[Found]) -> list[Found]:
        """Return what is found, with more about it."""
        return found

    def further_losses(
        self, _maps: list[Tensor], _sizes: list[Size], _taken: list[Any], _things: list[Found]
    ) -> dict[str, Tensor]:
        """Return further losses."""
        return {}


def cut(
    maps: Sequence[Tensor], sizes: Sequence[Size], boxes: list[Tensor], side: int, samples: int
) -> Tensor:
    """Cut boxes out of the maps that fit their sizes: (all boxes, D, side, side).

    (Lin et al., 2017): a box of 224 × 224 pixels belongs to the third map from the finest.
    """
    area = [max(one[axis] for one in sizes) for axis in (0, 1)]
    scales = [2.0 ** round(math.log2(one.shape[2] / area[0])) for one in maps]
    first, last = -int(math.log2(scales[0])), -int(math.log2(scales[-1]))
    counts, line = [len(one) for one in boxes], torch.cat(boxes)
    level = torch.floor(4 + torch.log2(b.area(line).sqrt() / 224) + 1e-6)
    level = level.clamp(first, last).long() - first
    found = line.new_zeros(len(line), maps[0].shape[1], side, side).to(maps[0].dtype)
    for index, (one, scale) in enumerate(zip(maps, scales, strict=True)):
        mine = level == index
        rows = [box[part] for box, part in zip(boxes, mine.split(counts), strict=True)]
        some = roi_align(one, rows, (side, side), scale=scale, samples=samples)
        found = found.index_copy(0, torch.where(mine)[0], some)
    return found
