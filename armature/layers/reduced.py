"""Blocks on maps whose attention looks at a smaller map, and whose mlp looks around."""

from __future__ import annotations

from torch import Tensor, nn

from armature.batch import Layout
from armature.layers import kernels
from armature.layers.act import activation
from armature.layers.attention import CrossAttention
from armature.layers.context import Context
from armature.layers.drop import Skipping
from armature.layers.kernels import Rule
from armature.layers.linear import Linear
from armature.layers.norm import LayerNorm, MapLayerNorm
from armature.layers.patches import Convolution


class ReducedAttention(CrossAttention):
    """Attention of a map to itself, shrunk by a convolution first (Wang et al., 2021)."""

    def __init__(self, width: int, heads: int, ratio: int) -> None:
        super().__init__(width, heads, width // heads, bias=(True, True))
        self.reduce = self.norm = None
        if ratio > 1:
            self.reduce = Convolution(width, width, ratio, stride=ratio)
            self.norm = MapLayerNorm(width)

    def forward(self, x: Tensor, context: Context) -> Tensor:  # type: ignore[override]
        """(B, height, width, D) → the same."""
        small = x.permute(0, 3, 1, 2)
        if self.reduce is not None and self.norm is not None:
            small = self.norm(self.reduce(small))
        length = small.shape[2] * small.shape[3]
        keys = Layout((length,) * len(x), length, x.device)
        q = self._heads(self.q(x.flatten(0, 2)))  # (N, H, E)
        k, v = (self._heads(part) for part in self.kv(small.permute(0, 2, 3, 1).flatten(0, 2)))
        layout = Layout((x.shape[1] * x.shape[2],) * len(x), x.shape[1] * x.shape[2], x.device)
        rule = Rule(self.scale, dropout=self.dropout if self.training else 0.0)
        if context.layer in context.record.attentions:
            shares = kernels.weights(q, k, layout, keys, rule)
            context.record.kept_attentions[context.layer] = shares
        return self.out(kernels.attend(q, k, v, layout, keys, rule)).view_as(x)


class LookingMlp(nn.Module):
    """Two linear maps; between them each channel looks around, which also tells places apart."""

    def __init__(self, width: int, inner: int, act: str) -> None:
        super().__init__()
        self.up, self.down = Linear(width, inner), Linear(inner, width)
        self.around = Convolution(inner, inner, 3, padding=1, groups=inner)
        self.act = activation(act)
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor) -> Tensor:
        """(B, height, width, D) → the same."""
        x = self.around(self.up(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.dropout(self.down(self.dropout(self.act(x))))


class ReducedBlock(Skipping):
    """x + attn(norm(x)), then x + mlp(norm(x)), then perhaps a norm (Xie et al., 2021)."""

    attends = True
    flat = False  # whether a caller sees its map as tokens

    def __init__(
        self, width: int, heads: int, ratio: int, inner: int, act: str, *, last: bool
    ) -> None:
        super().__init__()
        self.width = width
        self.attn_norm, self.mlp_norm = LayerNorm(width), LayerNorm(width)
        self.attn = ReducedAttention(width, heads, ratio)
        self.mlp = LookingMlp(width, inner, act)
        self.norm = LayerNorm(width) if last else None
        self.dropout = nn.Dropout(0.0)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, D, height, width) → the same."""
        x = x.permute(0, 2, 3, 1)
        x = x + self.skip(self.dropout(self.attn(self.attn_norm(x), context)))
        x = x + self.skip(self.mlp(self.mlp_norm(x)))
        x = x if self.norm is None else self.norm(x)
        return x.permute(0, 3, 1, 2)
