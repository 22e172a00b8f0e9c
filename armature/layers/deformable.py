"""Deformable attention: each place looks at a few points of maps of several sizes."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.linear import Linear

Sizes = list[tuple[int, int]]  # height and width of each map


class Offsets(Linear):
    """Tells where the points lie around a place; fresh ones lie on rays, one for each head."""

    def __init__(self, width: int, heads: int, maps: int, points: int) -> None:
        super().__init__(width, heads * maps * points * 2)
        self.shape = (heads, maps, points)

    def compute(self, tensor: Tensor) -> None:
        """Fill a fresh weight with nothing, and a fresh bias with rays."""
        if tensor.dim() == 2:
            tensor.zero_()
            return
        heads, maps, points = self.shape
        turn = torch.arange(heads) * (2 * math.pi / heads)
        rays = torch.stack((turn.cos(), turn.sin()), -1)
        rays = rays / rays.abs().amax(-1, keepdim=True)
        steps = torch.arange(1, points + 1)
        grid = rays[:, None, None] * steps[None, None, :, None]
        tensor.copy_(grid.expand(heads, maps, points, 2).flatten())


class DeformableAttention(nn.Module):
    """Every query mixes what lies at a few points, placed around its own (Zhu et al., 2020)."""

    def __init__(self, width: int, heads: int, maps: int, points: int) -> None:
        super().__init__()
        self.heads, self.maps, self.points = heads, maps, points
        self.offsets = Offsets(width, heads, maps, points)
        self.shares = Linear(width, heads * maps * points)
        self.value = Linear(width, width)
        self.out = Linear(width, width)

    def forward(
        self,
        query: Tensor,
        memory: Tensor,
        references: Tensor,
        sizes: Sizes,
        hidden: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Look from queries (B, Q, D) at maps that lie end to end (B, S, D).

        Args:
            query: with their places.
            memory: the maps.
            references: where each query stands in each map, from 0 to 1: x and y, (B, Q, maps, 2),
                or x, y, width and height of a box, (B, Q, maps, 4).
            sizes: of the maps.
            hidden: (B, S), true at padding.

        Returns:
            (B, Q, D), and the shares (B, Q, H, maps, points).
        """
        value = self.value(memory)
        if hidden is not None:
            value = value.masked_fill(hidden[..., None], 0.0)
        grid = (self.heads, self.maps, self.points)
        offsets = self.offsets(query).unflatten(-1, (*grid, 2))
        shares = self.shares(query).unflatten(-1, (self.heads, -1)).softmax(-1)
        if references.shape[-1] == 2:
            scale = torch.tensor([(w, h) for h, w in sizes], device=query.device)
            places = references[:, :, None, :, None] + offsets / scale[:, None]
        else:
            extent = references[:, :, None, :, None, 2:]
            places = references[:, :, None, :, None, :2] + offsets / self.points * extent * 0.5
        found = self._sampled(value, places, sizes)  # (B, H, E, Q, maps · points)
        mixed = (found * shares.transpose(1, 2)[:, :, None]).sum(-1)  # (B, H, E, Q)
        return self.out(mixed.flatten(1, 2).transpose(1, 2)), shares.unflatten(-1, grid[1:])

    def _sampled(self, value: Tensor, places: Tensor, sizes: Sizes) -> Tensor:
        """Return what lies at the points, (B, H, E, Q, maps · points)."""
        rows, found = value.shape[0], []
        spans = value.split([height * width for height, width in sizes], 1)
        for index, (span, size) in enumerate(zip(spans, sizes, strict=True)):
            image = span.transpose(1, 2).unflatten(1, (self.heads, -1)).flatten(0, 1)
            points = (2 * places[:, :, :, index] - 1).transpose(1, 2).flatten(0, 1)
            found.append(F.grid_sample(image.unflatten(-1, size), points, align_corners=False))
        return torch.stack(found, -2).flatten(-2).unflatten(0, (rows, self.heads))


def references(sizes: Sizes, like: Tensor) -> Tensor:
    """Return where each place of maps stands in each of them, (1, S, maps, 2): x and y."""
    found = []
    for height, width in sizes:
        down = torch.linspace(0.5, height - 0.5, height, dtype=like.dtype, device=like.device)
        across = torch.linspace(0.5, width - 0.5, width, dtype=like.dtype, device=like.device)
        y, x = torch.meshgrid(down / height, across / width, indexing="ij")
        found.append(torch.stack((x.flatten(), y.flatten()), -1))
    return torch.cat(found)[None, :, None].expand(1, -1, len(sizes), 2)
