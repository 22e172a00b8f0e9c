"""Places: where the squares of a map and a detector's queries are, told in every block.

(Carion et al., 2020): queries and keys have their places added, values have not.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers import kernels
from armature.layers.attention import CrossAttention
from armature.layers.context import Context
from armature.layers.embed import Embedding
from armature.layers.kernels import Rule
from armature.layers.waves import image_waves

_MOST = 50  # rows and columns of trained places
_SLOWEST = 10000.0


def waves(x: Tensor, width: int) -> Tensor:
    """(…,) → (…, width): sines and cosines in turn, ever slower."""
    steps = torch.arange(width, dtype=x.dtype, device=x.device)
    angles = x[..., None] / _SLOWEST ** (2 * (steps // 2) / width)
    return torch.stack((angles[..., 0::2].sin(), angles[..., 1::2].cos()), dim=-1).flatten(-2)


class WavePlaces(nn.Module):
    """Computed places: half of the numbers for the row, half for the column."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, mask: Tensor) -> Tensor:
        """(B, h, w) of ones where there is picture → (B, h, w, D), shares of its sides."""
        real = mask.float()
        return image_waves((mask.shape[1], mask.shape[2]), self.width, real, real)


class MiddlePlaces(WavePlaces):
    """Computed places, each square's that of its middle."""

    def forward(self, mask: Tensor) -> Tensor:
        """(B, h, w) of ones where there is picture → (B, h, w, D), shares of its sides."""
        found = []
        for axis in (1, 2):
            place = mask.float().cumsum(axis)
            last = place.narrow(axis, place.shape[axis] - 1, 1)
            found.append(waves((place - 0.5) / (last + 1e-6) * (2 * math.pi), self.width // 2))
        return torch.cat(found, -1)


class LearnedPlaces(nn.Module):
    """Trained places: half of the numbers for the column, half for the row."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.rows = Embedding(_MOST, width // 2)
        self.columns = Embedding(_MOST, width // 2)

    def forward(self, mask: Tensor) -> Tensor:
        """(B, h, w) → (B, h, w, D).

        Raises:
            ArgumentError: the map is larger than what was trained.
        """
        batch, height, width = mask.shape
        if max(height, width) > _MOST:
            raise ArgumentError(
                f"these images make maps of {height} × {width}, but the model has trained places "
                f"for {_MOST} × {_MOST}: give smaller images"
            )
        down = self.rows.weight[:height, None].expand(-1, width, -1)
        across = self.columns.weight[:width].expand(height, -1, -1)
        return torch.cat((across, down), dim=-1).expand(batch, -1, -1, -1)


class PlacedAttention(CrossAttention):
    """Attention to the tokens of a sequence that others may see, padding asking too."""

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        source, places, keys = self._source(x, context)
        q = self._heads(self.q(x + context.shared["places"]))
        k = self._heads(self.kv.part(source + places, "k"))
        v = self._heads(self.kv.part(source, "v"))
        rule = Rule(self.scale, dropout=self.dropout if self.training else 0.0)
        if context.layer in context.record.attentions:
            shares = kernels.weights(q, k, context.layout, keys, rule)
            self._kept(context)[context.layer] = shares
        return self.out(kernels.attend(q, k, v, context.layout, keys, rule))

    def _source(self, x: Tensor, context: Context) -> tuple[Tensor, Tensor, Layout]:
        """Return what is looked at, (M, D), its places, and its layout."""
        seen, places = context.shared["seen"], context.shared["places"]
        if seen.index is None:
            return x, places, seen
        return x.index_select(0, seen.index), places.index_select(0, seen.index), seen

    def _kept(self, context: Context) -> dict[int, Tensor]:
        return context.record.kept_attentions


class PlacedCrossAttention(PlacedAttention):
    """Attention to a memory that has places of its own."""

    def _source(self, x: Tensor, context: Context) -> tuple[Tensor, Tensor, Layout]:
        assert context.memory is not None and context.memory_layout is not None
        return context.memory, context.shared["memory_places"], context.memory_layout

    def _kept(self, context: Context) -> dict[int, Tensor]:
        return context.record.kept_cross
