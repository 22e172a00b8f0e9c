"""Dropping: organs whose whole result some rows go without while training."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Skipping(nn.Module):
    """Base of organs that are skipped now and then while training (Huang et al., 2016)."""

    path = 0.0  # how often a row goes without

    def skip(self, x: Tensor) -> Tensor:
        """(B, …) → the same, zero in the rows that go without, the others larger for it."""
        if not self.training or not self.path:
            return x
        kept = torch.rand(len(x), *(1,) * (x.dim() - 1), device=x.device) >= self.path
        return x * kept / (1 - self.path)
