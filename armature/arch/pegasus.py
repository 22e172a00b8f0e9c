"""PEGASUS (Zhang et al., 2019): BART with computed positions and norms before organs."""

from __future__ import annotations

from dataclasses import replace

from armature.arch import bart
from armature.config import Config
from armature.model.spec import EncoderDecoder, Pre, ScaledTokens, Stored
from armature.outputs.tasks import Base

LIKE = bart
DEFAULTS = bart.DEFAULTS | {
    "pad_token_id": 0,
    "eos_token_id": 1,
    "bos_token_id": None,
    "decoder_start_token_id": 0,
    "forced_eos_token_id": 1,
    "num_labels": 2,
}


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy."""
    tokens = bart.embed(c, Stored(c.max_position_embeddings))
    body = bart.body(c, tokens, Pre)
    scaled = ScaledTokens(tokens.vocab, tokens.width, tokens.position, scale=tokens.scale)
    return replace(body, decoder=replace(body.decoder, embed=scaled))


# fmt: off
HEADS = {
    "PegasusModel":                    Base(),
    "PegasusForConditionalGeneration": bart.HEADS["BartForConditionalGeneration"],
    "PegasusForCausalLM":              bart.HEADS["BartForCausalLM"],
}
# fmt: on
INPUTS = "pegasus"
