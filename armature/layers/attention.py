"""Attention: project, place, score, mix; to the same sequence or to another one."""

from __future__ import annotations

import math
from dataclasses import replace

from torch import Tensor, nn

from armature.batch import Layout
from armature.layers import kernels
from armature.layers.bias import Offsets
from armature.layers.context import Context
from armature.layers.drop import skip
from armature.layers.kernels import Rule
from armature.layers.linear import Linear, LinearGroup
from armature.layers.position import Rotary


class _Attention(nn.Module):
    """What both kinds share: sizes and the rule by which scores become weights."""

    def __init__(self, heads: int, head_width: int, kv_heads: int, scale: float | None) -> None:
        super().__init__()
        self.heads, self.head_width, self.kv_heads = heads, head_width, kv_heads
        self.scale = 1 / math.sqrt(head_width) if scale is None else scale
        self.dropout = 0.0

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, self.head_width))


class SelfAttention(_Attention):
    """Attention of a sequence to itself, with any positions, and fewer key heads if asked for."""

    def __init__(  # noqa: PLR0913
        self,
        width: int,
        heads: int,
        head_width: int,
        *,
        kv_heads: int,
        bias: tuple[bool, bool],
        scale: float | None = None,
        causal: bool = False,
        window: int | None = None,
        rotary: Rotary | None = None,
        norms: tuple[nn.Module, nn.Module] | None = None,
        cap: float | None = None,
    ) -> None:
        super().__init__(heads, head_width, kv_heads, scale)
        inner, kv = heads * head_width, kv_heads * head_width
        self.qkv = LinearGroup(width, {"q": inner, "k": kv, "v": kv}, bias=bias[0], groups=kv_heads)
        self.out = Linear(inner, width, bias=bias[1])
        self.causal, self.window, self.rotary, self.cap = causal, window, rotary, cap
        self.q_norm, self.k_norm = norms or (None, None)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        q, k, v = self._projected(x)  # (N, H, E), (N, K, E), (N, K, E)
        if self.rotary is not None:
            table = context.table(self.rotary)
            q, k = self.rotary.turn(q, table), self.rotary.turn(k, table)
        return self.out(self._mix(q, k, v, context, self._rule(context)))

    def _projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return queries, keys and values by heads, the first two normed."""
        q, k, v = (self._heads(part) for part in self.qkv(x))
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        return q, k, v

    def _rule(self, context: Context) -> Rule:
        """Return how scores become weights in this pass."""
        return Rule(
            self.scale,
            self.causal,
            self.window,
            context.bias,
            self.dropout if self.training else 0.0,
            context.regions,
            cap=self.cap,
        )

    def _mix(self, q: Tensor, k: Tensor, v: Tensor, context: Context, rule: Rule) -> Tensor:
        layout, cache = context.layout, context.cache
        asked = context.layer in context.record.attentions
        stored = None
        if cache is not None:
            window = rule.window if rule.causal and rule.bias is None else None
            stored = cache.layer(context.layer, window)
            stored.append(k, v, layout, cache.room(window))
        if stored is None or not any(layout.past):
            if asked:
                shares = kernels.weights(q, k, layout, layout, rule)
                context.record.kept_attentions[context.layer] = shares
            return kernels.attend(q, k, v, layout, layout, rule)
        if asked:
            shares = stored.weights(q, layout, rule)
            context.record.kept_attentions[context.layer] = shares
        return stored.attend(q, layout, rule)


class TogetherNormedAttention(SelfAttention):
    """Attention whose norms go over the queries, or keys, of all heads at once."""

    def _projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        q, k, v = self.qkv(x)
        if self.q_norm is not None and self.k_norm is not None:
            q, k = self.q_norm(q), self.k_norm(k)
        return self._heads(q), self._heads(k), self._heads(v)


class WindowAttention(SelfAttention):
    """Attention inside squares of a map, each a sequence of its own (Liu et al., 2021)."""

    def __init__(
        self,
        width: int,
        heads: int,
        head_width: int,
        *,
        side: int,
        shift: int,
        bias: tuple[bool, bool],
    ) -> None:
        super().__init__(width, heads, head_width, kv_heads=heads, bias=bias)
        self.bias = Offsets(heads, side)
        self.side, self.shift = side, shift
        self.path = 0.0  # how often an image goes without this organ while training

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D), the patches of every map row by row."""
        assert context.grid is not None
        grid, kind = context.grid, (self.side, self.shift)
        windows = context.once(kind, lambda: grid.windows(*kind, x.device))
        cut = windows.cut(x)
        inside = replace(
            context,
            layout=windows.layout(len(cut)),
            bias=self.bias,
            regions=windows.regions,
        )
        x = windows.join(super().forward(cut, inside))
        return skip(x, context.layout.rows, self.path) if self.path and self.training else x


class CrossAttention(_Attention):
    """Attention of a sequence to a memory, whose keys and values a cache computes once."""

    def __init__(
        self,
        width: int,
        heads: int,
        head_width: int,
        *,
        bias: tuple[bool, bool],
        scale: float | None = None,
        memory_width: int | None = None,
    ) -> None:
        super().__init__(heads, head_width, heads, scale)
        inner = heads * head_width
        self.q = Linear(width, inner, bias=bias[0])
        self.kv = LinearGroup(memory_width or width, {"k": inner, "v": inner}, bias=bias[0])
        self.out = Linear(inner, width, bias=bias[1])

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        q = self._heads(self.q(x))  # (N, H, E)
        rule = Rule(self.scale, dropout=self.dropout if self.training else 0.0)
        asked = context.layer in context.record.attentions
        cache = context.cache
        if cache is not None and context.layer in cache.cross and not asked:
            return self.out(cache.attend_memory(context.layer, q, context.layout, rule))
        k, v, keys = self._memory(context)  # (M, H, E), (M, H, E)
        if asked:
            shares = kernels.weights(q, k, context.layout, keys, rule)
            context.record.kept_cross[context.layer] = shares
        return self.out(kernels.attend(q, k, v, context.layout, keys, rule))

    def _memory(self, context: Context) -> tuple[Tensor, Tensor, Layout]:
        cache = context.cache
        if cache is not None and context.layer in cache.cross:
            return cache.recall(context.layer)
        assert context.memory is not None and context.memory_layout is not None
        k, v = (self._heads(part) for part in self.kv(context.memory))
        if cache is not None:
            cache.remember(context.layer, k, v, context.memory_layout)
        return k, v, context.memory_layout
