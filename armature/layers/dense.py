"""Layers that put what they find beside all that came before them (Huang et al., 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.conv import BatchNorm
from armature.layers.patches import Convolution


class DenseLayer(nn.Module):
    """Two convolutions, each behind a norm and a rectifier; channels are added to those there."""

    def __init__(self, inputs: int, grown: int) -> None:
        super().__init__()
        inner = 4 * grown
        self.norm1 = BatchNorm(inputs)
        self.conv1 = Convolution(inputs, inner, 1, bias=False)
        self.norm2 = BatchNorm(inner)
        self.conv2 = Convolution(inner, grown, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, C + grown, height, width)."""
        y = self.conv1(F.relu(self.norm1(x)))
        return torch.cat((x, self.conv2(F.relu(self.norm2(y)))), 1)
