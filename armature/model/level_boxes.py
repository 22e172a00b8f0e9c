"""Level boxes: one head for the maps of all levels, but norms of each level's own.

(Tan et al., 2020)
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers import boxes as b
from armature.layers.act import activation
from armature.layers.bifpn import BiFPN, Fanned, Mixed, Style
from armature.model.dense_boxes import hard
from armature.model.photos import Found, Photos, Size
from armature.model.proposals import spread
from armature.model.pyramid import Pyramid
from armature.model.regional import Seen

Shapes = Sequence[tuple[float, float]]  # width and height of anchors, in places of a map

_TURNED = [1, 0, 3, 2]  # files tell the height's numbers before the width's


class Framed(Photos):
    """Images fitted into the upper left of a frame, whose rest is the mean colour."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], size: Size) -> None:
        super().__init__(mean, std, min(size), max(size))
        self.size = size

    def forward(self, images: Sequence[Tensor]) -> tuple[Tensor, list[Size]]:
        """Images (C, height, width) from 0 to 1 → a batch, and the size of each in it."""
        made = [self._resized(self._normed(image)) for image in images]
        high, wide = self.size
        padded = [F.pad(x, (0, wide - x.shape[2], 0, high - x.shape[1])) for x in made]
        return torch.stack(padded), [(x.shape[1], x.shape[2]) for x in made]

    def scale(self, image: Tensor) -> float:
        """Return what an image's sides are multiplied by."""
        return min(self.size[0] / image.shape[-2], self.size[1] / image.shape[-1])


class Unlikely(Fanned):
    """Scores of what is rarely there: a fresh one says so."""

    def compute(self, tensor: Tensor) -> None:
        """Fill a fresh weight."""
        super().compute(tensor)
        if tensor.dim() == 1:
            tensor.fill_(-math.log(0.99 / 0.01))


class LevelHead(nn.Module):
    """Convolutions that all levels share, each with a norm of each level's own."""

    def __init__(
        self,
        style: Style,
        depth: int,
        levels: int,
        outputs: int,
        last: type[Fanned] = Fanned,
        *,
        level_first: bool,
    ) -> None:
        """Build it.

        Args:
            style: of the maps.
            depth: how many convolutions there are before the last.
            levels: how many maps.
            outputs: numbers for each place.
            last: the kind of the last convolution.
            level_first: whether files list the norms of a level, or of a convolution, together.
        """
        super().__init__()
        self.level_first = level_first
        self.conv_rep = nn.ModuleList(
            Mixed(style, style.width, bias=style.bias) for _ in range(depth)
        )
        lists = (levels, depth) if level_first else (depth, levels)
        self.bn_rep = nn.ModuleList(
            nn.ModuleList(
                style.norm() if level_first else nn.ModuleDict({"bn": style.norm()})
                for _ in range(lists[1])
            )
            for _ in range(lists[0])
        )
        self.predict = Mixed(style, outputs, last, bias=True)
        self.act = activation(style.act)

    def forward(self, x: Tensor, level: int) -> Tensor:
        """(B, D, height, width) of one level → (B, outputs, height, width)."""
        for index, conv in enumerate(self.conv_rep):
            x = self.act(self._norm(index, level)(conv(x)))
        return self.predict(x)

    def _norm(self, index: int, level: int) -> nn.Module:
        norms: nn.ModuleList = self.bn_rep  # type: ignore[assignment]
        if self.level_first:
            return norms[level][index]  # type: ignore[index]
        return norms[index][level]["bn"]  # type: ignore[index]


@dataclass(frozen=True)
class Rules:
    """Which boxes there are, which are told, and what mistakes cost."""

    shapes: Shapes  # of the anchors at each place
    labels: int
    before: int  # of each image, by score
    most: int
    alpha: float
    gamma: float
    delta: float
    weight: float  # how much more mistakes of boxes count
    rivals: float = 0.5


class LevelBoxes(Seen):
    """Scores of labels and a box for each anchor of each place."""

    def __init__(
        self,
        photos: Photos,
        pyramid: Pyramid,
        stages: tuple[int, ...],
        neck: BiFPN,
        heads: tuple[LevelHead, LevelHead],
        rules: Rules,
    ) -> None:
        """Build it.

        Args:
            photos: resizes images.
            pyramid: the backbone.
            stages: of the pyramid, whose maps are read.
            neck: what joins them.
            heads: for labels, and for boxes.
            rules: of boxes.
        """
        super().__init__(photos, pyramid, stages, neck)  # type: ignore[arg-type]
        self.class_net, self.box_net = heads
        self.rules = rules

    def look(
        self, maps: list[Tensor], area: Size, sizes: list[Size], things: list[Found] | None
    ) -> tuple[dict[str, Tensor], list[Found]]:
        """Return losses where things are known, and what is found unless the model is training."""
        levels = list(enumerate(maps))
        labels = self.rules.labels
        scores = torch.cat([spread(self.class_net(x, i), labels) for i, x in levels], 1)
        codes = torch.cat([spread(self.box_net(x, i), 4) for i, x in levels], 1)[..., _TURNED]
        line = torch.cat([around(x, self.rules.shapes, area) for x in maps])
        losses = {} if things is None else self._losses(scores, codes, line, things)
        if self.training:
            return losses, []
        rows = zip(scores, codes, sizes, strict=True)
        return losses, [self._found(mark, code, line, size) for mark, code, size in rows]

    def _losses(
        self, scores: Tensor, codes: Tensor, line: Tensor, things: list[Found]
    ) -> dict[str, Tensor]:
        """Return what labels cost, by how hard they are, and boxes, both for each anchor in use."""
        how, truth, moves, count = self.rules, [], [], 1
        for one in things:
            found = matched(one["boxes"], line)
            good = torch.where(found >= 0)[0]
            names, wanted = torch.zeros_like(scores[0]), torch.zeros_like(codes[0])
            names[good, one["labels"][found[good]]] = 1.0
            wanted[good] = b.coded(one["boxes"][found[good]], line[good]).to(wanted)
            count += len(good)
            truth.append(names)
            moves.append(wanted)
        wrong = hard(scores, torch.stack(truth), how.alpha, how.gamma).sum() / count
        wanted = torch.stack(moves)
        counted = wanted != 0
        far = F.huber_loss(codes[counted], wanted[counted], reduction="sum", delta=how.delta)
        return {"class_loss": wrong, "box_loss": how.weight * far / (4 * count)}

    def _found(self, scores: Tensor, codes: Tensor, line: Tensor, size: Size) -> Found:
        """Return the best labels and boxes of one image."""
        how, flat = self.rules, scores.flatten()
        marks, order = flat.topk(min(how.before, len(flat)))
        places, names = order // how.labels, order % how.labels
        corners = b.clipped(b.decoded(codes[places], line[places], longest=math.inf), size)
        marks = marks.sigmoid()
        best = b.best(corners, marks, how.rivals, names, how.most)
        return {"boxes": corners[best], "labels": names[best], "scores": marks[best]}


def shaped(scale: float, octaves: int, ratios: Sequence[float | Sequence[float]]) -> Shapes:
    """Return the shapes of the octaves · ratios anchors of a place.

    Args:
        scale: side of the smallest square.
        octaves: how many sizes there are until the next level's.
        ratios: of width and height, each by itself or one to the other.
    """
    pairs = [
        (math.sqrt(one), 1 / math.sqrt(one)) if isinstance(one, int | float) else one
        for one in ratios
    ]
    sides = [scale * 2 ** (step / octaves) for step in range(octaves)]
    return [(side * wide, side * tall) for side in sides for wide, tall in pairs]


def around(one: Tensor, shapes: Shapes, area: Size) -> Tensor:
    """Return the anchors of a map (B, D, height, width) of images of a size: corners (n, 4)."""
    rows, columns = one.shape[-2:]
    step = torch.tensor([area[1] / columns, area[0] / rows], device=one.device)
    down, across = (torch.arange(n, device=one.device) + 0.5 for n in (rows, columns))
    y, x = torch.meshgrid(down, across, indexing="ij")
    middle = (torch.stack((x, y), -1) * step)[:, :, None]
    half = torch.tensor(shapes, device=one.device) * step / 2
    return torch.cat((middle - half, middle + half), -1).flatten(0, 2).to(one)


def matched(things: Tensor, anchors: Tensor, least: float = 0.5) -> Tensor:
    """(T, 4), (N, 4) → (N,) the place of each anchor's thing, -1 for none.

    A thing also gets the anchor that overlaps it most, however little.
    """
    if not len(things):
        return torch.full((len(anchors),), -1, device=anchors.device)
    shares = b.overlap(things, anchors)[0]
    most, found = shares.max(0)
    found[most < least] = -1
    for index in reversed(range(len(things))):  # where two want the same anchor, the first has it
        found[shares[index].argmax()] = index
    return found
