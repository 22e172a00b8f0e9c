"""BiFPN: maps of all resolutions learn from finer and coarser ones, and weigh them.

(Tan et al., 2020). Organs are named here as published files name them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.act import activation
from armature.layers.conv import BatchNorm
from armature.layers.patches import Convolution


@dataclass(frozen=True)
class Style:
    """What all maps of a detector have in common, once they have one width."""

    width: int
    act: str
    act_first: bool  # before the convolution that mixes, or behind its norm
    separable: bool  # convolutions look at each channel alone, then at each place alone
    bias: bool  # convolutions have one although a norm follows
    eps: float
    momentum: float

    def norm(self) -> BatchNorm:
        """Return a norm."""
        return BatchNorm(self.width, self.eps, self.momentum)


@dataclass(frozen=True)
class Meeting:
    """How maps meet."""

    weights: str  # "fastattn": shares of rectified ones; "attn": a softmax; "sum": none
    down: str  # "max": the largest around each second place; or a kind of interpolation
    up: str  # a kind of interpolation
    same: bool  # pooling pads as TensorFlow does
    normed: bool  # a map that changes its width is normed


class Fanned(Convolution):
    """A convolution whose fresh weights keep the size of what goes in."""

    def compute(self, tensor: Tensor) -> None:
        """Fill a fresh weight."""
        if tensor.dim() == 1:
            tensor.zero_()
        else:
            tensor.normal_(0.0, tensor[0].numel() ** -0.5)


class Mixed(nn.Module):
    """A convolution of 3 × 3, in one or apart, and perhaps a norm."""

    def __init__(
        self,
        style: Style,
        outputs: int,
        last: type[Convolution] = Fanned,
        *,
        bias: bool,
        normed: bool = False,
    ) -> None:
        super().__init__()
        width = style.width
        self.conv = self.conv_dw = self.conv_pw = None
        if style.separable:
            self.conv_dw = Fanned(width, width, 3, padding=1, groups=width, bias=False)
            self.conv_pw = last(width, outputs, 1, bias=bias)
        else:
            self.conv = last(width, outputs, 3, padding=1, bias=bias)
        self.bn = style.norm() if normed else None

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, height, width) → (B, outputs, height, width)."""
        for step in (self.conv_dw, self.conv_pw, self.conv, self.bn):
            x = x if step is None else step(x)
        return x


class Resampled(nn.Module):
    """A map with the width of all others, and with another one's size."""

    def __init__(self, inputs: int, style: Style, how: Meeting) -> None:
        super().__init__()
        self.how = how
        self.conv = None
        if inputs != style.width:
            bias = style.bias or not how.normed
            parts: dict[str, nn.Module] = {"conv": Fanned(inputs, style.width, 1, bias=bias)}
            self.conv = nn.ModuleDict(parts | ({"bn": style.norm()} if how.normed else {}))

    def forward(self, x: Tensor, size: Sequence[int]) -> Tensor:
        """(B, C, height, width) → (B, D, *size)."""
        for step in () if self.conv is None else self.conv.values():
            x = step(x)
        rows, columns = x.shape[2:]
        if rows > size[0] and columns > size[1]:
            if self.how.down == "max":
                return pooled(x, size, same=self.how.same)
            return F.interpolate(x, list(size), mode=self.how.down)
        if rows < size[0] or columns < size[1]:
            return F.interpolate(x, list(size), mode=self.how.up)
        return x


def pooled(x: Tensor, size: Sequence[int], *, same: bool) -> Tensor:
    """Return the largest numbers around each place of a smaller map of that size.

    Args:
        x: (B, C, height, width).
        size: of the result.
        same: pad as TensorFlow does, rather behind the map; else alike on both sides.
    """
    steps = [(have - 1) // want + 1 for have, want in zip(x.shape[2:], size, strict=True)]
    sides = [step + 1 for step in steps]
    if not same:
        return F.max_pool2d(
            x,
            sides,
            steps,
            [(step + side) // 2 - 1 for step, side in zip(steps, sides, strict=True)],
        )
    pads: list[int] = []
    for axis in (1, 0):  # the last dimension comes first
        total = (size[axis] - 1) * steps[axis] + sides[axis] - x.shape[2 + axis]
        pads += [max(total, 0) // 2, max(total, 0) - max(total, 0) // 2]
    return F.max_pool2d(F.pad(x, pads, value=-torch.inf), sides, steps)


class Combined(nn.Module):
    """Several maps made alike and summed, each with a trained share."""

    def __init__(self, inputs: dict[int, int], style: Style, how: Meeting) -> None:
        """Build it; `inputs` are the channels of the maps that it reads, by their places."""
        super().__init__()
        self.how = how
        self.resample = nn.ModuleDict(
            {str(place): Resampled(channels, style, how) for place, channels in inputs.items()}
        )
        self.edge_weights: nn.Parameter | None = None
        if how.weights != "sum":
            self.edge_weights = nn.Parameter(torch.empty(len(inputs)))

    def compute(self, edge_weights: Tensor) -> None:
        """Fill fresh weights: all maps count alike."""
        edge_weights.fill_(1.0)

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Maps (B, C, height, width) → (B, D, *size)."""
        made = [one(maps[int(place)], size) for place, one in self.resample.items()]
        all_maps = torch.stack(made, -1)
        if self.edge_weights is None:
            return all_maps.sum(-1)
        if self.how.weights == "attn":
            return (all_maps * self.edge_weights.softmax(0)).sum(-1)
        shares = self.edge_weights.relu()
        return (all_maps * (shares / (shares.sum() + 1e-4))).sum(-1)


class Node(nn.Module):
    """Maps that meet, and what mixes the places of their sum."""

    def __init__(self, level: int, inputs: dict[int, int], style: Style, how: Meeting) -> None:
        super().__init__()
        self.level = level
        self.combine = Combined(inputs, style, how)
        bias = style.act_first and style.bias
        self.after_combine = nn.ModuleDict(
            {"conv": Mixed(style, style.width, bias=bias, normed=True)}
        )
        self.act, self.act_first = activation(style.act), style.act_first

    def forward(self, maps: Sequence[Tensor], size: Sequence[int]) -> Tensor:
        """Maps → (B, D, *size)."""
        x, conv = self.combine(maps, size), self.after_combine["conv"]
        return conv(self.act(x)) if self.act_first else self.act(conv(x))


def nodes(levels: int) -> list[tuple[int, list[int]]]:
    """Return the level of each node, from the coarse ones down and up again, and what it reads.

    The maps that come in count from 0, the finest first; nodes go on counting.
    """
    places, found = [[level] for level in range(levels)], []
    for level in reversed(range(levels - 1)):
        found.append((level, [places[level][-1], places[level + 1][-1]]))
        places[level].append(levels + len(found) - 1)
    for level in range(1, levels):
        found.append((level, [*places[level], places[level - 1][-1]]))
        places[level].append(levels + len(found) - 1)
    return found


class Cell(nn.Module):
    """Once down and up again."""

    def __init__(self, channels: Sequence[int], style: Style, how: Meeting) -> None:
        super().__init__()
        self.levels = len(channels)
        plan = nodes(self.levels)
        widths = [*channels, *(style.width for _ in plan)]
        self.fnode = nn.ModuleList(
            Node(level, {place: widths[place] for place in read}, style, how)
            for level, read in plan
        )

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps of all levels, the finest first → as many, of one width."""
        sizes, made = [one.shape[2:] for one in maps], list(maps)
        for node in self.fnode:
            made.append(node(made, sizes[node.level]))  # type: ignore[index]
        return made[-self.levels :]


class BiFPN(nn.Module):
    """Cells one after another on a backbone's maps, and on coarser ones made of its last."""

    def __init__(
        self, channels: Sequence[int], levels: int, cells: int, style: Style, how: Meeting
    ) -> None:
        """Build it.

        Args:
            channels: of the backbone's maps, the finest first.
            levels: how many maps there are in all.
            cells: how many cells.
            style: of all that is built.
            how: maps meet.
        """
        super().__init__()
        self.width = style.width
        widths, more = list(channels), {}
        for level in range(len(channels), levels):
            more[str(level)] = Resampled(widths[-1], style, how)
            widths.append(style.width)
        self.resample = nn.ModuleDict(more)
        plain = [style.width] * levels
        self.cell = nn.ModuleList(
            Cell(plain if again else widths, style, how) for again in range(cells)
        )

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Maps (B, C, height, width) → all levels (B, D, …), the finest first."""
        made = list(maps)
        for one in self.resample.values():
            made.append(one(made[-1], [(side - 1) // 2 + 1 for side in made[-1].shape[2:]]))
        for cell in self.cell:
            made = cell(made)
        return made
