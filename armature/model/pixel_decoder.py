"""Pixel decoders: a backbone's maps → vectors of pixels, finer maps learning from coarser ones."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.config import Config
from armature.layers.deformable import DeformableAttention, Sizes, references
from armature.layers.norm import LayerNorm
from armature.layers.patches import Convolution
from armature.layers.queries import QueryMLP
from armature.layers.waves import image_waves

LEVELS = 3  # maps that deformable attention looks at, the coarsest
POINTS = 4  # of each map
_GROUPS = 32  # channels are normed in so many groups


class TopDown(nn.Module):
    """Each finer map adds what the coarser ones know (Lin et al., 2016)."""

    def __init__(self, channels: Sequence[int], width: int, out: int) -> None:
        """Build it for maps of these channels, the finest first.

        Args:
            channels: of each map.
            width: of what lies between.
            out: of the vectors of pixels.
        """
        super().__init__()
        finer = list(channels[-2::-1])  # the coarsest of them first
        self.first = Convolution(channels[-1], width, 3, padding=1, bias=False)
        self.first_norm = nn.GroupNorm(_GROUPS, width)
        self.lateral = nn.ModuleList(Convolution(one, width, 1, bias=False) for one in finer)
        self.lateral_norm = nn.ModuleList(nn.GroupNorm(_GROUPS, width) for _ in finer)
        self.smooth = nn.ModuleList(
            Convolution(width, width, 3, padding=1, bias=False) for _ in finer
        )
        self.smooth_norm = nn.ModuleList(nn.GroupNorm(_GROUPS, width) for _ in finer)
        self.out = Convolution(width, out, 3, padding=1)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Maps, the finest first → vectors of the finest map's pixels; what lies between."""
        x = F.relu(self.first_norm(self.first(maps[-1])))
        found = []
        for index, left in enumerate(maps[-2::-1]):
            left = self.lateral_norm[index](self.lateral[index](left))
            x = left + F.interpolate(x, left.shape[-2:], mode="nearest")
            x = F.relu(self.smooth_norm[index](self.smooth[index](x)))
            found.append(x)
        return self.out(found[-1]), found


class DeformableBlock(nn.Module):
    """Deformable attention and an mlp, each normed behind its sum."""

    def __init__(
        self, width: int, attn: DeformableAttention, mlp: nn.Module, dropout: float
    ) -> None:
        super().__init__()
        self.attn, self.attn_norm = attn, LayerNorm(width)
        self.mlp, self.mlp_norm = mlp, LayerNorm(width)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self,
        x: Tensor,
        place: Tensor,
        where: Tensor,
        sizes: Sizes,
        hidden: Tensor | None = None,
        memory: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Let places look at maps that lie end to end.

        Args:
            x: (B, Q, D), the maps themselves or queries.
            place: theirs.
            where: their places in each map; see `DeformableAttention`.
            sizes: of the maps.
            hidden: (B, S), true at padding.
            memory: the maps, (B, S, D), where `x` is not they.

        Returns:
            (B, Q, D), and the shares (B, Q, H, maps, points).
        """
        y, shares = self.attn(x + place, x if memory is None else memory, where, sizes, hidden)
        x = self.attn_norm(x + self.dropout(y))
        return self.mlp_norm(x + self.dropout(self.mlp(x))), shares


class DeformableDecoder(nn.Module):
    """The coarsest maps look at each other; finer ones learn from them (Cheng et al., 2021)."""

    def __init__(self, c: Config, channels: Sequence[int]) -> None:
        """Build it for maps of these channels, the finest first."""
        super().__init__()
        width = c.feature_size
        coarse = list(channels[-LEVELS:])[::-1]
        self.level = nn.Parameter(torch.empty(LEVELS, width))
        self.project = nn.ModuleList(Convolution(one, width, 1) for one in coarse)
        self.project_norm = nn.ModuleList(nn.GroupNorm(_GROUPS, width) for _ in coarse)
        self.blocks = nn.ModuleList(_block(c) for _ in range(c.encoder_layers))
        finest = min(c.feature_strides[-LEVELS:])
        fine = channels[: int(math.log2(finest) - math.log2(c.common_stride))]
        self.lateral = nn.ModuleList(Convolution(one, width, 1, bias=False) for one in fine)
        self.lateral_norm = nn.ModuleList(nn.GroupNorm(_GROUPS, width) for _ in fine)
        self.smooth = nn.ModuleList(
            Convolution(width, width, 3, padding=1, bias=False) for _ in fine
        )
        self.smooth_norm = nn.ModuleList(nn.GroupNorm(_GROUPS, width) for _ in fine)
        self.out = Convolution(width, c.mask_feature_size, 1)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Maps, the finest first → vectors of pixels; the coarsest maps, the coarsest first."""
        coarse = [
            norm(project(x))
            for x, project, norm in zip(
                maps[::-1][:LEVELS], self.project, self.project_norm, strict=True
            )
        ]
        sizes = [(x.shape[2], x.shape[3]) for x in coarse]
        places = [
            image_waves(size, x.shape[1], x).flatten(1, 2) + level
            for size, x, level in zip(sizes, coarse, self.level, strict=True)
        ]
        x = torch.cat([x.flatten(2).transpose(1, 2) for x in coarse], 1)  # (B, S, D)
        place, where = torch.cat(places, 1), references(sizes, x).expand(len(x), -1, -1, -1)
        for block in self.blocks:
            x, _ = block(x, place, where, sizes)
        spans = x.split([height * width for height, width in sizes], 1)
        found = [
            span.transpose(1, 2).unflatten(2, size) for span, size in zip(spans, sizes, strict=True)
        ]
        finest = found[-1]
        for index in reversed(range(len(self.lateral))):
            left = self.lateral_norm[index](self.lateral[index](maps[index]))
            stretched = F.interpolate(finest, left.shape[-2:], mode="bilinear", align_corners=False)
            smooth = self.smooth[index](left + stretched)
            finest = F.relu(self.smooth_norm[index](smooth))
            found.append(finest)
        return self.out(finest), found[:LEVELS]


def _block(c: Config) -> DeformableBlock:
    width = c.feature_size
    attn = DeformableAttention(width, c.num_attention_heads, LEVELS, POINTS)
    mlp = QueryMLP(width, c.encoder_feedforward_dim, "relu", c.dropout)
    return DeformableBlock(width, attn, mlp, c.dropout)
