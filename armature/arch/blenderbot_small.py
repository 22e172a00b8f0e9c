"""Blenderbot, small (Roller et al., 2020): BART whose decoder norms words before positions."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from armature.arch import bart
from armature.config import Config
from armature.model.spec import EncoderDecoder, LayerNorm, Learned, Own, Post, Tokens
from armature.outputs.tasks import Base

LIKE = bart
DEFAULTS = bart.DEFAULTS | {
    "max_position_embeddings": 512,
    "encoder_layers": 8,
    "encoder_ffn_dim": 2048,
    "decoder_layers": 8,
    "decoder_ffn_dim": 2048,
    "d_model": 512,
    "decoder_start_token_id": 1,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "num_labels": 2,
}


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy."""
    tokens = bart.embed(c, Learned(c.max_position_embeddings), norm=LayerNorm())
    body = bart.body(c, tokens, Post)
    own = Own(lambda: _embed()(tokens))
    return replace(body, decoder=replace(body.decoder, embed=own))


@cache
def _embed() -> type:
    from torch import Tensor

    from armature.layers import embed, norm, position

    class Embed(embed.Tokens):
        """Token embeddings that are normed before positions are added."""

        def __init__(self, tokens: Tokens) -> None:
            place = tokens.position
            assert place is not None
            super().__init__(
                tokens.vocab,
                tokens.width,
                position=position.Learned(place.size, tokens.width, place.offset, place.pad),
                norm=norm.LayerNorm(tokens.width),
            )  # HF: here nothing scales the words

        def forward(self, inputs: embed.Inputs) -> Tensor:
            """Packed inputs → (N, D)."""
            return self.dropout(self.summed(inputs))

        def _tokens(self, inputs: embed.Inputs) -> Any:
            assert self.norm is not None
            return self.norm(super()._tokens(inputs))

    return Embed


# fmt: off
HEADS = {
    "BlenderbotSmallModel":                    Base(),
    "BlenderbotSmallForConditionalGeneration": bart.HEADS["BartForConditionalGeneration"],
    "BlenderbotSmallForCausalLM":              bart.HEADS["BartForCausalLM"],
}
# fmt: on
INPUTS = "blenderbot-small"
