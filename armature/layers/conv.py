"""Convolutions: organs on maps (B, C, height, width), and what they are normed by."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.act import activation
from armature.layers.context import Context
from armature.layers.drop import Skipping
from armature.layers.patches import Convolution, Images, checked


class BatchNorm(nn.BatchNorm2d):
    """Batch normalisation (Ioffe and Szegedy, 2015): by what training has seen on the average."""

    needed = ("running_mean", "running_var")  # no constants, though nothing trains them


class FrozenBatchNorm(nn.Module):
    """Batch normalisation that no training changes: a scale and a shift of each channel."""

    needed = ("weight", "bias", "running_mean", "running_var")

    def __init__(self, width: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name in self.needed:
            neutral = 1.0 if name in ("weight", "running_var") else 0.0
            self.register_buffer(name, torch.full((width,), neutral))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → the same."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()  # type: ignore[operator]
        shift = self.bias - self.running_mean * scale  # type: ignore[operator]
        return x * scale[:, None, None] + shift[:, None, None]


def freeze(body: nn.Module) -> nn.Module:
    """Put norms that training leaves alone in the place of a body's batch norms; return it."""
    for module in list(body.modules()):
        for name, part in list(module.named_children()):
            if isinstance(part, BatchNorm):
                setattr(module, name, FrozenBatchNorm(part.num_features, part.eps))
    return body


class SameConvolution(Convolution):
    """A convolution that pads as TensorFlow does: by the size of the map, and rather at its end."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, height, width) → (B, D, ⌈height / stride⌉, ⌈width / stride⌉)."""
        pads: list[int] = []
        for axis in (1, 0):  # the last dimension comes first
            size, kernel, step = input.shape[2 + axis], self.kernel_size[axis], self.stride[axis]
            total = max(kernel - (size % step or step), 0)
            apart = self.dilation[axis]
            pads += [total // 2 * apart, (total - total // 2) * apart]
        x = F.pad(input, pads)
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def dilate(stage: nn.Module) -> None:
    """Let a stage keep the resolution of its input: its convolutions reach further instead."""
    first: Any = True
    for block in stage.blocks:  # type: ignore[union-attr]
        for module in block.modules():
            if isinstance(module, Convolution):
                module.stride = (1, 1)
                if module.kernel_size != (1, 1) and not first:
                    module.dilation = module.padding = (2, 2)
        first = False


class ConvNorm(nn.Module):
    """A convolution without a bias, its batch norm, and perhaps an activation."""

    kind = Convolution

    def __init__(  # noqa: PLR0913
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        groups: int = 1,
        dilation: int = 1,
        act: str = "linear",
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.width = outputs
        self.conv = self.kind(
            inputs,
            outputs,
            kernel,
            stride=stride,
            padding=(kernel - 1) // 2 * dilation,
            groups=groups,
            dilation=dilation,
            bias=False,
        )
        self.norm = BatchNorm(outputs, eps)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, outputs, …)."""
        return self.act(self.norm(self.conv(x)))


class SameConvNorm(ConvNorm):
    """Its convolution pads as TensorFlow does."""

    kind = SameConvolution


class PaddedConvNorm(ConvNorm):
    """Zeros around the map are counted out: so many before it, so many after, on both axes."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, pads: tuple[int, int], **how: Any
    ) -> None:
        super().__init__(inputs, outputs, kernel, **how)
        self.conv.padding = (0, 0)
        self.pads = pads

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, outputs, …)."""
        return super().forward(F.pad(x, (*self.pads, *self.pads)))


class Excitation(nn.Module):
    """Each channel times a share that all of them tell, by their means (Hu et al., 2017)."""

    def __init__(self, width: int, inner: int, act: str = "relu") -> None:
        super().__init__()
        self.down = Convolution(width, inner, 1)
        self.up = Convolution(inner, width, 1)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → the same."""
        return x * self.up(self.act(self.down(x.mean((2, 3), keepdim=True)))).sigmoid()


class HardExcitation(Excitation):
    """The share is cut off instead of bent (Howard et al., 2019)."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → the same."""
        return x * F.hardsigmoid(self.up(self.act(self.down(x.mean((2, 3), keepdim=True)))))


class Residual(Skipping):
    """Steps one after another and, beside them, the map that goes in (He et al., 2015).

    x ─┬─ step ─ step ─ … ─ + ─ act ─
       └────── (short) ─────┘
    """

    def __init__(
        self,
        width: int,
        steps: list[nn.Module],
        short: nn.Module | None = None,
        act: str = "linear",
    ) -> None:
        super().__init__()
        self.width = width
        self.steps = nn.ModuleList(steps)
        self.short = short
        self.act = activation(act)

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """(B, C, height, width) → (B, D, …)."""
        y = x
        for step in self.steps:
            y = step(y)
        return self.act(self.skip(y) + (x if self.short is None else self.short(x)))


class Straight(Residual):
    """Steps one after another, and nothing beside them."""

    def forward(self, x: Tensor, context: Context | None = None) -> Tensor:
        """(B, C, height, width) → (B, D, …)."""
        for step in self.steps:
            x = step(x)
        return x


class Stem(nn.Module):
    """Images → a pyramid's first map, step by step; the first one reads pixels."""

    mask = None  # no patch is ever hidden

    def __init__(self, width: int, *steps: nn.Module) -> None:
        super().__init__()
        self.width = width
        self.steps = nn.ModuleList(steps)

    @property
    def patch(self) -> Convolution:
        """The convolution that reads pixels."""
        return next(part for part in self.modules() if isinstance(part, Convolution))

    def forward(self, images: Images) -> Tensor:
        """Images (B, C, height, width) → (B, D, …)."""
        x = checked(images.pixels, self.patch.weight)
        for step in self.steps:
            x = step(x)
        return x
