"""Filters: convolutions over time, which make frames of a waveform, place them and join them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.act import activation, overwrite
from armature.layers.linear import Linear
from armature.layers.norm import LayerNorm


class Convolution(nn.Conv1d):
    """A convolution over time."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are: they are filled once, by a file or by the model."""


class Filter(Convolution):
    """A convolution that begins as loud as what it reads, however many numbers it joins."""

    @torch.no_grad()
    def compute(self, fresh: Tensor) -> None:
        """Fill a fresh weight (He et al., 2015) or bias."""
        if fresh.dim() > 1:
            nn.init.kaiming_normal_(fresh)
        else:
            most = self.weight[0].numel() ** -0.5
            fresh.uniform_(-most, most)


class Strided(nn.Module):
    """One convolution of a waveform or of frames, perhaps normed, and activated."""

    def __init__(
        self, conv: Convolution, norm: nn.LayerNorm | nn.GroupNorm | None, act: str
    ) -> None:
        super().__init__()
        self.conv, self.norm, self.act = conv, norm, activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, S) → (B, C', S')."""
        x = self.conv(x)
        if isinstance(self.norm, nn.LayerNorm):
            x = self.norm(x.transpose(1, 2)).transpose(1, 2)
        elif self.norm is not None:
            x = self.norm(x)
        return self.act(x) if torch.is_grad_enabled() else overwrite(self.act, x)


class Frames(nn.Module):
    """Convolutions that make frames of a waveform (Baevski et al., 2020)."""

    def __init__(
        self,
        shapes: list[tuple[int, int, int]],
        norms: list[nn.LayerNorm | nn.GroupNorm | None],
        act: str,
        *,
        bias: bool,
    ) -> None:
        """Build them: for each convolution (channels, kernel, stride) and what norms it."""
        super().__init__()
        before = [1, *(channels for channels, _, _ in shapes)]
        self.convs = nn.ModuleList(
            Strided(Filter(first, channels, kernel, stride, bias=bias), norm, act)
            for first, (channels, kernel, stride), norm in zip(before, shapes, norms, strict=False)
        )
        self.steps = [(kernel, stride) for _, kernel, stride in shapes]
        self.width = before[-1]

    def lengths(self, samples: Any) -> Any:
        """Return how many frames so many samples make; both are one number or a tensor of them."""
        for kernel, stride in self.steps:
            samples = (samples - kernel) // stride + 1
        return samples

    def forward(self, values: Tensor) -> Tensor:
        """(B, S) → (B, T, C)."""
        x = values[:, None]
        for conv in self.convs:
            x = conv(x)
        return x.transpose(1, 2)


class Lengths(nn.Module):
    """How long the vectors of a weight-normed convolution are, one number for each tap."""

    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(1, 1, kernel))

    def compute(self, weight: Tensor) -> None:
        """Leave a fresh weight to the directions, whose lengths it holds."""


class NormedConvolution(nn.Module):
    """A convolution whose weights have a direction and a length (Salimans and Kingma, 2016)."""

    def __init__(self, width: int, kernel: int, groups: int, stride: int = 1) -> None:
        super().__init__()
        self.length = Lengths(kernel)
        self.direction = nn.Parameter(torch.empty(width, width // groups, kernel))
        self.bias = nn.Parameter(torch.empty(width))
        self.groups, self.stride = groups, stride

    @torch.no_grad()
    def compute(self, fresh: Tensor) -> None:
        """Fill a fresh bias, or fresh directions and their lengths."""
        if fresh.dim() == 1:
            fresh.zero_()
        else:
            nn.init.kaiming_uniform_(fresh, a=5**0.5)
            self.length.weight.copy_(fresh.norm(dim=(0, 1), keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, T) → (B, D, T or T + 1), fewer with a stride."""
        apart = self.direction.norm(dim=(0, 1), keepdim=True)
        weight, gap = self.direction * (self.length.weight / apart), self.direction.shape[2] // 2
        return F.conv1d(x, weight, self.bias, self.stride, padding=gap, groups=self.groups)


class Placing(nn.Module):
    """What a frame's neighbours tell of its place, by one convolution."""

    def __init__(self, conv: nn.Module, act: str, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.conv, self.act, self.norm = conv, activation(act), norm

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T, D)."""
        y = x.transpose(1, 2)
        y = self.conv(y if self.norm is None else self.norm(y))
        return self.act(y[..., : x.shape[1]]).transpose(1, 2)  # even kernels make one too many


class Adapter(nn.Module):
    """Gated convolutions that make sequences shorter, for a decoder to read."""

    def __init__(self, width: int, out: int, shape: tuple[int, int, int]) -> None:
        """Build it: widths before and after; how many convolutions, their kernel and stride."""
        super().__init__()
        count, kernel, self.stride = shape
        self.width = out
        self.project = Linear(width, out) if out != width else None
        self.norm = LayerNorm(out) if out != width else None
        self.convs = nn.ModuleList(
            Filter(out, 2 * out, kernel, self.stride, padding=1) for _ in range(count)
        )

    def lengths(self, frames: Tensor) -> Tensor:
        """Return how many are left of so many frames."""
        for _ in self.convs:
            frames = (frames - 1) // self.stride + 1
        return frames

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) → (B, T', D')."""
        if self.project is not None and self.norm is not None:
            x = self.norm(self.project(x))
        x = x.transpose(1, 2)
        for conv in self.convs:
            x = F.glu(conv(x), dim=1)
        return x.transpose(1, 2)
