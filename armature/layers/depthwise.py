"""Blocks that mix places channel by channel, then channels place by place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from armature.layers.act import activation
from armature.layers.context import Context
from armature.layers.drop import Skipping
from armature.layers.linear import Linear
from armature.layers.norm import LayerNorm
from armature.layers.patches import Convolution


class DepthwiseBlock(Skipping):
    """x + scale · down(spread(act(up(norm(depthwise(x)))))) (Liu et al., 2022)."""

    def __init__(
        self,
        width: int,
        act: str,
        *,
        scale: float | None = None,
        spread: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.width, self.first = width, scale or 0.0
        self.depthwise = Convolution(width, width, 7, padding=3, groups=width)
        self.norm = LayerNorm(width, eps=1e-6)
        self.up = Linear(width, 4 * width)
        self.act = activation(act)
        self.spread = spread
        self.down = Linear(4 * width, width)
        self.scale = None if scale is None else nn.Parameter(torch.empty(width))

    def compute(self, scale: Tensor) -> None:
        """Fill a fresh scale: at first a block adds next to nothing."""
        scale.fill_(self.first)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, D, height, width) → the same."""
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        y = self.act(self.up(y))
        y = self.down(y if self.spread is None else self.spread(y))
        y = y if self.scale is None else self.scale * y
        return x + self.skip(y.permute(0, 3, 1, 2))


class ResponseNorm(nn.Module):
    """Each channel times its share of a map's strength, scaled, and itself (Woo et al., 2023)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, 1, 1, width))
        self.bias = nn.Parameter(torch.empty(1, 1, 1, width))

    def compute(self, weight: Tensor) -> None:
        """Fill a fresh weight: nothing is changed yet."""
        weight.zero_()

    def forward(self, x: Tensor) -> Tensor:
        """(B, height, width, D) → the same."""
        strength = torch.linalg.vector_norm(x, dim=(1, 2), keepdim=True)
        share = strength / (strength.mean(-1, keepdim=True) + 1e-6)
        return self.weight * (x * share) + self.bias + x
