"""Waves: computed positions of an image's places, across and down (Carion et al., 2020)."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def image_waves(
    size: tuple[int, int], width: int, like: Tensor, real: Tensor | None = None
) -> Tensor:
    """Return the waves of every place, (1 or B, height, width, D): half for down, half for across.

    Args:
        size: height and width of the map.
        width: D.
        like: a tensor of the type and at the place that they shall have.
        real: (B, height, width), nonzero where there is picture and not padding; None: everywhere.
    """
    present = torch.ones(1, *size, device=like.device) if real is None else real
    present = present.to(like.dtype)
    half = width // 2
    steps = torch.arange(half, device=like.device).to(like.dtype)
    speeds = 10000 ** (2 * torch.div(steps, 2, rounding_mode="floor") / half)
    waves = []
    for axis in (1, 2):
        place = present.cumsum(axis)
        last = place.narrow(axis, place.shape[axis] - 1, 1)
        angles = (place / (last + 1e-6) * (2 * math.pi))[..., None] / speeds
        waves.append(torch.stack((angles[..., 0::2].sin(), angles[..., 1::2].cos()), -1).flatten(3))
    return torch.cat(waves, -1)
