"""WavLM (Chen et al., 2021): wav2vec 2.0 whose frames decide how much distances tell them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from armature.arch import head_width, renamed, wav2vec2
from armature.config import Config
from armature.model.spec import Own, Relative, Stack

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.context import Context

LIKE = wav2vec2
DEFAULTS = wav2vec2.without("adapter_attn") | {"ctc_loss_reduction": "mean"}
DEFAULTS |= {"num_buckets": 320, "max_bucket_distance": 800}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    stack = wav2vec2.encoder(c, Own(lambda: wav2vec2.sounds(c)), Own(lambda: _attention()(c)))
    return replace(stack, bias=Relative(c.num_buckets, c.max_bucket_distance))


@cache
def _attention() -> type[nn.Module]:
    import torch
    from torch import nn

    from armature.layers.linear import Linear
    from armature.layers.sound import HearingAttention

    class Gated(HearingAttention):
        """Attention whose biases of distances each query's state scales, head by head."""

        def __init__(self, c: Config) -> None:
            heads, width = c.num_attention_heads, head_width(c)
            super().__init__(c.hidden_size, heads, width, kv_heads=heads, bias=(True, True))
            self.gate = Linear(width, 8)
            self.constant = nn.Parameter(torch.empty(1, heads, 1, 1))

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            q, k, v = self._projected(x)
            layout, bias = context.layout, context.bias
            opened = self.gate(self._heads(x)).unflatten(-1, (2, 4)).sum(-1).sigmoid()  # (N, H, 2)
            near, far = opened.unflatten(0, (layout.rows, -1)).transpose(1, 2).split(1, -1)
            shares = near * (far * self.constant - 1.0) + 2.0  # (B, H, T, 1)
            places = torch.arange(layout.width, device=x.device)
            assert bias is not None
            table = context.once("distances", lambda: bias(places, places))  # (H, T, T)

            def content(_q: Tensor, k: Tensor, rows: slice) -> Tensor:
                return shares[rows] * table[..., : k.shape[2]]

            rule = replace(self._rule(context), bias=None, content=content)
            mixed = self.out(self._mix(q, k, v, context, rule))
            kept = context.record.kept_attentions
            if context.layer in kept:  # HF: they are told as the mean of all heads, for each
                mean = kept[context.layer].mean(1, keepdim=True)
                kept[context.layer] = mean.expand(-1, self.heads, -1, -1)
            return mixed

    return Gated


PREFIX = "wavlm"
# fmt: off
NAMES = wav2vec2.NAMES | {
    "bias":                     "encoder.layers.0.attention.rel_attn_embed",
    "blocks.{i}.attn.gate":     "encoder.layers.{i}.attention.gru_rel_pos_linear",
    "blocks.{i}.attn.constant": "encoder.layers.{i}.attention.gru_rel_pos_const",
}
# fmt: on
HEADS = renamed(wav2vec2.HEADS, "Wav2Vec2", "WavLM", "PreTraining")
