"""CLIP's text tower (Radford et al., 2021): a causal encoder; the end of a text stands for it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from armature.arch import head_width
from armature.config import Config
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Own, Pre, Stack
from armature.outputs.tasks import Base, Projection

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.context import Context
    from armature.layers.kernels import Rule

DEFAULTS = {
    "vocab_size": 49408,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "projection_dim": 512,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "attention_dropout": 0.0,
    "pad_token_id": 1,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return encoder(c, Own(lambda: _embed()(c)), Own(lambda: _attention()(c)))


def encoder(c: Config, embed: Own, attention: Attention | Own) -> Stack:
    """Return a tower's stack."""
    norm = LayerNorm(c.layer_norm_eps)
    return Stack(
        embed=embed,
        block=Block(Pre(norm), attention, Dense(c.intermediate_size, c.hidden_act)),
        depth=c.num_hidden_layers,
        norm=norm,
        dropout=Dropout(0.0, c.attention_dropout),
    )


@cache
def _embed() -> type[nn.Module]:
    from armature.layers import embed, position
    from armature.outputs.picking import first_end

    class UpToTheEnd(embed.PaddedTokens):
        """Padding stands for a text where it comes first and looks like the end of one."""

        bare = True

        def __init__(self, c: Config) -> None:
            width = c.hidden_size
            place = position.Learned(c.max_position_embeddings, width, 0, None)
            super().__init__(c.vocab_size, width, position=place)
            self.end = c.eos_token_id

        def stands(self, ids: Tensor, real: Tensor) -> bool:
            return not bool(real.gather(1, first_end(ids, self.end)[:, None]).all())

    return UpToTheEnd


@cache
def _attention() -> type[nn.Module]:
    from armature.layers.attention import SelfAttention

    class BeforeTheText(SelfAttention):
        """Padding before a text sees nothing."""

        def __init__(self, c: Config) -> None:
            heads, width = c.num_attention_heads, head_width(c)
            both = (True, True)
            super().__init__(c.hidden_size, heads, width, kv_heads=heads, bias=both, causal=True)

        def _mix(self, q: Tensor, k: Tensor, v: Tensor, context: Context, rule: Rule) -> Tensor:
            x = super()._mix(q, k, v, context, rule)
            if context.layout.hidden is not None:
                blind = context.layout.mask.long().cumsum(1).flatten() == 0
                x = x.masked_fill(blind[:, None], 0.0)
            return x

    return BeforeTheText


PREFIX = "text_model"
# fmt: off
NAMES = {
    "embed.token":          "embeddings.token_embedding",
    "embed.position":       "embeddings.position_embedding",
    "blocks.{i}.attn_norm": "encoder.layers.{i}.layer_norm1",
    "blocks.{i}.attn.qkv":  "encoder.layers.{i}.self_attn.{q,k,v}_proj",
    "blocks.{i}.attn.out":  "encoder.layers.{i}.self_attn.out_proj",
    "blocks.{i}.mlp_norm":  "encoder.layers.{i}.layer_norm2",
    "blocks.{i}.mlp.up":    "encoder.layers.{i}.mlp.fc1",
    "blocks.{i}.mlp.down":  "encoder.layers.{i}.mlp.fc2",
    "norm":                 "final_layer_norm",
}
IGNORED = ("embeddings.position_ids",)
UNUSED = ("projection_dim", "dropout", "bos_token_id", "pad_token_id")

HEADS = {
    "CLIPTextModel":               Base(pick="eot"),
    "CLIPTextModelWithProjection": Projection(pick="eot", out="text_projection", bias=False),
}
# fmt: on
INPUTS = "clip"
