"""Patches: images cut into squares and embedded, and four neighbours merged into one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers.embed import Inputs
from armature.layers.linear import Linear
from armature.layers.norm import LayerNorm


@dataclass
class Images:
    """A batch of images, and which of their patches are hidden from the model."""

    pixels: Tensor  # (B, C, height, width)
    masked: Tensor | None = None  # (B, patches), one where a trained vector stands for the patch
    interpolate: bool = False  # stretch the trained positions over images of another size

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Images:
        """Return what a call gave.

        Raises:
            ArgumentError: there is no image.
        """
        if given.get("pixel_values") is None:
            raise ArgumentError("give pixel_values: a batch of images from the image processor")
        stretch = bool(given.get("interpolate_pos_encoding"))
        return cls(given["pixel_values"], given.get("bool_masked_pos"), stretch)


def checked(pixels: Tensor, weight: Tensor) -> Tensor:
    """Return images as the convolution with this weight takes them.

    Raises:
        ArgumentError: they are no batch, have other channels, or are not scaled.
    """
    if pixels.dim() != 4 or pixels.shape[1] != weight.shape[1] or not pixels.numel():
        raise ArgumentError(
            f"pixel_values has the shape {tuple(pixels.shape)}: give a batch of images "
            f"(B, {weight.shape[1]}, height, width)"
        )
    if not pixels.is_floating_point():
        raise ArgumentError(
            f"pixel_values hold whole numbers ({pixels.dtype}): let the checkpoint's image "
            "processor scale them first"
        )
    return pixels.to(weight.dtype)


class Convolution(nn.Conv2d):
    """A convolution over images."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are: they are filled once, by a file or by the model."""


class Patches(nn.Module):
    """One vector for each square of an image, perhaps normed, masked and placed."""

    smooth = False  # positions, where they are stretched: nothing is skipped where they shrink
    stretching = "bicubic"  # how trained positions are, over images of another size
    of_task = ("mask",)  # weights that a task adds: a checkpoint of another one lacks them

    def __init__(
        self,
        width: int,
        shape: tuple[int, int, int],
        grid: tuple[int, int] | None = None,
        norm: nn.Module | None = None,
    ) -> None:
        super().__init__()
        channels, *size = shape
        self.patch = Convolution(channels, width, (size[0], size[1]), stride=(size[0], size[1]))
        self.norm, self.grid = norm, grid
        self.mask: nn.Parameter | None = None
        self.position: nn.Parameter | None = None
        if grid is not None:
            self.position = nn.Parameter(torch.empty(1, grid[0] * grid[1], width))
        self.dropout = nn.Dropout(0.0)

    @property
    def takes(self) -> tuple[str, ...]:
        """The arguments of a call that it reads."""
        masked = () if self.mask is None else ("bool_masked_pos",)
        return ("pixel_values", "interpolate_pos_encoding", *masked)

    def learn_mask(self) -> None:
        """Add the vector that stands for hidden patches."""
        self.mask = nn.Parameter(torch.empty(1, 1, self.patch.out_channels))

    def forward(self, images: Images) -> Tensor:
        """Images (B, C, height, width) → (B, D, down, across), edges padded to whole patches."""
        x = self.patch(self._padded(images.pixels)).permute(0, 2, 3, 1)  # (B, down, across, D)
        x = x if self.norm is None else self.norm(x)
        if images.masked is not None:
            x = self._hide(x, images.masked)
        if self.position is not None:
            x = x + self._positions(self.position, x.shape[1:3], interpolate=images.interpolate)
        return self.dropout(x).permute(0, 3, 1, 2)

    def _padded(self, pixels: Tensor) -> Tensor:
        pixels = checked(pixels, self.patch.weight)
        down, across = self.patch.weight.shape[2:]
        below, right = -pixels.shape[2] % down, -pixels.shape[3] % across
        return F.pad(pixels, (0, right, 0, below)) if below or right else pixels

    def _hide(self, x: Tensor, masked: Tensor) -> Tensor:
        """Put the trained vector in the place of hidden patches."""
        assert self.mask is not None
        down, across = x.shape[1:3]
        if masked.dim() != 2 or masked.shape[1] != down * across:
            raise ArgumentError(
                f"bool_masked_pos has the shape {tuple(masked.shape)}: give one truth value for "
                f"each of the {down} × {across} patches of an image, (B, {down * across})"
            )
        share = masked.unflatten(1, (down, across))[..., None].to(x.dtype)
        return x * (1 - share) + self.mask * share

    def _positions(self, table: Tensor, size: torch.Size, *, interpolate: bool) -> Tensor:
        """Return the (1, down, across, D) trained positions, stretched where sizes differ."""
        assert self.grid is not None
        table = table.unflatten(1, self.grid)
        if tuple(size) == self.grid:
            return table
        if not interpolate:
            raise ArgumentError(
                f"these images have {size[0]} × {size[1]} patches, but the model has trained "
                f"positions for {self.grid[0]} × {self.grid[1]}: resize them, or stretch the "
                "positions with interpolate_pos_encoding=True"
            )
        wide = table.permute(0, 3, 1, 2).float()
        wide = F.interpolate(wide, tuple(size), mode=self.stretching, antialias=self.smooth)
        return wide.permute(0, 2, 3, 1).to(table.dtype)


class PatchTokens(Patches):
    """Patches as tokens, behind vectors that stand for the image (Dosovitskiy et al., 2020)."""

    stretches = False  # positions, over images of any size, without being asked for it
    bare = True  # the last states that callers see are those before the norm

    def __init__(
        self,
        width: int,
        shape: tuple[int, int, int],
        grid: tuple[int, int] | None,
        extra: tuple[str, ...] = ("cls",),
    ) -> None:
        super().__init__(width, shape)
        self.grid, self.extra, self.width = grid, extra, width
        self.leading = len(extra)  # tokens before the patches
        for name in extra:
            setattr(self, name, nn.Parameter(torch.empty(1, 1, width)))
        if grid is not None:
            self.position = nn.Parameter(torch.empty(1, len(extra) + grid[0] * grid[1], width))

    def open(self, given: Mapping[str, Any]) -> Inputs:
        """Return the inputs of a call with images, (B, C, height, width): a row for each.

        Raises:
            ArgumentError: there is no image, or none that holds a patch.
        """
        images = Images.of(given)
        pixels = checked(images.pixels, self.patch.weight)
        sides = [
            side // patch
            for side, patch in zip(pixels.shape[2:], self.patch.kernel_size, strict=True)
        ]
        if not all(sides):
            raise ArgumentError(
                f"images of {pixels.shape[2]} × {pixels.shape[3]} pixels hold no whole patch of "
                f"{self.patch.kernel_size[0]} × {self.patch.kernel_size[1]}"
            )
        tokens = self.leading + sides[0] * sides[1]
        layout = Layout((tokens,) * len(pixels), tokens, pixels.device)
        return Inputs(layout, further={"images": images, "sides": tuple(sides)})

    def forward(self, inputs: Inputs) -> Tensor:  # type: ignore[override]
        """Images → (N, D): of each the vectors that stand for it, then its patches."""
        return self.dropout(torch.cat(self.pieces(inputs), 1).flatten(0, 1))

    def pieces(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Images → (B, few, D) vectors that stand for each, (B, patches, D)."""
        images: Images = inputs.further["images"]
        pixels = checked(images.pixels, self.patch.weight)
        x = self.patch(pixels).permute(0, 2, 3, 1)  # (B, down, across, D)
        if images.masked is not None:
            x = self._hide(x, images.masked)
        count, first = len(self.extra), [getattr(self, name) for name in self.extra]
        if self.position is not None:
            table = self.position[:, count:]
            stretch = images.interpolate or self.stretches
            x = x + self._positions(table, x.shape[1:3], interpolate=stretch)
            first = [one + self.position[:, i : i + 1] for i, one in enumerate(first)]
        whole = torch.cat(first, 1) if first else x.new_zeros(1, 0, self.width)
        return whole.expand(len(pixels), -1, -1), x.flatten(1, 2)

    def map(self, x: Tensor, inputs: Inputs) -> Tensor:
        """Packed states (N, D) → (B, D, down, across) of the patches alone."""
        patches = inputs.layout.unpack(x)[:, self.leading :]
        return patches.unflatten(1, inputs.further["sides"]).permute(0, 3, 1, 2)


def squares(images: Tensor, patch: tuple[int, int]) -> Tensor:
    """Images (B, C, height, width) → the pixels of each whole patch, (B, patches, h · w · C)."""
    sides = [side // one for side, one in zip(images.shape[2:], patch, strict=True)]
    images = images[:, :, : sides[0] * patch[0], : sides[1] * patch[1]]
    found = images.unflatten(3, (sides[1], patch[1])).unflatten(2, (sides[0], patch[0]))
    return found.permute(0, 2, 4, 3, 5, 1).flatten(3).flatten(1, 2)


def pictured(pixels: Tensor, grid: tuple[int, int], patch: tuple[int, int]) -> Tensor:
    """Pixels of patches (B, patches, h · w · C) → images (B, C, height, width)."""
    found = pixels.unflatten(2, (*patch, -1)).unflatten(1, grid)  # (B, down, across, h, w, C)
    return found.permute(0, 5, 1, 3, 2, 4).flatten(4).flatten(2, 3)


class Merge(nn.Module):
    """Four neighbouring patches become one of twice the width (Liu et al., 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = LayerNorm(4 * width)
        self.reduce = Linear(4 * width, 2 * width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, height, width) → (B, 2 · D, height / 2, width / 2), odd edges padded."""
        x = x.permute(0, 2, 3, 1)
        if x.shape[1] % 2 or x.shape[2] % 2:
            x = F.pad(x, (0, 0, 0, x.shape[2] % 2, 0, x.shape[1] % 2))
        squares = x.unflatten(2, (-1, 2)).unflatten(1, (-1, 2))  # (B, h, 2, w, 2, D)
        four = squares.permute(0, 1, 3, 4, 2, 5).flatten(3)  # columns before rows
        return self.join(four).permute(0, 3, 1, 2)

    def join(self, x: Tensor) -> Tensor:
        """(…, 4 · D) → (…, 2 · D)."""
        return self.reduce(self.norm(x))
