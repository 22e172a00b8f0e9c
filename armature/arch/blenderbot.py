"""Blenderbot (Roller et al., 2020): BART with norms before organs, positions from row 0."""

from __future__ import annotations

from armature.arch import bart
from armature.config import Config
from armature.model.spec import EncoderDecoder, Learned, Pre
from armature.outputs.tasks import Base

LIKE = bart
DEFAULTS = bart.DEFAULTS | {
    "vocab_size": 8008,
    "max_position_embeddings": 128,
    "encoder_layers": 2,
    "encoder_ffn_dim": 10240,
    "encoder_attention_heads": 32,
    "decoder_layers": 24,
    "decoder_ffn_dim": 10240,
    "decoder_attention_heads": 32,
    "d_model": 2560,
    "decoder_start_token_id": 1,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "encoder_no_repeat_ngram_size": 3,
    "num_labels": 2,
}


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy."""
    return bart.body(c, bart.embed(c, Learned(c.max_position_embeddings)), Pre)


UNUSED = (*bart.UNUSED, "encoder_no_repeat_ngram_size")

# fmt: off
HEADS = {
    "BlenderbotModel":                    Base(),
    "BlenderbotForConditionalGeneration": bart.HEADS["BartForConditionalGeneration"],
    "BlenderbotForCausalLM":              bart.HEADS["BartForCausalLM"],
}
# fmt: on
INPUTS = "blenderbot"
