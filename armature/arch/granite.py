"""Granite (IBM, 2024): Llama with four factors: on embeddings, scores, organs and words."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from armature.arch import decoder, heads, llama, rotary
from armature.config import Config
from armature.model.spec import Attention, Block, Gated, Own, Pre, RMSNorm, ScaledTokens, Stack
from armature.outputs.tasks import Base, CausalLM

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.context import Context

LIKE = llama
DEFAULTS = {key: value for key, value in llama.DEFAULTS.items() if key != "head_dim"} | {
    "embedding_multiplier": 1.0,
    "logits_scaling": 1.0,
    "residual_multiplier": 1.0,
    "attention_multiplier": 1.0,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, factor = RMSNorm(c.rms_norm_eps), float(c.residual_multiplier)
    attention = Attention(
        **heads(c),
        bias=(c.attention_bias, c.attention_bias),
        scale=c.attention_multiplier,
        causal=True,
        rotary=rotary(c),
    )
    plain = Block(Pre(norm), attention, Gated(c.intermediate_size, c.hidden_act, c.mlp_bias))
    shared: dict = {}  # rotations of all blocks
    own = Own(lambda: _damped()(plain, c.hidden_size, shared, factor))
    tokens = ScaledTokens(c.vocab_size, c.hidden_size, scale=c.embedding_multiplier)
    return replace(decoder(c, norm, lambda _index: own), embed=tokens)


@cache
def _damped() -> type:
    from armature.model import block, build

    class DampedBlock(block.PreBlock):
        """A block that adds a share of what its organs say."""

        def __init__(self, plain: Block, width: int, shared: dict, factor: float) -> None:
            inner = build.build_block(plain, width, shared)
            norms = {"attn_norm": inner.attn_norm, "mlp_norm": inner.mlp_norm}
            super().__init__(inner.attn, inner.mlp, norms, None)
            self.factor = factor

        def forward(self, x: Tensor, context: Context) -> Tensor:
            x = x + self.dropout(self.attn(self.attn_norm(x), context)) * self.factor
            return x + self.dropout(self.mlp(self.mlp_norm(x), context)) * self.factor

    return DampedBlock


# fmt: off
HEADS = {
    "GraniteModel":       Base(),
    "GraniteForCausalLM": CausalLM(out="lm_head", bias=False,
                                   scale=lambda c: 1 / c.logits_scaling),
}
# fmt: on
INPUTS = "gpt2"
