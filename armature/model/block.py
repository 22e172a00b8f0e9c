"""Blocks: the only place that says in which order norms, attention, mlp and additions come."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from armature.layers.context import Context
from armature.layers.drop import skip
from armature.layers.memory import add


class Block(nn.Module):
    """What every order of organs shares: their names, and dropout on what is added."""

    attn: Any  # an organ of `layers`, or an architecture's own
    mlp: Any
    attn_norm: nn.Module
    cross_norm: nn.Module
    mlp_norm: nn.Module
    attn_post: nn.Module
    mlp_post: nn.Module
    cross: Any  # a module, or None where the block never looks at another sequence

    def __init__(
        self, attn: nn.Module, mlp: nn.Module, norms: dict[str, nn.Module], cross: nn.Module | None
    ) -> None:
        super().__init__()
        self.attn, self.mlp, self.cross = attn, mlp, cross
        for name, norm in norms.items():
            setattr(self, name, norm)
        self.dropout = nn.Dropout(0.0)

    def sees_memory(self, context: Context) -> bool:
        """Return whether this block attends to another sequence in this pass."""
        if self.cross is None:
            return False
        cached = context.cache is not None and context.layer in context.cache.cross
        return context.memory is not None or cached


class PreBlock(Block):
    """x + organ(norm(x)), organ after organ.

    x ─┬─ norm ─ attn ─ + ─┬─ norm ─ mlp ─ + ─
       └────────────────┘  └───────────────┘
    """

    skips = 0.0  # how often an image goes without an organ while training

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        x = add(x, self.kept(self.attn(self.attn_norm(x), context), context))
        if self.sees_memory(context):
            x = add(x, self.kept(self.cross(self.cross_norm(x), context), context))
        return add(x, self.kept(self.mlp(self.mlp_norm(x), context), context))

    def kept(self, x: Tensor, context: Context) -> Tensor:
        """Return what is left of an organ's result while training; else all of it."""
        x = self.dropout(x)
        return skip(x, context.layout.rows, self.skips) if self.skips and self.training else x


class ScaledBlock(PreBlock):
    """x + scale · organ(norm(x)), organ after organ (Touvron et al., 2021).

    x ─┬─ norm ─ attn ─ × ─ + ─┬─ norm ─ mlp ─ × ─ + ─
       └────────────────────┘  └───────────────────┘
    """

    def __init__(
        self, attn: nn.Module, mlp: Any, norms: dict[str, nn.Module], cross: nn.Module | None
    ) -> None:
        super().__init__(attn, mlp, norms, cross)
        width = mlp.down.out_features
        self.attn_scale = nn.Parameter(torch.empty(width))
        self.mlp_scale = nn.Parameter(torch.empty(width))

    def compute(self, scale: Tensor) -> None:
        """Fill a fresh scale: nothing is scaled yet."""
        scale.fill_(1.0)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        x = x + self.kept(self.attn(self.attn_norm(x), context) * self.attn_scale, context)
        return x + self.kept(self.mlp(self.mlp_norm(x), context) * self.mlp_scale, context)


class PostBlock(Block):
    """norm(x + organ(x)), organ after organ.

    x ─┬─ attn ─ + ─ norm ─┬─ mlp ─ + ─ norm ─
       └─────────┘         └────────┘
    """

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        x = self.attn_norm(add(x, self.dropout(self.attn(x, context))))
        if self.sees_memory(context):
            x = self.cross_norm(add(x, self.dropout(self.cross(x, context))))
        return self.mlp_norm(add(x, self.dropout(self.mlp(x, context))))


class SandwichBlock(Block):
    """x + norm(organ(norm(x))), organ after organ.

    x ─┬─ norm ─ attn ─ norm ─ + ─┬─ norm ─ mlp ─ norm ─ + ─
       └───────────────────────┘  └──────────────────────┘
    """

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        x = x + self.dropout(self.attn_post(self.attn(self.attn_norm(x), context)))
        return x + self.dropout(self.mlp_post(self.mlp(self.mlp_norm(x), context)))


class LateBlock(Block):
    """x + norm(organ(x)), organ after organ.

    x ─┬─ attn ─ norm ─ + ─┬─ mlp ─ norm ─ + ─
       └────────────────┘  └───────────────┘
    """

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        x = x + self.dropout(self.attn_post(self.attn(x, context)))
        return x + self.dropout(self.mlp_post(self.mlp(x, context)))


class ParallelBlock(Block):
    """x + attn(norm(x)) + mlp(norm(x)), both reading the same stream."""

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        normed = self.attn_norm(x)
        attended = self.attn(normed, context)
        if hasattr(self, "mlp_norm"):
            normed = self.mlp_norm(x)
        return x + self.dropout(self.mlp(normed, context) + attended)
