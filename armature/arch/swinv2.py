"""Swin V2 (Liu et al., 2021): Swin whose scores are angles, and whose biases know all distances."""

from __future__ import annotations

import math
from functools import partial
from typing import TYPE_CHECKING, Any

from armature.arch import refuse, renamed, sides, swin
from armature.config import Config
from armature.model.spec import Dropout, LayerNorm, Own, Patches, Pyramid, Stage
from armature.outputs.tasks import Backbone

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.context import Context

LIKE = swin
DEFAULTS = swin.DEFAULTS | {"pretrained_window_sizes": [0, 0, 0, 0]}


def spec(c: Config) -> Pyramid:
    """Return the anatomy."""
    return _pyramid(c, LayerNorm(c.layer_norm_eps))


def _pyramid(c: Config, norm: LayerNorm | None = None) -> Pyramid:
    """Return the anatomy with this norm behind it; a backbone has none."""
    refuse(c, use_absolute_embeddings=False)  # HF: their table has a row too many to be added
    return Pyramid(
        embed=Patches(c.embed_dim, (c.num_channels, *sides(c.patch_size)), None, LayerNorm()),
        stages=tuple(_stage(c, index) for index in range(len(c.depths))),
        norm=norm,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob, c.drop_path_rate),
    )


def _stage(c: Config, index: int) -> Stage:
    """Return a stage: every second block shifts its windows, and all but the last stage halve."""
    width = c.embed_dim * 2**index
    # HF: windows shrink where the config's images have smaller maps, whatever a call gives.
    high = sides(c.image_size)[0] // sides(c.patch_size)[0] // 2**index
    side = min(high, c.window_size)
    shifts = [c.window_size // 2 * (place % 2) * (high > side) for place in range(c.depths[index])]
    blocks = tuple(Own(partial(_block, c, index, width, (side, shift))) for shift in shifts)
    last = index == len(c.depths) - 1
    return Stage(blocks, None if last else Own(lambda: _merge(width)))


def _merge(width: int) -> Any:
    from armature.layers.norm import LayerNorm as Norm
    from armature.layers.patches import Merge

    class LateMerge(Merge):
        """The norm comes last."""

        def __init__(self) -> None:
            super().__init__(width)
            self.norm = Norm(2 * width)

        def join(self, x: Tensor) -> Tensor:
            """(…, 4 · D) → (…, 2 · D)."""
            return self.norm(self.reduce(x))

    return LateMerge()


def _block(c: Config, index: int, width: int, window: tuple[int, int]) -> Any:
    from armature.layers.drop import skip
    from armature.layers.mlp import Dense
    from armature.layers.norm import LayerNorm as Norm
    from armature.model.block import Block

    class CosineBlock(Block):
        """x + norm(organ(x)), organ after organ; of some images nothing is added in training."""

        packed = True  # on tokens

        def __init__(self) -> None:
            mlp = Dense(width, int(c.mlp_ratio * width), c.hidden_act, bias=True)
            norms = ("attn_post", "mlp_post")
            made: dict[str, Any] = {name: Norm(width, eps=c.layer_norm_eps) for name in norms}
            super().__init__(_attention(c, index, width, window), mlp, made, None)
            self.width, self.path = width, 0.0

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            x = x + self._kept(self.attn_post(self.attn(x, context)), context)
            return x + self._kept(self.mlp_post(self.dropout(self.mlp(x, context))), context)

        def _kept(self, x: Tensor, context: Context) -> Tensor:
            dropped = self.path and self.training
            return skip(x, context.layout.rows, self.path) if dropped else x

    return CosineBlock()


def _attention(c: Config, index: int, width: int, window: tuple[int, int]) -> Any:
    from dataclasses import replace

    import torch
    from torch import nn
    from torch.nn import functional as F

    from armature.layers.attention import SelfAttention
    from armature.layers.bias import Bias
    from armature.layers.linear import Linear

    heads = c.num_heads[index]
    trained = (c.pretrained_window_sizes or [0] * len(c.depths))[index]

    class Distances(Bias):
        """A bias for each head that a small net makes of logarithms of offsets."""

        def __init__(self) -> None:
            super().__init__()
            self.up, self.down = Linear(2, 512), Linear(512, heads, bias=False)

        def forward(self, queries: Tensor, keys: Tensor) -> Tensor:
            """(Q,) and (S,) places in a square, row by row → (H, Q, S)."""
            side = math.isqrt(keys.shape[0])
            far = torch.arange(1 - side, side, device=keys.device).to(self.up.weight.dtype)
            most = trained - 1 if trained > 0 else max(side - 1, 1)
            far = far * 8 / most
            far = far.sign() * (far.abs() + 1).log2() / 3
            table = self.down(self.up(torch.cartesian_prod(far, far)).relu())
            down = queries[:, None] // side - keys // side + side - 1
            across = queries[:, None] % side - keys % side + side - 1
            bias = F.embedding(down * (2 * side - 1) + across, 16 * table.sigmoid())
            return bias.movedim(-1, 0)

    class CosineWindows(SelfAttention):
        """Attention inside squares, by the angles of queries and keys."""

        def __init__(self) -> None:
            bias = (c.qkv_bias, True)
            super().__init__(width, heads, width // heads, kv_heads=heads, bias=bias, scale=1.0)
            self.qkv.unbias("k")
            self.sharpness = nn.Parameter(torch.empty(heads, 1, 1))
            self.bias = Distances()
            self.side, self.shift = window

        def compute(self, sharpness: Tensor) -> None:
            """Fill fresh logarithms of how sharp scores are."""
            sharpness.fill_(math.log(10))

        def _projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            q, k, v = super()._projected(x)
            scale = self.sharpness.clamp(max=math.log(100)).exp().view(-1, 1)
            return F.normalize(q, dim=-1) * scale, F.normalize(k, dim=-1), v

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D), the patches of every map row by row."""
            assert context.grid is not None
            grid = replace(context.grid, shrink=False)
            windows = context.once(window, lambda: grid.windows(*window, x.device))
            cut = windows.cut(x)
            layout = windows.layout(len(cut))
            inside = replace(context, layout=layout, bias=self.bias, regions=windows.regions)
            return windows.join(super().forward(cut, inside))

    return CosineWindows()


def _maps(spec: Backbone, c: Config, body: Any) -> Any:
    from armature.outputs.images import FeatureMaps

    made = FeatureMaps(spec, c, body.channels)
    made.flat = True
    return made


PREFIX = "swinv2"
_LATE = {"attn_norm": "attn_post", "mlp_norm": "mlp_post"}
_SELF = "encoder.layers.{i}.blocks.{j}.attention.self"
NAMES = {
    ".".join(_LATE.get(word, word) for word in ours.split(".")): theirs
    for ours, theirs in swin.NAMES.items()
    if ours != "embed.position" and "table" not in ours
} | {
    "stages.{i}.blocks.{j}.attn.sharpness": f"{_SELF}.logit_scale",
    "stages.{i}.blocks.{j}.attn.bias.up": f"{_SELF}.continuous_position_bias_mlp.0",
    "stages.{i}.blocks.{j}.attn.bias.down": f"{_SELF}.continuous_position_bias_mlp.2",
}
IGNORED = ("attention.self.relative_position_index", "attention.self.relative_coords_table")

HEADS = renamed(swin.HEADS, "Swin", "Swinv2") | {
    "Swinv2Backbone": Backbone(make=_maps, body=_pyramid, prefix=""),
}
