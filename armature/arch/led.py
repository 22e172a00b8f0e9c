"""LED (Beltagy et al., 2020): BART whose encoder sees near tokens, and those that all see."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from armature.arch import bart, reaches, renamed
from armature.config import Config
from armature.model.spec import Block, EncoderDecoder, LayerNorm, Learned, Own, Post, Tokens

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
    body, reach = bart.body(c, near, Post), reaches(c, c.encoder_layers)
    block = body.encoder.block
    assert isinstance(block, Block)

    def layer(index: int) -> Block:
        return replace(block, attn=Own(lambda: _near(c, reach[index], 2 * max(reach))))

    encoder = replace(body.encoder, block=layer, embed=Own(lambda: _embed(near)))
    return replace(body, encoder=encoder, decoder=replace(body.decoder, embed=far))


def _near(c: Config, reach: int, multiple: int) -> Any:
    from armature.layers.near import NearAttention

    return NearAttention(c.d_model, c.encoder_attention_heads, reach, multiple)


def _embed(tokens: Tokens) -> Any:
    from armature.layers.near import hearing
    from armature.model.build import build_embed

    return hearing(build_embed(tokens), "encoder_")


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

HEADS = renamed(bart.HEADS, "Bart", "LED", "CausalLM", "SequenceClassification")
INPUTS = "led"
