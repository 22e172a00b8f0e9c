"""LED (Beltagy et al., 2020): BART whose encoder sees near tokens, and those that all see."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import bart
from armature.config import Config
from armature.model.spec import Block, EncoderDecoder, LayerNorm, Learned, Own, Post, Tokens

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.context import Context

LIKE = bart
DEFAULTS: dict[str, Any] = {
    key: value
    for key, value in bart.DEFAULTS.items()
    if key not in ("max_position_embeddings", "scale_embedding", "forced_eos_token_id")
} | {
    "max_encoder_position_embeddings": 16384,
    "max_decoder_position_embeddings": 1024,
    "attention_window": 512,
    "num_labels": 2,
}
SYNONYMS = bart.SYNONYMS | {
    "attention_probs_dropout_prob": "attention_dropout",
    "initializer_range": "init_std",
}


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy."""
    near, far = (
        Tokens(c.vocab_size, c.d_model, position=Learned(size), norm=LayerNorm())
        for size in (c.max_encoder_position_embeddings, c.max_decoder_position_embeddings)
    )
    body = bart.body(c, near, Post)
    block, windows = body.encoder.block, c.attention_window
    assert isinstance(block, Block)

    def layer(index: int) -> Block:
        window = windows if isinstance(windows, int) else windows[index]
        return replace(block, attn=Own(lambda: _near()(c, window // 2)))

    encoder = replace(body.encoder, block=layer, embed=Own(lambda: _embed()(near)))
    return replace(body, encoder=encoder, decoder=replace(body.decoder, embed=far))


# ------------------------------------------- its own organs: only building a model needs torch


@cache
def _embed() -> type:
    from armature.layers import embed, norm, position

    class Embed(embed.Tokens):
        """Token embeddings that hear of the tokens that see all others, and are seen by them."""

        takes = ("global_attention_mask",)

        def __init__(self, tokens: Tokens) -> None:
            place, width = tokens.position, tokens.width
            assert place is not None
            table = position.Learned(place.size, width, place.offset, place.pad)
            super().__init__(tokens.vocab, width, position=table, norm=norm.LayerNorm(width))

    return Embed


@cache
def _near() -> type:
    import torch

    from armature.layers import attention, linear

    class Near(attention.SelfAttention):
        """Attention to so many tokens on either side, and to those that see all others."""

        def __init__(self, c: Config, reach: int) -> None:
            width, heads = c.d_model, c.encoder_attention_heads
            super().__init__(
                width,
                heads,
                width // heads,
                kv_heads=heads,
                bias=(True, True),
                window=reach + 1,
            )
            self.reach = reach
            self.far = linear.LinearGroup(width, dict.fromkeys(("q", "k", "v"), width))

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            chosen = context.shared.get("global_attention_mask")
            if chosen is not None:
                real = context.layout.unpack(x.new_ones(len(x), 1))[..., 0] > 0
                chosen = (chosen > 0) & real  # (B, T)
                if bool(chosen.any()):
                    return self.out(context.layout.pack(_mixed(self, x, context, real, chosen)))
            y, kept = super().forward(x, context), context.record.kept_attentions
            if context.layer in kept:  # as users know them: (B, H, T, tokens of the window)
                kept[context.layer] = self._band(kept[context.layer], 0, kept[context.layer])
            return y

        def _band(self, shares: Tensor, left: int, queries: Tensor) -> Tensor:
            """(B, H, Q, S) of keys from `left` before the first query on → (B, H, Q, window)."""
            shares = torch.nn.functional.pad(shares, (self.reach - left, self.reach))
            window = torch.arange(2 * self.reach + 1, device=shares.device)
            columns = torch.arange(queries.shape[2], device=shares.device)[:, None] + window
            return shares.gather(-1, columns.expand(*shares.shape[:2], -1, -1))

    return Near


def _mixed(attn: Any, x: Tensor, context: Context, real: Tensor, chosen: Tensor) -> Tensor:
    """Return (B, T, D): near and chosen keys for each token, all keys for the chosen."""
    import torch

    layout = context.layout
    q, k, v = (attn._heads(layout.unpack(part)) for part in attn.qkv(x))  # (B, T, H, E)
    order = chosen.int().argsort(dim=1, descending=True, stable=True)
    order = order[:, : int(chosen.sum(1).max())]  # (B, G) columns, in their order
    valid, rows = (
        chosen.gather(1, order),
        torch.arange(len(order), device=x.device)[:, None],
    )
    near, pieces, kept = real & ~chosen, [], []
    for start in range(0, q.shape[1], 512):  # so many queries at once
        end, low = min(start + 512, q.shape[1]), max(start - attn.reach, 0)
        part, keys = q[:, start:end] * attn.scale, slice(low, end + attn.reach)
        far = torch.einsum("bqhe,bghe->bhqg", part, k[rows, order])
        far = far.masked_fill(~valid[:, None, None], -torch.inf)
        scores = torch.einsum("bqhe,bshe->bhqs", part, k[:, keys])
        places = torch.arange(low, low + scores.shape[-1], device=x.device)
        apart = (places - torch.arange(start, end, device=x.device)[:, None]).abs()
        seen = (apart <= attn.reach) & near[:, None, keys]
        scores = torch.cat((far, scores.masked_fill(~seen[:, None], -torch.inf)), -1)
        shares = scores.softmax(-1).masked_fill(~real[:, None, start:end, None], 0.0)
        count = order.shape[1]
        mixed = torch.einsum("bhqg,bghe->bqhe", shares[..., :count], v[rows, order])
        mixed = mixed + torch.einsum("bhqs,bshe->bqhe", shares[..., count:], v[:, keys])
        pieces.append(mixed)
        if context.layer in context.record.attentions:
            band = attn._band(shares[..., count:], start - low, shares)
            kept.append(torch.cat((shares[..., :count], band), -1))
    if kept:  # HF: what chosen tokens see is not told here
        whole = torch.cat(kept, 2).masked_fill(chosen[:, None, :, None], 0.0)
        context.record.kept_attentions[context.layer] = whole
    y = torch.cat(pieces, 1)
    q = attn._heads(attn.far.q(layout.unpack(x)[rows, order])) * attn.scale  # (B, G, H, E)
    k, v = (attn._heads(layout.unpack(attn.far.part(x, part))) for part in "kv")
    scores = torch.einsum("bghe,bthe->bhgt", q, k)
    scores = scores.masked_fill(~real[:, None, None], -torch.inf).softmax(-1)
    seen_all = torch.einsum("bhgt,bthe->bghe", scores, v)
    y[rows.expand_as(order)[valid], order[valid]] = seen_all[valid]
    return y.flatten(2)


PREFIX = "led"
_ATTN = "encoder.layers.{i}.self_attn"
_LONG = f"{_ATTN}.longformer_self_attn"
NAMES = bart.NAMES | {
    "encoder.blocks.{i}.attn.qkv": f"{_LONG}.{{query,key,value}}",
    "encoder.blocks.{i}.attn.far": f"{_LONG}.{{query,key,value}}_global",
    "encoder.blocks.{i}.attn.out": f"{_ATTN}.output",
}


def names(c: Config) -> dict[str, str]:
    """Return NAMES; where nothing is tied, each half has a table of tokens of its own."""
    return bart.names(c) | {ours: row for ours, row in NAMES.items() if ".attn." in ours}


UNUSED = (*bart.UNUSED, "classifier_dropout")  # it has no classifier

# fmt: off
HEADS = {
    "LEDModel":                   bart.HEADS["BartModel"],
    "LEDForConditionalGeneration": bart.HEADS["BartForConditionalGeneration"],
    "LEDForQuestionAnswering":    bart.HEADS["BartForQuestionAnswering"],
}
# fmt: on
INPUTS = "led"
