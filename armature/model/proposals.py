"""Proposals: boxes in which there may be something (Ren et al., 2015)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers import boxes as b
from armature.layers.anchors import Matcher, anchors, sampled
from armature.layers.patches import Convolution
from armature.layers.plain_conv import row
from armature.model.photos import Found, Size


@dataclass(frozen=True)
class Picking:
    """How proposals are picked, and how many of them teach."""

    before: tuple[int, int]  # of each map, by score: while training, and else
    after: tuple[int, int]  # of all, without rivals
    rivals: float  # overlap from which on a better one removes another
    least: float  # score
    matcher: Matcher
    count: int  # of an image, that teach
    share: float  # of them that stand for something


class Proposals(nn.Module):
    """Scores the anchors of every place of every map, and moves them."""

    def __init__(
        self,
        width: int,
        sizes: Sequence[Sequence[float]],
        ratios: Sequence[Sequence[float]],
        picking: Picking,
        depth: int = 1,
    ) -> None:
        super().__init__()
        self.cells = list(zip(sizes, ratios, strict=True))
        count = len(sizes[0]) * len(ratios[0])
        self.convs = nn.Sequential(*(row(width, width, 3, None) for _ in range(depth)))
        self.scores = Convolution(width, count, 1)
        self.codes = Convolution(width, 4 * count, 1)
        self.picking = picking

    def forward(
        self, maps: Sequence[Tensor], size: Size, sizes: Sequence[Size], things: list[Found] | None
    ) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Return the proposals of each image, (n, 4), and what they cost where things are known.

        Args:
            maps: (B, D, height, width) of each resolution.
            size: of the batch of images.
            sizes: of each image in it.
            things: of each image.
        """
        hidden = [self.convs(one) for one in maps]
        scores = [spread(self.scores(one), 1) for one in hidden]  # (B, places · anchors, 1)
        codes = torch.cat([spread(self.codes(one), 4) for one in hidden], 1)
        spans = anchors(maps, self.cells, size)
        line = torch.cat(spans)
        found = b.decoded(codes.detach(), line)
        counts = [len(one) for one in spans]
        levels = torch.arange(len(counts), device=line.device).repeat_interleave(
            torch.tensor(counts, device=line.device)
        )
        marks = torch.cat(scores, 1)[..., 0]
        picked = [
            self._picked(one, mark, levels, counts, side)
            for one, mark, side in zip(found, marks.detach(), sizes, strict=True)
        ]
        return picked, {} if things is None else self._losses(marks, codes, line, things)

    def _picked(
        self, boxes: Tensor, scores: Tensor, levels: Tensor, counts: list[int], size: Size
    ) -> Tensor:
        """Return the best proposals of one image."""
        how, mode = self.picking, 0 if self.training else 1
        places, start = [], 0
        for count in counts:
            top = scores[start : start + count].topk(min(count, how.before[mode]))[1]
            places.append(top + start)
            start += count
        kept = torch.cat(places)
        boxes, scores, levels = b.clipped(boxes[kept], size), scores[kept].sigmoid(), levels[kept]
        some = b.larger_than(boxes, 1e-3)
        some = some[scores[some] >= how.least]
        best = b.best(boxes[some], scores[some], how.rivals, levels[some], how.after[mode])
        return boxes[some[best]]

    def _losses(
        self, scores: Tensor, codes: Tensor, line: Tensor, things: list[Found]
    ) -> dict[str, Tensor]:
        how, yes, no, wanted = self.picking, [], [], []
        for index, one in enumerate(things):
            found = how.matcher(one["boxes"], line)
            first, second = sampled(found, how.count, how.share)
            yes.append(first + index * len(line))
            no.append(second + index * len(line))
            if len(one["boxes"]):
                wanted.append(b.coded(one["boxes"][found[first]], line[first]))
        good, all_ = torch.cat(yes), torch.cat(yes + no)
        truth = torch.zeros(len(all_), device=line.device)
        truth[: len(good)] = 1.0
        marks, moves = scores.flatten()[all_], codes.flatten(0, 1)[good]
        target = torch.cat(wanted) if wanted else moves.detach()
        close = F.smooth_l1_loss(moves, target, beta=1 / 9, reduction="sum")
        return {
            "loss_objectness": F.binary_cross_entropy_with_logits(marks, truth),
            "loss_rpn_box_reg": close / max(len(all_), 1),
        }


def spread(x: Tensor, numbers: int) -> Tensor:
    """(B, anchors · numbers, height, width) → (B, height · width · anchors, numbers)."""
    return x.unflatten(1, (-1, numbers)).permute(0, 3, 4, 1, 2).flatten(1, 3)
