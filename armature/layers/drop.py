"""Dropping whole results of organs while training (Huang et al., 2016)."""

from __future__ import annotations

import torch
from torch import Tensor


def skip(x: Tensor, rows: int, share: float) -> Tensor:
    """Drop a result (N, D) for this share of its rows, and scale what is kept to make up for it."""
    kept = torch.rand(rows, 1, 1, device=x.device) >= share
    return (x.unflatten(0, (rows, -1)) * kept / (1 - share)).flatten(0, 1)
