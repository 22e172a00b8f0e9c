"""Fresh weights: what a weight begins with that no file gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from armature.layers.norm import ShiftedRMSNorm


@torch.no_grad()
def fill(module: nn.Module, name: str, tensor: Tensor, spread: float) -> None:
    """Fill one weight: norms with ones, biases with zeros, the rest at random."""
    if hasattr(module, "compute"):
        module.compute(tensor)  # type: ignore[operator] - what no training made
    elif name == "weight" and tensor.dim() == 1:
        tensor.fill_(0.0 if isinstance(module, ShiftedRMSNorm) else 1.0)
    elif name == "running_var":
        tensor.fill_(1.0)
    elif name in ("bias", "shift", "running_mean", "num_batches_tracked") and tensor.dim() <= 2:
        tensor.zero_()
    else:
        tensor.normal_(0.0, spread)
