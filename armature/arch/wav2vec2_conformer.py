"""wav2vec 2.0 of conformers (Gulati et al., 2020): each block convolves what attention mixed."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import head_width, renamed, wav2vec2
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import LayerNorm, Own, Stack

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.context import Context

LIKE = wav2vec2
DEFAULTS: dict[str, Any] = wav2vec2.without("adapter_attn", "do_stable") | {
    "vocab_size": None,
    "position_embeddings_type": "relative",  # or "rotary", or null
    "rotary_embedding_base": 10000,
    "conv_depthwise_kernel_size": 31,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    kind = c.stated("position_embeddings_type")
    if kind not in ("relative", "rotary", None) or c.conv_depthwise_kernel_size % 2 == 0:
        raise ConfigError(
            f"config.json: position_embeddings_type is {kind!r}, but should be relative, rotary or "
            f"null; conv_depthwise_kernel_size is {c.conv_depthwise_kernel_size}, but odd\n"
            "  → correct the file, or download it again"
        )
    stack = wav2vec2.encoder(c, Own(lambda: _sounds(c)))
    return replace(
        stack,
        block=lambda _: Own(lambda: _layer()(c)),
        norm=LayerNorm(c.layer_norm_eps),
        bias=Own(lambda: _turns()(c)) if kind == "rotary" else None,
    )


# ------------------------------------------- its own organs: only building a model needs torch


def _sounds(c: Config) -> Any:
    from armature.layers import filters

    class Unplaced(filters.Placing):
        """A convolution that nothing reads: kept, so that a file saved again is as it was."""

        def forward(self, x: Tensor) -> Tensor:
            return x.new_zeros(())

    def unplaced() -> nn.Module:
        kernel, groups = c.num_conv_pos_embeddings, c.num_conv_pos_embedding_groups
        return Unplaced(filters.NormedConvolution(c.hidden_size, kernel, groups), "linear")

    made: Any = wav2vec2.sounds(c, unplaced)
    made.norm = None
    return made


@cache
def _turns() -> type[nn.Module]:
    import torch
    from torch import nn

    class Turns(nn.Module):
        """How fast each pair of numbers turns with a frame's place."""

        def __init__(self, c: Config) -> None:
            super().__init__()
            self.width, self.base = head_width(c), float(c.rotary_embedding_base)
            self.register_buffer("inv_freq", self._computed())

        def _computed(self) -> Tensor:
            return 1.0 / self.base ** (torch.arange(0, self.width, 2).float() / self.width)

        def compute(self, weight: Tensor) -> None:
            """Fill the frequencies, where a file lacks them."""
            weight.copy_(self._computed())

        def forward(self, x: Tensor, columns: Tensor) -> Tensor:
            """(N, H, E) states of frames in these columns → (N, H, E)."""
            pace: Any = self.inv_freq
            angles = columns[:, None].to(pace) * pace
            both = torch.cat((angles, angles), -1)[:, None].to(x.dtype)
            first, second = x.chunk(2, -1)
            return x * both.cos() + torch.cat((-second, first), -1) * both.sin()

    return Turns


@cache
def _attention() -> type[nn.Module]:
    import torch
    from torch import nn

    from armature.layers.linear import Linear
    from armature.layers.sound import HearingAttention

    class Relating(HearingAttention):
        """Attention that knows distances: none, by turning the states, or by waves of them."""

        def __init__(self, c: Config) -> None:
            heads, width, both = c.num_attention_heads, head_width(c), (True, True)
            super().__init__(c.hidden_size, heads, width, kv_heads=heads, bias=both)
            self.distance: Any = None
            if c.stated("position_embeddings_type") == "relative":
                self.distance = Linear(c.hidden_size, heads * width, bias=False)
                self.content_bias = nn.Parameter(torch.empty(heads, width))
                self.place_bias = nn.Parameter(torch.empty(heads, width))

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            turns: Any = context.bias
            turned = x
            if turns is not None:
                turned = turns(self._heads(x), context.layout.columns).flatten(1)
            q, k = (self._heads(self.qkv.part(turned, name)) for name in "qk")
            v = self._heads(self.qkv.part(x, "v"))
            rule = replace(self._rule(context), bias=None)
            if self.distance is not None:
                q, rule = q + self.content_bias, replace(rule, content=self._near(q, context))
            return self.out(self._mix(q, k, v, context, rule))

        def _near(self, q: Tensor, context: Context) -> Any:
            """Return what distances add to the scores of queries (N, H, E)."""
            layout = context.layout
            length = layout.width
            waves = context.once("waves", lambda: _waves(length, self.out.weight))
            keys = self._heads(self.distance(waves)).permute(1, 2, 0)  # (H, E, 2T - 1)
            places = torch.arange(length, device=q.device)
            index = places[:, None] - places + length - 1  # (T, T)
            queries = (q + self.place_bias).unflatten(0, (layout.rows, -1)).transpose(1, 2)

            def content(_q: Tensor, k: Tensor, rows: slice) -> Tensor:
                far = queries[rows] @ keys * self.scale  # (b, H, T, 2T - 1)
                return far.gather(-1, index[:, : k.shape[2]].expand(*far.shape[:3], -1))

            return content

    return Relating


def _waves(length: int, like: Tensor) -> Tensor:
    """Return the (2T - 1, D) waves of the distances 1 - T to T - 1: sines between cosines."""
    import math

    import torch

    width = like.shape[0]
    slow = torch.arange(0, width, 2, device=like.device).float() * -(math.log(10000.0) / width)
    far = torch.arange(1 - length, length, device=like.device).float()
    angles = far[:, None] * slow.exp()
    return torch.stack((angles.sin(), angles.cos()), -1).flatten(1)[:, :width].to(like.dtype)


@cache
def _layer() -> type[nn.Module]:
    from torch import nn

    from armature.layers import act, filters, mlp, norm
    from armature.model.block import Block

    class Convolved(nn.Module):
        """A gate, a convolution of each channel alone, normed by what training saw, and a map."""

        def __init__(self, c: Config) -> None:
            super().__init__()
            width, kernel = c.hidden_size, c.conv_depthwise_kernel_size
            self.into = filters.Filter(width, 2 * width, 1, bias=False)
            self.near = filters.Filter(
                width, width, kernel, padding=kernel // 2, groups=width, bias=False
            )
            self.norm = nn.BatchNorm1d(width)
            self.out = filters.Filter(width, width, 1, bias=False)
            self.act = act.activation(c.hidden_act)

        def forward(self, x: Tensor) -> Tensor:
            """(B, T, D) → (B, T, D)."""
            y = self.near(nn.functional.glu(self.into(x.transpose(1, 2)), 1))
            return self.out(self.act(self.norm(y))).transpose(1, 2)

    class Conformer(Block):
        """Half a mlp, attention, a convolution, half a mlp, and a norm."""

        def __init__(self, c: Config) -> None:
            width, inner = c.hidden_size, c.intermediate_size
            names = ("before_norm", "attn_norm", "conv_norm", "mlp_norm", "last_norm")
            norms: dict[str, Any] = {name: norm.LayerNorm(width) for name in names}
            mlps = [mlp.Dense(width, inner, c.hidden_act, bias=True) for _ in range(2)]
            super().__init__(_attention()(c), mlps[1], norms, None)
            self.before, self.conv = mlps[0], Convolved(c)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            part: Any = self
            x = x + 0.5 * self.dropout(self.before(part.before_norm(x), context))
            x = x + self.dropout(self.attn(self.attn_norm(x), context))
            rows = part.conv_norm(x).unflatten(0, (context.layout.rows, -1))
            x = x + self.dropout(self.conv(rows).flatten(0, 1))
            return part.last_norm(x + 0.5 * self.dropout(self.mlp(self.mlp_norm(x), context)))

    return Conformer


PREFIX = "wav2vec2_conformer"
# fmt: off
NAMES = {ours: theirs for ours, theirs in wav2vec2.NAMES.items() if "blocks" not in ours} | {
    "bias":                           "encoder.embed_positions",
    "blocks.{i}.before_norm":         "encoder.layers.{i}.ffn1_layer_norm",
    "blocks.{i}.before.up":           "encoder.layers.{i}.ffn1.intermediate_dense",
    "blocks.{i}.before.down":         "encoder.layers.{i}.ffn1.output_dense",
    "blocks.{i}.attn_norm":           "encoder.layers.{i}.self_attn_layer_norm",
    "blocks.{i}.attn.qkv":            "encoder.layers.{i}.self_attn.linear_{q,k,v}",
    "blocks.{i}.attn.out":            "encoder.layers.{i}.self_attn.linear_out",
    "blocks.{i}.attn.distance":       "encoder.layers.{i}.self_attn.linear_pos",
    "blocks.{i}.attn.content_bias":   "encoder.layers.{i}.self_attn.pos_bias_u",
    "blocks.{i}.attn.place_bias":     "encoder.layers.{i}.self_attn.pos_bias_v",
    "blocks.{i}.conv_norm":           "encoder.layers.{i}.conv_module.layer_norm",
    "blocks.{i}.conv.into":           "encoder.layers.{i}.conv_module.pointwise_conv1",
    "blocks.{i}.conv.near":           "encoder.layers.{i}.conv_module.depthwise_conv",
    "blocks.{i}.conv.norm":           "encoder.layers.{i}.conv_module.batch_norm",
    "blocks.{i}.conv.out":            "encoder.layers.{i}.conv_module.pointwise_conv2",
    "blocks.{i}.mlp_norm":            "encoder.layers.{i}.ffn2_layer_norm",
    "blocks.{i}.mlp.up":              "encoder.layers.{i}.ffn2.intermediate_dense",
    "blocks.{i}.mlp.down":            "encoder.layers.{i}.ffn2.output_dense",
    "blocks.{i}.last_norm":           "encoder.layers.{i}.final_layer_norm",
}
UNUSED = (*wav2vec2.UNUSED, "conformer_conv_dropout", "max_source_positions",
          "rotary_embedding_base")
HEADS = renamed(wav2vec2.HEADS, "Wav2Vec2", "Wav2Vec2Conformer")
# fmt: on
