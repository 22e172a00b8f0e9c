"""Routed experts: each token goes through a few of many mlps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from armature.layers.act import activation
from armature.layers.context import Context
from armature.layers.linear import Linear, linear
from armature.layers.mlp import Gated


class Experts(nn.Module):
    """X gated mlps in two stacked weights."""

    def __init__(self, width: int, inner: int, act: str, experts: int) -> None:
        super().__init__()
        self.parts = {"gate": inner, "up": inner}
        self.gate_up = nn.Parameter(torch.empty(experts, 2 * inner, width))
        self.down = nn.Parameter(torch.empty(experts, width, inner))
        self.act = activation(act)

    def forward(self, x: Tensor, expert: int) -> Tensor:
        """(n, D) → (n, D) through one expert."""
        gate, up = linear(x, self.gate_up[expert]).chunk(2, dim=-1)
        return linear(self.act(gate) * up, self.down[expert])

    def __len__(self) -> int:
        """X, how many experts there are."""
        return len(self.down)


class MoE(nn.Module):
    """Mixture of experts (Shazeer et al., 2017), the weights of those chosen summing to one."""

    summing_to_one = True

    def __init__(
        self, width: int, inner: int, act: str, experts: int, top: int, shared: int
    ) -> None:
        super().__init__()
        self.router = Linear(width, experts, bias=False)
        self.experts = Experts(width, inner, act, experts)
        self.shared = Gated(width, shared, act, bias=False) if shared else None
        self.shared_gate = Linear(width, 1, bias=False) if shared else None
        self.top = top

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        logits = self.router(x)  # (N, X)
        weights, chosen = logits.softmax(-1, dtype=torch.float32).topk(self.top, dim=-1)
        if self.summing_to_one:
            weights = weights / weights.sum(-1, keepdim=True)
        weights = weights.to(x.dtype)
        out = self._mixed(x, weights, chosen)
        if context.record.router:
            context.record.kept_router.append(logits)
        if self.shared is not None and self.shared_gate is not None:
            out = out + self.shared_gate(x).sigmoid() * self.shared(x, context)
        return out

    def _mixed(self, x: Tensor, weights: Tensor, chosen: Tensor) -> Tensor:
        """(N, D), (N, top), (N, top) → (N, D), the sum of what the experts chosen say."""
        out = torch.zeros_like(x)
        if torch.compiler.is_compiling():  # who goes where is not known: all go everywhere
            for expert in range(len(self.experts)):
                share = (weights * (chosen == expert)).sum(-1, keepdim=True)
                out = out + self.experts(x, expert) * share
            return out
        for expert in chosen.unique().tolist():
            token, place = (chosen == expert).nonzero(as_tuple=True)
            y = self.experts(x[token], expert) * weights[token, place, None]
            out.index_add_(0, token, y.to(out.dtype))
        return out


class PlainMoE(MoE):
    """Mixture of experts whose weights stay as the router gave them."""

    summing_to_one = False
