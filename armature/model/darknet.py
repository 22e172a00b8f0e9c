"""Darknet: convolutions one after another that skip, join and stretch, with boxes on three maps.

(Redmon and Farhadi, 2018). Layers are numbered as the published list has them, skips and joins too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers import boxes as b
from armature.layers.conv import BatchNorm
from armature.layers.patches import Convolution
from armature.model.call import Asked
from armature.model.composite import Composite
from armature.model.photos import Found, Size, things_of, whole


class Unit(nn.Module):
    """A convolution; with a norm and a leaky activation, or with a bias alone."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, *, plain: bool) -> None:
        super().__init__()
        self.conv = Convolution(inputs, outputs, kernel, stride, kernel // 2, bias=plain)
        self.norm = None if plain else BatchNorm(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, outputs, …)."""
        x = self.conv(x)
        return x if self.norm is None else F.leaky_relu(self.norm(x), 0.1)


@dataclass(frozen=True)
class Layout:
    """How large a Darknet is, and which boxes it finds."""

    channels: int
    widths: tuple[int, ...]  # of the first convolution and of each stage
    depths: tuple[int, ...]  # skips of each stage
    anchors: tuple[tuple[float, float], ...]  # width and height, three for each map, finest first
    labels: int
    side: int  # of the square that images are fitted into
    least: float
    rivals: float
    most: int
    ignored: float  # overlap from which on a box is not blamed for being found
    tiny: bool = False  # maps shrink by pooling, and two of them have boxes
    squares: tuple[int, ...] = ()  # sides, whose largest numbers the coarsest map's boxes see, too


class Darknet(Composite):
    """Images of any size → boxes of three maps."""

    takes = ("pixel_values", "pixel_mask")
    lists = ("pixel_values", "labels")
    fields = ("loss", "loss_dict", "scores", "labels", "boxes")

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.layers = nn.ModuleDict()
        self.steps: list[tuple[str, tuple[int, ...]]] = []  # what each layer does, and with which
        self.sizes: list[int] = []  # channels of what each layer makes
        if layout.tiny:
            self._tiny()
        else:
            self._heads(self._backbone())

    @property
    def stack(self) -> Any:
        """What embeds images."""
        return self

    @property
    def embed(self) -> Any:
        """What embeds images."""
        return self

    @property
    def patch(self) -> nn.Module:
        """The convolution that reads pixels."""
        return self.layers["0"].conv  # type: ignore[return-value]

    # ------------------------------------------------------------------ what it is made of

    def _conv(self, outputs: int, kernel: int, stride: int = 1, *, plain: bool = False) -> None:
        inputs = self.sizes[-1] if self.sizes else self.layout.channels
        unit = Unit(inputs, outputs, kernel, stride, plain=plain)
        self.layers[str(len(self.steps))] = unit
        self._step("conv", outputs)

    def _step(self, kind: str, channels: int, *of: int) -> None:
        self.steps.append((kind, of))
        self.sizes.append(channels)

    def _backbone(self) -> list[int]:
        """Add the stages, and return the last layer of each."""
        first, *widths = self.layout.widths
        self._conv(first, 3)
        ends = []
        for width, depth in zip(widths, self.layout.depths, strict=True):
            self._conv(width, 3, 2)
            for _ in range(depth):
                self._conv(width // 2, 1)
                self._conv(width, 3)
                self._step("skip", width, len(self.steps) - 3)
            ends.append(len(self.steps) - 1)
        return ends

    def _heads(self, ends: list[int]) -> None:
        """Add what finds boxes on the last three stages' maps, the coarsest first."""
        out = 3 * (5 + self.layout.labels)
        for place, end in enumerate(reversed(ends[-3:])):
            width = self.sizes[end] // 2
            if place:
                self._step("join", self.sizes[-4], len(self.steps) - 4)
                self._conv(width, 1)
                self._step("stretch", width)
                self._step("join", width + self.sizes[end], len(self.steps) - 1, end)
            for pair in range(3):
                self._conv(width, 1)
                if pair == 1 and not place and self.layout.squares:
                    self._squares(width)
                    self._conv(width, 1)
                self._conv(2 * width, 3)
            self._conv(out, 1, plain=True)
            self._step("boxes", out)

    def _squares(self, width: int) -> None:
        """Add what puts the largest numbers of squares beside a map (He et al., 2014)."""
        here, seen = len(self.steps) - 1, []
        for side in self.layout.squares:
            if seen:
                self._step("join", width, here)
            seen.append(len(self.steps))
            self._step("pool", width, side, 1)
        self._step("join", width * (len(seen) + 1), *reversed(seen), here)

    def _tiny(self) -> None:
        """Add the layers of a small Darknet."""
        *widths, last = self.layout.widths
        out = 3 * (5 + self.layout.labels)
        for place, width in enumerate(widths):
            if place:
                self._step("pool", self.sizes[-1], 2, 2)
            self._conv(width, 3)
        fine = len(self.steps) - 3  # before the map shrank last
        self._step("pool", widths[-1], 2, 1)
        self._conv(last, 3)
        self._conv(last // 4, 1)
        shared = len(self.steps) - 1
        self._conv(last // 2, 3)
        self._conv(out, 1, plain=True)
        self._step("boxes", out)
        self._step("join", last // 4, shared)
        self._conv(last // 8, 1)
        self._step("stretch", last // 8)
        self._step("join", last // 8 + self.sizes[fine], len(self.steps) - 1, fine)
        self._conv(last // 4, 3)
        self._conv(out, 1, plain=True)
        self._step("boxes", out)

    def order(self) -> Iterator[str]:
        """Yield the names of tensors as Darknet's own files hold them."""
        for index, unit in self.layers.items():
            if unit.norm is None:
                yield f"layers.{index}.conv.bias"
            else:
                names = ("bias", "weight", "running_mean", "running_var")
                yield from (f"layers.{index}.norm.{name}" for name in names)
            yield f"layers.{index}.conv.weight"

    # ------------------------------------------------------------------ use

    def maps(self, x: Tensor) -> list[Tensor]:
        """Images (B, C, side, side) → maps (B, height, width, 3, 5 + labels), coarse first."""
        made: list[Tensor] = []
        found = []
        for index, (kind, of) in enumerate(self.steps):
            if kind == "conv":
                x = self.layers[str(index)](x)
            elif kind == "skip":
                x = x + made[of[0]]
            elif kind == "join":
                x = torch.cat([made[one] for one in of], 1)
            elif kind == "pool":
                x = pooled(x, *of)
            elif kind == "stretch":
                x = F.interpolate(x, scale_factor=2, mode="nearest")
            else:
                found.append(x.unflatten(1, (3, -1)).permute(0, 3, 4, 1, 2))
            made.append(x)
        return found

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return losses where labels are given, and what is found unless the model is training."""
        images = [image.to(self.patch.weight.dtype) for image in whole(given)]  # type: ignore[arg-type]
        side = self.layout.side
        fitted = [fit(image, side) for image in images]
        spots = [one[1] for one in fitted]
        maps = self.maps(torch.stack([one[0] for one in fitted]))
        result: dict[str, Any] = {}
        if given.get("labels") is not None:
            things = things_of(given["labels"], images)
            for thing, (shares, shift) in zip(things, spots, strict=True):
                thing["boxes"] = thing["boxes"] * shares + shift
            losses = self._losses(maps, things)
            result = {"loss": torch.stack(list(losses.values())).sum(), "loss_dict": losses}
        if self.training:
            return result
        boxes, marks = self._boxes(maps)
        found = []
        for image, one, mark, spot in zip(images, boxes, marks, spots, strict=True):
            found.append(self._found(one, mark, spot, (image.shape[1], image.shape[2])))
        names = ("scores", "labels", "boxes")
        return result | {name: [one[name] for one in found] for name in names}

    def _around(self, level: int, like: Tensor) -> Tensor:
        """Return the (3, 2) anchors of a map, the coarsest is 0."""
        last = len(self.layout.anchors) - 3 * level
        return like.new_tensor(self.layout.anchors[last - 3 : last])

    def _boxes(self, maps: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return corners (B, N, 4) in the square, and scores (B, N, labels)."""
        boxes, marks = [], []
        for level, one in enumerate(maps):
            boxes.append(b.corners(self._placed(one, level)).flatten(1, 3))
            marks.append((one[..., 4:5].sigmoid() * one[..., 5:].sigmoid()).flatten(1, 3))
        return torch.cat(boxes, 1), torch.cat(marks, 1)

    def _placed(self, one: Tensor, level: int) -> Tensor:
        """Return boxes (B, height, width, 3, 4) around their centres, in the square."""
        rows, columns = one.shape[1:3]
        down = torch.arange(rows, device=one.device)[:, None, None]
        across = torch.arange(columns, device=one.device)[:, None]
        x = (one[..., 0].sigmoid() + across) * (self.layout.side / columns)
        y = (one[..., 1].sigmoid() + down) * (self.layout.side / rows)
        sides = one[..., 2:4].exp() * self._around(level, one)
        return torch.cat((x[..., None], y[..., None], sides), -1)

    def _found(
        self, boxes: Tensor, marks: Tensor, spot: tuple[Tensor, Tensor], size: Size
    ) -> Found:
        """Return the best labels and boxes of one image, in its own pixels."""
        how, (shares, shift) = self.layout, spot
        places, labels = torch.where(marks > how.least)
        scores = marks[places, labels]
        best = b.best(boxes[places], scores, how.rivals, labels, how.most)
        corners = b.clipped((boxes[places[best]] - shift) / shares, size)
        return {"boxes": corners, "labels": labels[best], "scores": scores[best]}

    def _losses(self, maps: list[Tensor], things: Sequence[Found]) -> dict[str, Tensor]:
        """Blame the one anchor that fits each thing best, and all that see something else."""
        side, count = self.layout.side, len(things)
        every = maps[0].new_tensor(self.layout.anchors)
        names = ("x_y", "width_height", "objectness", "classification")
        sums = {name: maps[0].new_zeros(()) for name in names}
        blamed = []
        for level, one in enumerate(maps):
            placed = b.corners(self._placed(one.detach(), level)).flatten(1, 3)
            free = [
                (b.overlap(row, thing["boxes"])[0].amax(1) > self.layout.ignored)
                if len(thing["boxes"])
                else torch.zeros(len(row), dtype=torch.bool, device=row.device)
                for row, thing in zip(placed, things, strict=True)
            ]
            blamed.append(~torch.stack(free).view(one.shape[:4]))
        wanted = [torch.zeros_like(one[..., 4]) for one in maps]
        for index, thing in enumerate(things):
            for box, label in zip(b.centred(thing["boxes"]), thing["labels"], strict=True):
                both = torch.min(every, box[2:]).prod(1)
                best = int((both / (every.prod(1) + box[2:].prod() - both)).argmax())
                level = len(maps) - 1 - best // 3
                rows, columns = maps[level].shape[1:3]
                x, y = box[0] / side * columns, box[1] / side * rows
                at = (index, min(int(y), rows - 1), min(int(x), columns - 1), best % 3)
                told = maps[level][at]
                wanted[level][at], blamed[level][at] = 1.0, True
                large = 2 - float(box[2:].prod()) / side**2
                shift = torch.stack((x - at[2], y - at[1]))
                near = F.binary_cross_entropy_with_logits(told[:2], shift, reduction="sum")
                sums["x_y"] = sums["x_y"] + large * near
                growth = (box[2:] / every[best]).log()
                far = (told[2:4] - growth).square().sum()
                sums["width_height"] = sums["width_height"] + large * far / 2
                truth = F.one_hot(label, self.layout.labels).to(told)
                kinds = F.binary_cross_entropy_with_logits(told[5:], truth, reduction="sum")
                sums["classification"] = sums["classification"] + kinds
        for one, truth, counted in zip(maps, wanted, blamed, strict=True):
            wrong = F.binary_cross_entropy_with_logits(one[..., 4], truth, reduction="none")
            sums["objectness"] = sums["objectness"] + (wrong * counted).sum()
        return {name: part / count for name, part in sums.items()}


def pooled(x: Tensor, side: int, stride: int) -> Tensor:
    """Return the largest numbers of squares; a square that leaves the map has fewer numbers."""
    before = (side - 1) // 2 if stride == 1 else 0
    after = side - 1 - before
    x = F.pad(x, (before, after, before, after), value=-torch.inf)
    return F.max_pool2d(x, side, stride)


def fit(image: Tensor, side: int) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Fit an image (C, height, width) into the middle of a grey square, as Darknet does.

    Returns:
        The square, and by what corners (4,) of boxes are multiplied and shifted to lie in it.
    """
    height, width = image.shape[1:]
    longest = max(height, width)
    tall, wide = max(height * side // longest, 1), max(width * side // longest, 1)
    small = F.interpolate(image[None], (tall, wide), mode="bilinear", align_corners=True)[0]
    left, top = (side - wide) // 2, (side - tall) // 2
    square = image.new_full((image.shape[0], side, side), 0.5)
    square[:, top : top + tall, left : left + wide] = small
    shares = image.new_tensor([wide / width, tall / height] * 2)
    return square, (shares, image.new_tensor([(side - wide) / 2, (side - tall) / 2] * 2))
