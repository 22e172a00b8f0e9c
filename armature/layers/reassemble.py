"""Reassembling: states of a stack → maps of several sizes, fused into one (Ranftl et al., 2021)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.act import activation
from armature.layers.conv import BatchNorm
from armature.layers.linear import Linear
from armature.layers.patches import Convolution


class Spread(nn.ConvTranspose2d):
    """Each vector of a map becomes a square of several."""

    def __init__(self, width: int, factor: int) -> None:
        super().__init__(width, width, factor, stride=factor)

    def reset_parameters(self) -> None:
        """Leave the weights as they are: they are filled once, by a file or by the model."""


def resize(width: int, factor: float) -> nn.Module:
    """Return what makes a map so many times larger, or smaller."""
    if factor > 1:
        return Spread(width, int(factor))
    if factor == 1:
        return nn.Identity()
    return Convolution(width, width, 3, stride=int(1 / factor), padding=1)


class Readout(nn.Module):
    """Tells every patch what the token says that stands for the whole image."""

    def __init__(self, width: int, act: str) -> None:
        super().__init__()
        self.mix, self.act = Linear(2 * width, width), activation(act)

    def forward(self, patches: Tensor, first: Tensor) -> Tensor:
        """Patches (B, T, D) and what stands for their image (B, 1, D) → (B, T, D)."""
        return self.act(self.mix(torch.cat((patches, first.expand_as(patches)), -1)))


class Reassemble(nn.Module):
    """States of one layer → a map of another width and size."""

    def __init__(
        self, width: int, channels: int, factor: float, readout: nn.Module | str | None
    ) -> None:
        """Build it.

        Args:
            width: of the states.
            channels: of the map.
            factor: how many times larger the map is than the patches' grid.
            readout: what becomes of the first token: a `Readout`, "add", or None: nothing does.
        """
        super().__init__()
        self.readout = readout if isinstance(readout, nn.Module) else None
        self.adds = readout == "add"
        self.project = Convolution(width, channels, 1)
        self.resize = resize(channels, factor)

    def forward(self, x: Tensor, sides: tuple[int, int]) -> Tensor:
        """(B, 1 + T, D), of T patches in a grid → (B, channels, height, width)."""
        first, patches = x[:, :1], x[:, 1:]
        if self.readout is not None:
            patches = self.readout(patches, first)
        elif self.adds:
            patches = patches + first
        image = patches.transpose(1, 2).unflatten(2, sides)
        return self.resize(self.project(image))


class Kept(nn.Module):
    """A map that is one already."""

    def forward(self, x: Tensor, _sides: tuple[int, int]) -> Tensor:
        """(B, D, height, width) → the same."""
        return x


class Unit(nn.Module):
    """Two convolutions, each behind a rectifier, beside the map that goes in."""

    def __init__(self, width: int, *, bias: bool, normed: bool) -> None:
        super().__init__()
        self.first = Convolution(width, width, 3, padding=1, bias=bias)
        self.second = Convolution(width, width, 3, padding=1, bias=bias)
        self.first_norm = BatchNorm(width) if normed else nn.Identity()
        self.second_norm = BatchNorm(width) if normed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, height, width) → the same."""
        y = self.first_norm(self.first(F.relu(x)))
        return x + self.second_norm(self.second(F.relu(y)))


class Fuse(nn.Module):
    """What the coarser maps know, added to a map and stretched to the next finer one."""

    def __init__(self, width: int, *, bias: bool, normed: bool) -> None:
        super().__init__()
        self.own = Unit(width, bias=bias, normed=normed)
        self.both = Unit(width, bias=bias, normed=normed)
        self.out = Convolution(width, width, 1)

    def forward(self, x: Tensor, map: Tensor | None, size: torch.Size | None) -> Tensor:
        """Add a map to (B, D, height, width); stretch it to a size, or to the double of its own."""
        if map is not None:
            if map.shape != x.shape:
                map = F.interpolate(map, x.shape[2:], mode="bilinear", align_corners=False)
            x = x + self.own(map)
        x = self.both(x)
        size = torch.Size((2 * x.shape[2], 2 * x.shape[3])) if size is None else size
        return self.out(F.interpolate(x, size, mode="bilinear", align_corners=True))


class FusedMaps(nn.Module):
    """Maps of several sizes → as many fused ones, the coarsest first."""

    fitted = False  # each is stretched to the size of the next finer map, not to the double

    def __init__(
        self, channels: Sequence[int], width: int, *, bias: bool = True, normed: bool = False
    ) -> None:
        super().__init__()
        self.convs = nn.ModuleList(
            Convolution(one, width, 3, padding=1, bias=False) for one in channels
        )
        self.fuse = nn.ModuleList(Fuse(width, bias=bias, normed=normed) for _ in channels)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(B, C, height, width) each, the finest first → (B, D, …) each."""
        found: list[Tensor] = []
        turned = [conv(one) for conv, one in zip(self.convs, maps, strict=True)][::-1]
        for index, (one, fuse) in enumerate(zip(turned, self.fuse, strict=True)):
            last = index == len(turned) - 1
            finer = None if last or not self.fitted else turned[index + 1].shape[2:]
            found.append(fuse(found[-1], one, finer) if found else fuse(one, None, finer))
        return found


class Neck(nn.Module):
    """States of several layers, or maps → fused maps, the coarsest first."""

    def __init__(self, reassemble: Sequence[Reassemble | Kept], fused: FusedMaps) -> None:
        super().__init__()
        self.reassemble = nn.ModuleList(reassemble)
        self.fused = fused

    def forward(self, states: Sequence[Tensor], sides: tuple[int, int]) -> list[Tensor]:
        """Rows (B, 1 + T, D) of patches in a grid, or maps (B, D, …) where none are made."""
        if not len(self.reassemble):
            return self.fused(states)
        pairs = zip(self.reassemble, states, strict=True)
        return self.fused([one(x, sides) for one, x in pairs])
