"""M2M-100 (Fan et al., 2020), and NLLB: BART with norms before organs and computed positions.

They count from the padding id on, and the slowest wave is exactly 10,000 times slower.
"""

from __future__ import annotations

from armature.arch import bart
from armature.config import Config
from armature.model.spec import ClosedSinusoidal, EncoderDecoder, Pre
from armature.outputs.tasks import Base, Seq2SeqLM

LIKE = bart
DEFAULTS = bart.DEFAULTS | {
    "vocab_size": 128112,
    "activation_function": "relu",
    "attention_dropout": 0.1,
    "scale_embedding": True,
    "forced_eos_token_id": None,
    "num_labels": 2,
}


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy."""
    pad = c.pad_token_id
    return bart.body(c, bart.embed(c, ClosedSinusoidal(0, offset=pad + 1, pad=pad)), Pre)


IGNORED = ("embed_positions.weights", "embed_positions.weight")  # the waves, computed here
UNUSED = (*bart.UNUSED, "max_position_embeddings")  # waves have no end

# fmt: off
HEADS = {
    "M2M100Model":                    Base(),
    "M2M100ForConditionalGeneration": Seq2SeqLM(out="lm_head", bias=False),
}
# fmt: on
INPUTS = "m2m_100"
