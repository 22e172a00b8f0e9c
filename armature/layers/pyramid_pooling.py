"""Decoders of feature maps that give every pixel a class: pooled, fused, scored."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.conv import BatchNorm, ConvNorm
from armature.layers.patches import Convolution


def _normed(inputs: int, outputs: int, kernel: int = 3) -> ConvNorm:
    return ConvNorm(inputs, outputs, kernel, act="relu")


class PyramidDecoder(nn.Module):
    """Maps of several sizes → scores of every pixel's class (Xiao et al., 2018).

    The coarsest map is pooled into squares of a few sizes, which tell of the whole image
    (Zhao et al., 2016). Each finer map adds what the coarser ones know; all are fused at the
    finest map's size.
    """

    def __init__(
        self, channels: Sequence[int], width: int, squares: Sequence[int], labels: int
    ) -> None:
        """Build it.

        Args:
            channels: of each map, the finest first.
            width: D, of what lies between the maps and the scores.
            squares: into how many squares a side the coarsest map is pooled, each time.
            labels: how many classes there are.
        """
        super().__init__()
        *finer, coarsest = channels
        self.squares = tuple(squares)
        self.pooled = nn.ModuleList(_normed(coarsest, width, 1) for _ in squares)
        self.gather = _normed(coarsest + len(self.squares) * width, width)
        self.lateral = nn.ModuleList(_normed(one, width, 1) for one in finer)
        self.smooth = nn.ModuleList(_normed(width, width) for _ in finer)
        self.fuse = _normed(len(channels) * width, width)
        self.out = Convolution(width, labels, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (B, C, height, width), the finest first → (B, labels, height, width) of its size."""
        *finer, coarsest = maps
        found = [self._gathered(coarsest)]  # the coarsest first
        for x, lateral in zip(finer[::-1], list(self.lateral)[::-1], strict=True):
            found.append(lateral(x) + resized(found[-1], x))
        smooth = [one(x) for one, x in zip(self.smooth, found[:0:-1], strict=True)]
        return self.out(self.fuse(_joined([*smooth, found[0]])))

    def _gathered(self, x: Tensor) -> Tensor:
        pairs = zip(self.squares, self.pooled, strict=True)
        pooled = [layer(F.adaptive_avg_pool2d(x, side)) for side, layer in pairs]
        return self.gather(_joined([x, *pooled]))


class ConvolutionDecoder(nn.Module):
    """One map → scores of every pixel's class by convolutions alone (Long et al., 2014)."""

    def __init__(
        self, channels: int, width: int, depth: int, labels: int, *, rejoin: bool = False
    ) -> None:
        """Build it.

        Args:
            channels: of the map.
            width: D, of what lies between the map and the scores.
            depth: how many convolutions there are before them.
            labels: how many classes there are.
            rejoin: whether one more convolution sees the map itself beside what became of it.
        """
        super().__init__()
        sizes = [channels, *(width for _ in range(depth))]
        self.convs = nn.ModuleList(_normed(one, two) for one, two in pairwise(sizes))
        self.rejoin = _normed(channels + sizes[-1], width) if rejoin else None
        self.out = Convolution(width, labels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, labels, height, width)."""
        made = x
        for conv in self.convs:
            made = conv(made)
        if self.rejoin is not None:
            made = self.rejoin(torch.cat((x, made), 1))
        return self.out(made)


class FourSizes(nn.Module):
    """Four maps of one size → maps that halve from one to the next."""

    def __init__(self, width: int) -> None:
        super().__init__()

        def twice() -> nn.Module:
            return nn.ConvTranspose2d(width, width, 2, stride=2)

        self.four = nn.Sequential(twice(), BatchNorm(width), nn.GELU(), twice())
        self.two = twice()

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps (B, D, down, across) → four times, twice, once, half as large."""
        return self.four(maps[0]), self.two(maps[1]), maps[2], F.max_pool2d(maps[3], 2)


def resized(x: Tensor, like: Tensor) -> Tensor:
    """Stretch maps (B, C, …) to the height and width of others."""
    return F.interpolate(x, like.shape[-2:], mode="bilinear", align_corners=False)


def _joined(maps: Sequence[Tensor]) -> Tensor:
    """Lay maps on each other, all of the first one's size."""
    return torch.cat([maps[0], *(resized(x, maps[0]) for x in maps[1:])], 1)
