"""LongT5 (Guo et al., 2021): T5 whose encoder sees near tokens, and perhaps sums of blocks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import t5
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Block, EncoderDecoder, Own
from armature.outputs.tasks import Base

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.context import Context

LIKE = t5
DEFAULTS = t5.DEFAULTS | {
    "local_radius": 127,
    "global_block_size": 16,
    "encoder_attention_type": "local",
    "decoder_start_token_id": None,
}
_KINDS = {"local": "LocalSelfAttention", "transient-global": "TransientGlobalSelfAttention"}


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy.

    Raises:
        ConfigError: the encoder attends in a way that nobody knows.
    """
    if c.encoder_attention_type not in _KINDS:
        raise ConfigError(
            f"config.json: encoder_attention_type is {c.encoder_attention_type!r}, "
            f"but should be one of {', '.join(_KINDS)}"
        )
    body = t5.spec(c)
    block, blocks = body.encoder.block, c.global_block_size
    if c.encoder_attention_type == "local":
        blocks = 0
    assert isinstance(block, Block)
    near = replace(block, attn=Own(lambda: _near()(c, blocks)))
    bias = Own(lambda: _biases()(c, blocks))
    return replace(body, encoder=replace(body.encoder, block=near, bias=bias))


# ------------------------------------------- its own organs: only building a model needs torch

_NEVER = -1e10  # HF: added to scores that do not count, so that padding attends to all alike


@cache
def _near() -> type:
    import torch

    from armature.layers import attention, norm

    class Near(attention.SelfAttention):
        """Attention to the tokens within a radius, and to one sum for each full block."""

        def __init__(self, c: Config, blocks: int) -> None:
            heads = c.num_heads
            super().__init__(
                c.d_model, heads, c.d_kv, kv_heads=heads, bias=(False, False), scale=1.0
            )
            self.reach, self.blocks = c.local_radius + 1, blocks
            self.norm = norm.RMSNorm(c.d_model, c.layer_norm_epsilon) if blocks else None

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            layout, reach = context.layout, self.reach
            assert context.bias is not None
            real = layout.unpack(x.new_ones(len(x), 1))[..., 0] > 0  # (B, T)
            q, k, v = (self._heads(layout.unpack(part)) for part in self.qkv(x))  # (B, T, H, E)
            q, k, v = self._cut(q), self._around(self._cut(k)), self._around(self._cut(v))
            seen = self._cut(real)[..., None] & self._around(self._cut(real))[..., None, :]
            places = torch.arange(3 * reach, device=x.device)
            middle = places[reach:-reach]
            seen = seen & ((places - middle[:, None]).abs() < reach)  # (B, n, L, 3L)
            offsets = context.bias(middle, places) + torch.where(seen, 0.0, _NEVER)[:, :, None]
            if self.norm is not None:
                k, v, offsets = self._with_sums(x, real, context, (k, v, offsets))
            scores = torch.einsum("bnqhe,bnkhe->bnhqk", q, k) + offsets
            shares = scores.softmax(-1, dtype=torch.float32).to(x.dtype)
            if context.layer in context.record.attentions:
                context.record.kept_attentions[context.layer] = shares
            shares = torch.nn.functional.dropout(shares, self.dropout, self.training)
            mixed = torch.einsum("bnhqk,bnkhe->bnqhe", shares, v).flatten(3).flatten(1, 2)
            return self.out(layout.pack(mixed[:, : real.shape[1]]))

        def _with_sums(
            self, x: Tensor, real: Tensor, context: Context, near: tuple[Tensor, Tensor, Tensor]
        ) -> tuple[Tensor, ...]:
            """Put the sums of blocks behind near keys and values, and the bias to them."""
            assert self.norm is not None
            owner, count = _owners(real, self.blocks)
            whole, index = context.layout.unpack(x), torch.arange(count, device=x.device)
            member = (owner[..., None] == index).to(x.dtype)  # (B, T, G)
            sums = self.norm(torch.einsum("btd,btg->bgd", whole, member))
            _, k, v = (self._heads(part) for part in self.qkv(sums))  # (B, G, H, E)
            full = index <= owner.amax(1, keepdim=True)  # (B, G)
            seen = torch.where(real[..., None] == full[:, None], 0.0, _NEVER)  # (B, T, G)
            sides: Any = context.bias
            bias = sides.side(owner, index) + seen[:, None]  # (B, H, T, G)
            bias = self._cut(bias.movedim(2, 1)).transpose(2, 3)  # (B, n, H, L, G)
            blocks = near[0].shape[1]
            further = [part[:, None].expand(-1, blocks, -1, -1, -1) for part in (k, v)]
            k, v = (torch.cat(both, 2) for both in zip(near[:2], further, strict=True))
            return k, v, torch.cat((near[2].expand(*bias.shape[:-1], -1), bias), -1)

        def _cut(self, x: Tensor) -> Tensor:
            """(B, T, …) → (B, n, L, …), zeros at the end."""
            lacking = -x.shape[1] % self.reach
            x = torch.cat((x, x.new_zeros(x.shape[0], lacking, *x.shape[2:])), 1)
            return x.unflatten(1, (-1, self.reach))

        def _around(self, x: Tensor) -> Tensor:
            """(B, n, L, …) → (B, n, 3L, …): each block between its neighbours."""
            empty = torch.zeros_like(x[:, :1])
            return torch.cat(
                (torch.cat((empty, x[:, :-1]), 1), x, torch.cat((x[:, 1:], empty), 1)), 2
            )

    return Near


def _owners(real: Tensor, size: int) -> tuple[Tensor, int]:
    """Return the block (B, T) of each token, -1 for none, and how many blocks there may be."""
    import torch

    share = torch.ones_like(real, dtype=torch.float32) / size
    # HF: columns are counted by a sum of fractions, which rounds where `size` is no power of 2.
    owner = (1.0 + (share.cumsum(1) - share) - 1.0).floor().long().masked_fill(~real, -1)
    ends = torch.arange(real.shape[1], device=real.device) % size == size - 1
    last = ((owner >= 0) & ends).sum(1, keepdim=True) - 1
    return torch.minimum(owner, last), real.shape[1] // size


@cache
def _biases() -> type:
    from armature.layers import bias

    class Biases(bias.Relative):
        """A trained bias for distances between tokens, perhaps another for those of blocks."""

        def __init__(self, c: Config, blocks: int) -> None:
            sizes = (c.relative_attention_num_buckets, c.relative_attention_max_distance)
            super().__init__(c.num_heads, *sizes, bidirectional=True)
            side = bias.Relative(c.num_heads, *sizes, bidirectional=True) if blocks else None
            self.side = side

    return Biases


def names(c: Config) -> dict[str, str]:
    """Return NAMES as this kind of attention spells them."""
    attn = f"encoder.block.{{i}}.layer.0.{_KINDS[c.encoder_attention_type]}"
    first = attn.replace("{i}", "0")
    return t5.NAMES | {
        "encoder.bias": f"{first}.relative_attention_bias",
        "encoder.bias.side": f"{first}.global_relative_attention_bias",
        "encoder.blocks.{i}.attn.qkv": f"{attn}.{{q,k,v}}",
        "encoder.blocks.{i}.attn.out": f"{attn}.o",
        "encoder.blocks.{i}.attn.norm": f"{attn}.global_input_layer_norm",
    }


UNUSED = (*t5.UNUSED, "classifier_dropout")

# fmt: off
HEADS = {
    "LongT5Model":                    Base(),
    "LongT5EncoderModel":             Base(half="encoder"),
    "LongT5ForConditionalGeneration": replace(t5.HEADS["T5ForConditionalGeneration"],
                                              tied=lambda _: True),
}
# fmt: on
