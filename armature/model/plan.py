"""Plans: a stack's step of one token for each row, as one program of the native kernels.

An anatomy of known organs becomes a list of norms, linear maps and attentions; a stack with any
other organ, or one that somebody listens to, has no plan and goes block by block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_module

from armature.layers import act, norm
from armature.layers.attention import CrossAttention, SelfAttention, TogetherNormedAttention
from armature.layers.context import Context
from armature.layers.embed import Inputs
from armature.layers.linear import Linear
from armature.layers.mlp import Dense, Gated
from armature.layers.packed import PackedLinear
from armature.layers.position import Rotary
from armature.layers.slots import Slots
from armature.model.block import (
    Block,
    LateBlock,
    ParallelBlock,
    PostBlock,
    PreBlock,
    SandwichBlock,
)
from armature.model.stack import Stack
from armature.native import library
from armature.native.program import Plan, Writer

_ROWS, _ROUNDED_ROWS = 32, 512  # with more, matrix products of whole batches are faster

_ACTS: dict[Callable[[Tensor], Tensor], int] = {
    act.ACTIVATIONS["linear"]: 0,
    F.gelu: 1,
    act.ACTIVATIONS["gelu_new"]: 2,
    F.relu: 3,
    F.silu: 4,
    act.ACTIVATIONS["quick_gelu"]: 5,
    torch.tanh: 6,
    torch.sigmoid: 7,
    act.ACTIVATIONS["relu2"]: 8,
}


class Unplanned(Exception):  # noqa: N818 - no error: the stack goes block by block
    """An organ that no program has a step for."""


def pages(stack: Stack) -> bool:
    """Return whether a stack's tokens may lie anywhere: all its attention finds them by a table."""
    first = next(stack.parameters(), None)
    return (
        library.kernels() is not None
        and first is not None
        and first.dtype is torch.float32
        and first.device.type == "cpu"
        and not torch.is_grad_enabled()
        and all(type(getattr(b, "attn", None)) in _ATTENTIONS for b in stack.blocks)
    )


class StackPlan:
    """A stack's program for `most` rows.

    `remembers`: they have memories, which blocks attend to.
    """

    def __init__(self, stack: Stack, *, remembers: bool) -> None:
        self.stack, self.remembers = stack, remembers
        self.rotaries: list[Rotary] = []
        self.writer = Writer()
        self.most = _ROUNDED_ROWS
        for layer, index in enumerate(stack.schedule):
            block: Any = stack.blocks[index]
            order = _ORDERS.get(type(block))
            if order is None:
                raise Unplanned(type(block).__name__)
            order(self, block, layer)
        if stack.norm is not None:
            self.norm(stack.norm, "x", "x")
        self.plan = Plan(self.writer, "x", "x")

    def step(self, inputs: Inputs, cache: Slots) -> Tensor:
        """One new token for each row → (R, D), the stack's last states."""
        layout = inputs.layout
        x = self.stack.embed(inputs)
        places = cache.places(layout)
        context = Context(layout, positions=inputs.positions)
        tables = [context.table(rotary) for rotary in self.rotaries]
        bias = None
        if self.stack.bias is not None:
            ends = torch.tensor(layout.totals)[:, None] - 1
            keys = torch.arange(layout.longest)
            bias = self.stack.bias(ends, keys).float().squeeze(2).contiguous()  # (R, H, S)
        states = self.plan.run(x, places, tables, bias)
        cache.lengths = layout.totals
        return states

    # ---------------------------------------------------------------- organs

    def norm(self, module: nn.Module, source: str, target: str, groups: int = 1) -> None:
        """Write down a norm over groups of numbers."""
        weight: Any = getattr(module, "weight", None)
        match type(module):
            case norm.RMSNorm | norm.LayerNorm | norm.HeadsLayerNorm:
                pass
            case norm.ShiftedRMSNorm:
                weight = weight.float() + 1.0
            case _:
                raise Unplanned(type(module).__name__)
        rms = isinstance(module, norm.RMSNorm)
        shape = getattr(module, "normalized_shape", None) or weight.shape
        self.writer.norm(
            source,
            target,
            shape[-1],
            weight=weight,
            bias=getattr(module, "bias", None),
            eps=float(module.eps),  # type: ignore[arg-type]
            centred=not rms,
            groups=groups,
        )

    def linear(self, module: Linear, source: str, target: str, **how: Any) -> None:
        """Write down a linear map."""
        weight = module.native() if type(module) in (Linear, PackedLinear) else None
        if weight is None:
            raise Unplanned(type(module).__name__)
        self.most = self.most if weight.group else _ROWS
        self.writer.linear(source, target, weight, **how)

    def attention(self, attn: Any, source: str, target: str, layer: int, put: int) -> None:
        """Write down attention of the rows to themselves."""
        writer, heads, shared, width = self.writer, attn.heads, attn.kv_heads, attn.head_width
        self.linear(attn.qkv.q, source, "q", wait=False)
        self.linear(attn.qkv.k, source, "k", wait=False)
        self.linear(attn.qkv.v, source, "v")
        together = type(attn) is TogetherNormedAttention
        for name, module, count in (("q", attn.q_norm, heads), ("k", attn.k_norm, shared)):
            if module is not None:
                self.norm(module, name, name, 1 if together else count)
        if attn.rotary is not None:
            turn = attn.rotary
            if turn not in self.rotaries:
                self.rotaries.append(turn)
            table, half = self.rotaries.index(turn), (turn.width + 1) // 2
            writer.rotate("q", heads, width, table, half, turn.interleaved)
            writer.rotate("k", shared, width, table, half, turn.interleaved)
        writer.store("k", shared * width, layer, values=False)
        writer.store("v", shared * width, layer, values=True)
        writer.attend(
            "q", "mixed", heads=heads, shared=shared, width=width, scale=attn.scale,
            window=attn.window or 0, cap=attn.cap or 0.0, layer=layer,
        )  # fmt: skip
        self.linear(attn.out, "mixed", target, put=put)

    def memory(self, attn: Any, source: str, target: str, layer: int, put: int) -> None:
        """Write down attention of the rows to their memories."""
        if type(attn) is not CrossAttention:
            raise Unplanned(type(attn).__name__)
        self.linear(attn.q, source, "q")
        self.writer.attend(
            "q", "mixed", recall=True, heads=attn.heads, shared=attn.heads,
            width=attn.head_width, scale=attn.scale, layer=layer,
        )  # fmt: skip
        self.linear(attn.out, "mixed", target, put=put)

    def mlp(self, mlp: Any, source: str, target: str, put: int) -> None:
        """Write down a feed-forward organ."""
        act = _ACTS.get(getattr(mlp, "act", None))  # type: ignore[arg-type]
        if act is None or type(mlp) not in (Dense, Gated):
            raise Unplanned(type(mlp).__name__)
        if type(mlp) is Gated:
            both: Any = mlp.gate_up
            self.linear(both.gate, source, "inner", act=act, wait=False)
            self.linear(both.up, source, "inner", put=library.MULTIPLY)
        else:
            self.linear(mlp.up, source, "inner", act=act)
        self.linear(mlp.down, "inner", target, put=put)

    # ---------------------------------------------------------------- orders

    def pre(self, block: PreBlock, layer: int) -> None:
        """Write down x + organ(norm(x))."""
        self.norm(block.attn_norm, "x", "h")
        self.attention(block.attn, "h", "x", layer, library.ADD)
        if self.remembers and block.cross is not None:
            self.norm(block.cross_norm, "x", "h")
            self.memory(block.cross, "h", "x", layer, library.ADD)
        self.norm(block.mlp_norm, "x", "h")
        self.mlp(block.mlp, "h", "x", library.ADD)

    def post(self, block: PostBlock, layer: int) -> None:
        """Write down norm(x + organ(x))."""
        self.attention(block.attn, "x", "x", layer, library.ADD)
        self.norm(block.attn_norm, "x", "x")
        if self.remembers and block.cross is not None:
            self.memory(block.cross, "x", "x", layer, library.ADD)
            self.norm(block.cross_norm, "x", "x")
        self.mlp(block.mlp, "x", "x", library.ADD)
        self.norm(block.mlp_norm, "x", "x")

    def sandwich(self, block: SandwichBlock, layer: int) -> None:
        """Write down x + norm(organ(norm(x)))."""
        self.norm(block.attn_norm, "x", "h")
        self.attention(block.attn, "h", "h", layer, library.PUT)
        self._added(block.attn_post)
        self.norm(block.mlp_norm, "x", "h")
        self.mlp(block.mlp, "h", "h", library.PUT)
        self._added(block.mlp_post)

    def late(self, block: LateBlock, layer: int) -> None:
        """Write down x + norm(organ(x))."""
        self.attention(block.attn, "x", "h", layer, library.PUT)
        self._added(block.attn_post)
        self.mlp(block.mlp, "x", "h", library.PUT)
        self._added(block.mlp_post)

    def parallel(self, block: ParallelBlock, layer: int) -> None:
        """Write down x + attn(norm(x)) + mlp(norm(x))."""
        self.norm(block.attn_norm, "x", "h")
        side = "h"
        if hasattr(block, "mlp_norm"):
            side = "side"
            self.norm(block.mlp_norm, "x", side)
        self.attention(block.attn, "h", "x", layer, library.ADD)
        self.mlp(block.mlp, side, "x", library.ADD)

    def _added(self, module: nn.Module) -> None:
        self.norm(module, "h", "h")
        self.writer.plus("h", "x", self.stack.embed.width)


_ATTENTIONS = (SelfAttention, TogetherNormedAttention)
_ORDERS: dict[type[Block], Callable[[StackPlan, Any, int], None]] = {
    PreBlock: StackPlan.pre,
    PostBlock: StackPlan.post,
    SandwichBlock: StackPlan.sandwich,
    LateBlock: StackPlan.late,
    ParallelBlock: StackPlan.parallel,
}


def plan(stack: Stack, *, remembers: bool) -> StackPlan | None:
    """Return a stack's program, or None where it has to go block by block."""
    heard = torch_module._global_forward_hooks or torch_module._global_forward_pre_hooks
    heard = heard or any(m._forward_hooks or m._forward_pre_hooks for m in stack.modules())
    if heard or stack.training or not pages(stack):
        return None
    try:
        return StackPlan(stack, remembers=remembers)
    except Unplanned:
        return None
