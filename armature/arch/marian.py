"""Marian (Junczys-Dowmunt et al., 2018): BART with computed positions, perhaps two vocabularies."""

from __future__ import annotations

from dataclasses import replace

from armature.arch import bart
from armature.config import Config
from armature.model.spec import EncoderDecoder, Post, ScaledTokens, Stored, Untied
from armature.outputs.tasks import Base

LIKE = bart
DEFAULTS = bart.DEFAULTS | {
    "vocab_size": 58101,
    "decoder_vocab_size": None,
    "share_encoder_decoder_embeddings": True,
    "decoder_start_token_id": 58100,
    "pad_token_id": 58100,
    "eos_token_id": 0,
    "bos_token_id": None,
    "forced_eos_token_id": 0,
    "num_labels": 2,
}


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy."""
    tokens = bart.embed(c, Stored(c.max_position_embeddings))
    body, words = bart.body(c, tokens, Post), c.decoder_vocab_size or c.vocab_size
    own = ScaledTokens(words, tokens.width, position=tokens.position, scale=tokens.scale)
    if c.share_encoder_decoder_embeddings:
        own = replace(own, vocab=c.vocab_size)
    kind = EncoderDecoder if _is_shared(c) else Untied
    return kind(body.encoder, replace(body.decoder, embed=own))


def _is_shared(c: Config) -> bool:
    return c.tie_word_embeddings and c.share_encoder_decoder_embeddings


# fmt: off

def names(c: Config) -> dict[str, str]:
    """Return NAMES; unless both halves read one table, each has its own."""
    if _is_shared(c):
        return bart.NAMES
    return bart.NAMES | {"encoder.embed.token": "encoder.embed_tokens",
                         "decoder.embed.token": "decoder.embed_tokens"}


def copies(c: Config) -> dict[str, str]:
    """Return what an untied file holds a second time."""
    return bart.COPIES if c.share_encoder_decoder_embeddings else {}



HEADS = {
    "MarianModel":       Base(),
    "MarianMTModel":     bart.HEADS["BartForConditionalGeneration"],
    "MarianForCausalLM": bart.HEADS["BartForCausalLM"],
}
# fmt: on
INPUTS = "marian"
