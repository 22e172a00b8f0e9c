"""Dense boxes: every anchor of every place gets labels and a box at once (Lin et al., 2017)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers import boxes as b
from armature.layers.anchors import BETWEEN, Matcher, anchors
from armature.layers.feature_pyramid import FeaturePyramid
from armature.layers.patches import Convolution
from armature.layers.plain_conv import Norms, row
from armature.model.photos import Found, Photos, Size
from armature.model.proposals import spread
from armature.model.pyramid import Pyramid
from armature.model.regional import Seen


class Rare(Convolution):
    """Scores of what is rarely there: a fresh one says so."""

    def compute(self, tensor: Tensor) -> None:
        """Fill a fresh weight."""
        if tensor.dim() == 1:
            tensor.fill_(-math.log(0.99 / 0.01))
        else:
            tensor.normal_(0.0, 0.01)


@dataclass(frozen=True)
class Choosing:
    """Which boxes count."""

    labels: int
    least: float
    before: int  # of each map, by score
    rivals: float
    most: int
    matcher: Matcher
    norm: Norms | None = None  # behind the convolutions
    whole: bool = False  # boxes are compared as such, and not by the moves to them


class Dense(Seen):
    """Four convolutions for labels and four for boxes, the same on all maps."""

    def __init__(
        self,
        photos: Photos,
        pyramid: Pyramid,
        stages: tuple[int, ...],
        neck: FeaturePyramid,
        cells: tuple[list[list[float]], list[list[float]]],
        choosing: Choosing,
    ) -> None:
        super().__init__(photos, pyramid, stages, neck)
        self.cells = list(zip(*cells, strict=True))
        self.choosing = choosing
        width, count = neck.width, len(cells[0][0]) * len(cells[1][0])
        norm = choosing.norm
        self.label_convs = nn.Sequential(*(row(width, width, 3, norm) for _ in range(4)))
        self.box_convs = nn.Sequential(*(row(width, width, 3, norm) for _ in range(4)))
        self.scores = Rare(width, count * choosing.labels, 3, padding=1)
        self.codes = Convolution(width, count * 4, 3, padding=1)

    def look(
        self, maps: list[Tensor], area: Size, sizes: list[Size], things: list[Found] | None
    ) -> tuple[dict[str, Tensor], list[Found]]:
        """Return losses where things are known, and what is found unless the model is training."""
        scores, codes = [], []
        for one in maps:
            scores.append(spread(self.scores(self.label_convs(one)), self.choosing.labels))
            codes.append(spread(self.codes(self.box_convs(one)), 4))
        spans = anchors(maps, self.cells, area)
        losses = {}
        if things is not None:
            losses = self._losses(
                torch.cat(scores, 1), torch.cat(codes, 1), torch.cat(spans), things
            )
        if self.training:
            return losses, []
        rows = range(len(sizes))
        return losses, [
            self._found([x[i] for x in scores], [x[i] for x in codes], spans, sizes[i])
            for i in rows
        ]

    def _losses(
        self, scores: Tensor, codes: Tensor, line: Tensor, things: list[Found]
    ) -> dict[str, Tensor]:
        names, moves = [], []
        for marks, code, one in zip(scores, codes, things, strict=True):
            found = self.choosing.matcher(one["boxes"], line)
            good = torch.where(found >= 0)[0]
            truth, far = torch.zeros_like(marks), code.sum() * 0
            if len(good):
                truth[good, one["labels"][found[good]]] = 1.0
                far = self._far(code[good], one["boxes"][found[good]], line[good])
            counted = found != BETWEEN
            count = max(1, len(good))
            names.append(hard(marks[counted], truth[counted]).sum() / count)
            moves.append(far / count)
        return {
            "classification": torch.stack(names).mean(),
            "bbox_regression": torch.stack(moves).mean(),
        }

    def _far(self, codes: Tensor, boxes: Tensor, spans: Tensor) -> Tensor:
        """Return how far moved anchors are from the boxes (n, 4) that they should be, in all."""
        if self.choosing.whole:
            return (1 - b.paired_overlap(b.decoded(codes, spans), boxes)).sum()
        return (codes - b.coded(boxes, spans)).abs().sum()

    def _found(
        self, scores: list[Tensor], codes: list[Tensor], spans: list[Tensor], size: Size
    ) -> Found:
        """Return the best labels and boxes of one image."""
        how, parts = self.choosing, []
        for mark, code, span in zip(scores, codes, spans, strict=True):
            marks = mark.sigmoid().flatten()
            kept = torch.where(marks > how.least)[0]
            top, order = marks[kept].topk(min(how.before, len(kept)))
            places = kept[order] // how.labels
            corners = b.clipped(b.decoded(code[places], span[places]), size)
            parts.append((corners, top, kept[order] % how.labels))
        boxes, marks, names = (torch.cat(part) for part in zip(*parts, strict=True))
        best = b.best(boxes, marks, how.rivals, names, how.most)
        return {"boxes": boxes[best], "labels": names[best], "scores": marks[best]}


def hard(logits: Tensor, wanted: Tensor, alpha: float = 0.25, gamma: float = 2.0) -> Tensor:
    """Cross-entropy of each yes or no, less of it where that is easy."""
    shares = logits.sigmoid()
    plain = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
    right = shares * wanted + (1 - shares) * (1 - wanted)
    return (alpha * wanted + (1 - alpha) * (1 - wanted)) * plain * (1 - right) ** gamma
