"""SigLIP's text tower (Zhai et al., 2023): CLIP's, seeing both ways; its last column pools."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import clip_text_model, head_width
from armature.config import Config
from armature.model.spec import Attention, Own, Stack
from armature.outputs.tasks import Base

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.outputs.heads import Given

LIKE = clip_text_model
DEFAULTS = clip_text_model.DEFAULTS | {
    "vocab_size": 32000,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_attention_heads": 12,
    "max_position_embeddings": 64,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "projection_size": None,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    attention = Attention(c.num_attention_heads, head_width(c))
    return clip_text_model.encoder(c, Own(lambda: _embed()(c)), attention)


@cache
def _embed() -> type[nn.Module]:
    from armature.layers import embed, position

    class LastColumnToo(embed.PaddedTokens):
        """The last column stands for a text, padding or not."""

        bare = True

        def __init__(self, c: Config) -> None:
            width = c.hidden_size
            place = position.Learned(c.max_position_embeddings, width, 0, None)
            super().__init__(c.vocab_size, width, position=place)

        def stands(self, ids: Tensor, real: Tensor) -> bool:
            return not bool(real[:, -1].all())

    return LastColumnToo


def _pooler(spec: Base, c: Config, body: Any) -> nn.Module:
    return _last()(
        spec, c, (body.embed.width, body.embed.width, c.projection_size or c.hidden_size)
    )


@cache
def _last() -> type[nn.Module]:
    from armature.outputs.heads import HeadModule
    from armature.outputs.picking import columns

    class LastColumn(HeadModule):
        """What stands in the last column of each row, be it padding, and a map of it."""

        def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
            return {"pooler_output": self.score(columns(x, given.layout)[:, -1])}

    return LastColumn


UNUSED = ("dropout", "bos_token_id", "eos_token_id", "pad_token_id")

HEADS = {"SiglipTextModel": Base(out="head", make=_pooler)}
INPUTS = "siglip"
