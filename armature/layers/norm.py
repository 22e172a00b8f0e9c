"""Normalisations."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerNorm(nn.LayerNorm):
    """Layer normalisation (Ba et al., 2016)."""

    def reset_parameters(self) -> None:
        """Leave the weights as they are: they are filled once, by a file or by the model."""


class MapLayerNorm(LayerNorm):
    """Layer normalisation over the channels of each place of a map."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, height, width) → the same."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class HeadsLayerNorm(nn.Module):
    """Layer normalisation of each head alone, with weights of its own and no biases."""

    def __init__(self, heads: int, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(heads, width))
        self.eps = eps

    def compute(self, weight: Tensor) -> None:
        """Fill a fresh weight: nothing is scaled yet."""
        weight.fill_(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(…, H, E) → (…, H, E)."""
        return nn.functional.layer_norm(x, x.shape[-1:], eps=self.eps) * self.weight


class RMSNorm(nn.Module):
    """Root mean square normalisation (Zhang and Sennrich, 2019), computed in float32."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(width))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → (…, D)."""
        return self.weight * self._scaled(x).to(x.dtype)

    def _scaled(self, x: Tensor) -> Tensor:
        wide = x.float()
        return wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)


class ShiftedRMSNorm(RMSNorm):
    """Root mean square normalisation whose weight is stored less one."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, D) → (…, D)."""
        return (self._scaled(x) * (1.0 + self.weight.float())).to(x.dtype)
