"""Page vision: what a residual network and a feature pyramid see of a page, square by square."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.conv import ConvNorm, Residual, freeze
from armature.layers.feature_pyramid import FeaturePyramid
from armature.layers.patches import checked


@dataclass(frozen=True)
class Sizes:
    """What a network is made of (He et al., 2015; groups: Xie et al., 2016)."""

    depths: tuple[int, ...]  # blocks of each stage
    stem: int  # channels that the first convolution makes
    inner: int  # channels inside the first stage's blocks; twice as many in each further stage
    outer: int  # channels that the first stage makes
    groups: int
    early: bool  # a stage halves its map in a block's first convolution, not in its second
    width: int  # channels of the feature pyramid
    grid: tuple[int, int]  # squares down and across


class PageVision(nn.Module):
    """Images → vectors of squares, row by row; no norm in it learns (as in Detectron2)."""

    def __init__(self, sizes: Sizes, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.mean, self.std = tuple(mean), tuple(std)  # of each channel's pixels
        self.grid = sizes.grid
        self.stem = ConvNorm(len(mean), sizes.stem, 7, stride=2, act="relu")
        self.stages = nn.ModuleList()
        inputs, channels = sizes.stem, []
        for index, depth in enumerate(sizes.depths):
            inner, outer = sizes.inner << index, sizes.outer << index
            blocks = nn.ModuleList()
            for place in range(depth):
                stride = 2 if index and not place else 1
                blocks.append(_bottleneck(inputs, inner, outer, stride, sizes))
                inputs = outer
            self.stages.append(blocks)
            channels.append(outer)
        freeze(self)
        self.pyramid = FeaturePyramid(channels, sizes.width)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, height, width), in the range of bytes → (B, squares, width)."""
        images = checked(images, self.stem.conv.weight)
        mean, std = (images.new_tensor(one)[:, None, None] for one in (self.mean, self.std))
        x = F.max_pool2d(self.stem((images - mean) / std), 3, stride=2, padding=1)
        maps = []
        for blocks in self.stages:
            for block in blocks:  # type: ignore[union-attr]
                x = block(x)
            maps.append(x)
        finest = self.pyramid(maps)[0]
        return F.adaptive_avg_pool2d(finest, self.grid).flatten(2).transpose(1, 2)


def _bottleneck(inputs: int, inner: int, outer: int, stride: int, sizes: Sizes) -> Residual:
    first, second = (stride, 1) if sizes.early else (1, stride)
    steps: list[nn.Module] = [
        ConvNorm(inputs, inner, stride=first, act="relu"),
        ConvNorm(inner, inner, 3, stride=second, groups=sizes.groups, act="relu"),
        ConvNorm(inner, outer),
    ]
    short = ConvNorm(inputs, outer, stride=stride) if inputs != outer or stride != 1 else None
    return Residual(outer, steps, short, "relu")
