"""Near: attention to near tokens, and to and from a few that see all (Beltagy et al., 2020)."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.layers.attention import SelfAttention
from armature.layers.context import Context
from armature.layers.linear import LinearGroup

CHOSEN = "global_attention_mask"  # the argument of a call that chooses tokens


def hearing(tokens: Any, half: str = "") -> Any:
    """Return embeddings that hear of chosen tokens, for the blocks; `half` is of a result's."""
    tokens.takes = (CHOSEN,)
    tokens.answers = partial(_apart, f"{half}attentions", f"{half}global_attentions")
    return tokens


def _apart(near: str, far: str, found: dict[str, Any]) -> dict[str, str]:
    """Tell what chosen tokens see apart from what others do, where any are chosen."""
    pairs = found.get(near)
    if pairs and isinstance(pairs[0], tuple):
        found[near], found[far] = zip(*pairs, strict=True)
    return {near: far}


class NearAttention(SelfAttention):
    """Attention to so many tokens on either side, and to those that see all others."""

    def __init__(self, width: int, heads: int, reach: int, multiple: int) -> None:
        """Build it.

        Args:
            width: D of the states.
            heads: how many share it.
            reach: how many tokens are seen on either side.
            multiple: what shares of all tokens are padded to, as users know them.
        """
        super().__init__(
            width, heads, width // heads, kv_heads=heads, bias=(True, True), window=reach + 1
        )
        self.reach, self.multiple = reach, multiple
        self.far = LinearGroup(width, dict.fromkeys(("q", "k", "v"), width))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D)."""
        chosen = context.shared.get(CHOSEN)
        if chosen is not None:
            real = context.layout.unpack(x.new_ones(len(x), 1))[..., 0] > 0
            chosen = (chosen.reshape(real.shape) > 0) & real  # (B, T)
            if bool(chosen.any()):
                return self.out(context.layout.pack(self._mixed(x, context, real, chosen)))
        y, kept = super().forward(x, context), context.record.kept_attentions
        if context.layer in kept:  # as users know them: (B, H, T, tokens of the window)
            kept[context.layer] = self._band(kept[context.layer], 0)
        return y

    def _band(self, shares: Tensor, left: int) -> Tensor:
        """(B, H, Q, S) of keys from `left` before the first query on → (B, H, Q, window)."""
        queries = shares.shape[2]
        shares = F.pad(shares, (self.reach - left, self.reach))
        window = torch.arange(2 * self.reach + 1, device=shares.device)
        columns = torch.arange(queries, device=shares.device)[:, None] + window
        return shares.gather(-1, columns.expand(*shares.shape[:2], -1, -1))

    def _mixed(self, x: Tensor, context: Context, real: Tensor, chosen: Tensor) -> Tensor:
        """Return (B, T, D): near and chosen keys for each token, all keys for the chosen."""
        layout = context.layout
        q, k, v = (self._heads(layout.unpack(part)) for part in self.qkv(x))  # (B, T, H, E)
        order = chosen.int().argsort(dim=1, descending=True, stable=True)
        order = order[:, : int(chosen.sum(1).max())]  # (B, G) columns, in their order
        valid, rows = chosen.gather(1, order), torch.arange(len(order), device=x.device)[:, None]
        near, pieces, kept = real & ~chosen, [], []
        asked = context.layer in context.record.attentions
        for start in range(0, q.shape[1], 512):  # so many queries at once
            end, low = min(start + 512, q.shape[1]), max(start - self.reach, 0)
            part, keys = q[:, start:end] * self.scale, slice(low, end + self.reach)
            far = torch.einsum("bqhe,bghe->bhqg", part, k[rows, order])
            far = far.masked_fill(~valid[:, None, None], -torch.inf)
            scores = torch.einsum("bqhe,bshe->bhqs", part, k[:, keys])
            places = torch.arange(low, low + scores.shape[-1], device=x.device)
            apart = (places - torch.arange(start, end, device=x.device)[:, None]).abs()
            seen = (apart <= self.reach) & near[:, None, keys]
            scores = torch.cat((far, scores.masked_fill(~seen[:, None], -torch.inf)), -1)
            shares = scores.softmax(-1).masked_fill(~real[:, None, start:end, None], 0.0)
            count = order.shape[1]
            if asked:
                band = self._band(shares[..., count:], start - low)
                kept.append(torch.cat((shares[..., :count], band), -1))
            shares = F.dropout(shares, self.dropout, self.training)
            mixed = torch.einsum("bhqg,bghe->bqhe", shares[..., :count], v[rows, order])
            pieces.append(mixed + torch.einsum("bhqs,bshe->bqhe", shares[..., count:], v[:, keys]))
        y = torch.cat(pieces, 1)
        shares, seen_all = self._seen_by_chosen(x, context, real, (rows, order))
        y[rows.expand_as(order)[valid], order[valid]] = seen_all[valid]
        if asked:  # what chosen tokens see is told apart
            whole = torch.cat(kept, 2).masked_fill(chosen[:, None, :, None], 0.0)
            both: Any = (whole, self._told(shares, valid))
            context.record.kept_attentions[context.layer] = both
        return y.flatten(2)

    def _seen_by_chosen(
        self, x: Tensor, context: Context, real: Tensor, places: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Return shares (B, H, G, T) and what is seen (B, G, H, E) of the tokens at `places`."""
        layout = context.layout
        q = self._heads(self.far.part(layout.unpack(x)[places], "q")) * self.scale  # (B, G, H, E)
        k, v = (self._heads(layout.unpack(self.far.part(x, part))) for part in "kv")
        scores = torch.einsum("bghe,bthe->bhgt", q, k)
        shares = scores.masked_fill(~real[:, None, None], -torch.inf).softmax(-1)
        dropped = F.dropout(shares, self.dropout, self.training)
        return shares, torch.einsum("bhgt,bthe->bghe", dropped, v)

    def _told(self, shares: Tensor, valid: Tensor) -> Tensor:
        """(B, H, G, T) → (B, H, whole windows, G), as users know them."""
        shares = F.pad(shares, (0, -shares.shape[-1] % self.multiple))
        # HF: rows with fewer chosen tokens than others have even shares in the places left.
        even = torch.full_like(shares, 1 / shares.shape[-1])
        return shares.where(valid[:, None, :, None], even).mT
