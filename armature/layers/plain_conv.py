"""Plain convolutions in a row, and what gathers maps at several distances: by numbered names."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.conv import BatchNorm
from armature.layers.patches import Convolution

Norms = Callable[[int], nn.Module]


def row(inputs: int, outputs: int, side: int = 3, norm: Norms | None = BatchNorm) -> nn.Sequential:
    """Return a convolution, a norm and a rectifier; without a norm, there is a bias."""
    conv = Convolution(inputs, outputs, side, padding=side // 2, bias=norm is None)
    return nn.Sequential(conv, nn.Identity() if norm is None else norm(outputs), nn.ReLU())


def separable(inputs: int, outputs: int, dilation: int = 1) -> nn.Sequential:
    """Return a convolution of each channel alone, and one of each place alone."""
    across = {"padding": dilation, "dilation": dilation, "groups": inputs, "bias": False}
    return nn.Sequential(
        Convolution(inputs, inputs, 3, **across), Convolution(inputs, outputs, 1, bias=False)
    )


class Squeeze(nn.Module):
    """Channels and places weigh themselves, each by all others (Roy et al., 2018)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        inner = width // 16
        self.cSE = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            Convolution(width, inner, 1),
            nn.ReLU(),
            Convolution(inner, width, 1),
            nn.Sigmoid(),
        )
        self.sSE = nn.Sequential(Convolution(width, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, height, width) → the same."""
        return x * self.cSE(x) + x * self.sSE(x)


class Attended(nn.Module):
    """Such weights, or none, by the name that files have for them."""

    def __init__(self, width: int, *, squeezed: bool) -> None:
        super().__init__()
        self.attention = Squeeze(width) if squeezed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, height, width) → the same."""
        return self.attention(x)


class Pooled(nn.Sequential):
    """The mean of all places, spread over them again."""

    def __init__(self, inputs: int, outputs: int) -> None:
        conv = Convolution(inputs, outputs, 1, bias=False)
        super().__init__(nn.AdaptiveAvgPool2d(1), conv, BatchNorm(outputs), nn.ReLU())

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, height, width) → (B, D, height, width)."""
        return F.interpolate(super().forward(input), input.shape[2:], mode="bilinear")


class Gathered(nn.Module):
    """What lies at several distances around each place (Chen et al., 2017)."""

    def __init__(
        self, inputs: int, width: int, rates: Sequence[int], dropout: float, *, split: bool
    ) -> None:
        super().__init__()
        reached: list[nn.Module] = [row(inputs, width, 1)]
        for rate in rates:
            plain = {"padding": rate, "dilation": rate, "bias": False}
            conv = separable(inputs, width, rate) if split else None
            conv = Convolution(inputs, width, 3, **plain) if conv is None else conv
            reached.append(nn.Sequential(conv, BatchNorm(width), nn.ReLU()))
        self.convs = nn.ModuleList([*reached, Pooled(inputs, width)])
        self.project = row(width * len(self.convs), width, 1)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, D, height, width)."""
        return self.dropout(self.project(torch.cat([conv(x) for conv in self.convs], 1)))
