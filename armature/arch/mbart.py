"""mBART (Liu et al., 2020): BART with norms before organs; the language's token begins a text."""

from __future__ import annotations

from dataclasses import replace

from armature.arch import bart
from armature.config import Config
from armature.model.spec import EncoderDecoder, LayerNorm, Learned, Pre

LIKE = bart
DEFAULTS = bart.DEFAULTS | {"decoder_start_token_id": None, "num_labels": 2}


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy."""
    place = Learned(c.max_position_embeddings + 2, offset=2)
    return bart.body(c, bart.embed(c, place, norm=LayerNorm()), Pre)


# fmt: off
HEADS = {
    "MBartModel":                     replace(bart.HEADS["BartModel"], begin="last"),
    "MBartForConditionalGeneration":  replace(
        bart.HEADS["BartForConditionalGeneration"], begin="last"),
    "MBartForSequenceClassification": replace(
        bart.HEADS["BartForSequenceClassification"], begin="last"),
    "MBartForQuestionAnswering":      replace(bart.HEADS["BartForQuestionAnswering"], begin="last"),
    "MBartForCausalLM":               bart.HEADS["BartForCausalLM"],
}
# fmt: on
INPUTS = "mbart"
