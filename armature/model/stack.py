"""A stack: embeddings, a schedule of blocks, a norm; and what is recorded on the way."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from armature.batch import Layout
from armature.layers.bias import Bias
from armature.layers.cache import Cache
from armature.layers.context import Context, Record
from armature.layers.embed import Inputs
from armature.layers.memory import reused


class Stack(nn.Module):
    """Packed tokens in, packed hidden states out."""

    embed: Any  # Tokens, Patches or an architecture's own
    bias: Bias | None

    def __init__(
        self,
        embed: nn.Module,
        blocks: list[nn.Module],
        schedule: tuple[int, ...],
        norm: nn.Module | None,
        bias: Bias | None,
    ) -> None:
        super().__init__()
        self.embed = embed
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm
        self.bias = bias
        self.forgets = False  # compute blocks again for their gradients, which saves memory
        self.schedule = schedule  # which block runs when: shared blocks run several times

    @property
    def depth(self) -> int:
        """How many blocks a token passes."""
        return len(self.schedule)

    def forward(
        self,
        inputs: Inputs,
        record: Record,
        *,
        cache: Cache | None = None,
        memory: Tensor | None = None,
        memory_layout: Layout | None = None,
    ) -> Tensor:
        """Packed inputs → (N, D); with a memory (M, D), blocks that can attend to it."""
        x = self.embed(inputs)
        context = Context(
            inputs.layout,
            positions=inputs.positions,
            bias=self.bias,
            memory=memory,
            memory_layout=memory_layout,
            cache=cache,
            record=record,
            shared={**inputs.further},
        )
        x = self.run(x, context)
        inputs.layout = context.layout  # blocks of one's own may make rows shorter
        leave = getattr(self.embed, "leave", None)  # so may what made the tokens, at last
        x = x if leave is None else leave(x, inputs)
        if cache is not None:
            cache.lengths = inputs.layout.totals
        return x

    def run(self, x: Tensor, context: Context) -> Tensor:
        """Send embedded tokens (N, D) through the blocks and the norm."""
        if torch.compiler.is_compiling():
            return self._run(x, context)
        with reused():
            return self._run(x, context)

    def _run(self, x: Tensor, context: Context) -> Tensor:
        wanted, kept = context.record.states, context.record.kept_states
        for step, index in enumerate(self.schedule):
            if step in wanted:
                kept[step] = x
            if self.forgets and self.training and torch.is_grad_enabled():
                x = checkpoint(self._step, x, step, index, context, use_reentrant=False)
            else:
                x = self._step(x, step, index, context)
        last = x if self.norm is None else self.norm(x)
        if self.depth in wanted:
            kept[self.depth] = x if getattr(self.embed, "bare", False) else last
        return last

    def _step(self, x: Tensor, step: int, index: int, context: Context) -> Tensor:
        context.layer = step
        return self.blocks[index](x, context)
