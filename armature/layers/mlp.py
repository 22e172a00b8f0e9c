"""Feed-forward organs: dense, gated."""

from __future__ import annotations

from torch import Tensor, nn

from armature.layers.act import activation
from armature.layers.context import Context
from armature.layers.linear import Linear, LinearGroup


class Dense(nn.Module):
    """Up, activation, down (Vaswani et al., 2017)."""

    def __init__(self, width: int, inner: int, act: str, *, bias: bool) -> None:
        super().__init__()
        self.up = Linear(width, inner, bias=bias)
        self.down = Linear(inner, width, bias=bias)
        self.act = activation(act)

    def forward(self, x: Tensor, _context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        return self.down(self.up.activated(x, self.act))


class Gated(nn.Module):
    """Down of an activated gate times up (Shazeer, 2020)."""

    def __init__(self, width: int, inner: int, act: str, *, bias: bool) -> None:
        super().__init__()
        self.gate_up = LinearGroup(width, {"gate": inner, "up": inner}, bias=bias)
        self.down = Linear(inner, width, bias=bias)
        self.act = activation(act)

    def forward(self, x: Tensor, _context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        gate, up = self.gate_up(x)  # (N, F), (N, F)
        return self.down(self.act(gate) * up)
