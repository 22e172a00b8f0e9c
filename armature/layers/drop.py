"""Dropping whole results of organs while training (Huang et al., 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def skip(x: Tensor, rows: int, share: float) -> Tensor:
    """Drop a result (N, D) for this share of its rows, and scale what is kept to make up for it."""
    kept = torch.rand(rows, 1, 1, device=x.device) >= share
    return (x.unflatten(0, (rows, -1)) * kept / (1 - share)).flatten(0, 1)


class Skipping(nn.Module):
    """Base of organs on maps that drop their own results."""

    path = 0.0  # for which share of the images, while training

    def skip(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → the same, for some images zero while training."""
        if not self.training or not self.path:
            return x
        return skip(x.reshape(-1, 1), len(x), self.path).view_as(x)
