"""mT5 (Xue et al., 2020): T5 as its version 1.1 has it, gated, its words' scores never scaled."""

from __future__ import annotations

from armature.arch import t5
from armature.outputs.tasks import Seq2SeqLM

LIKE = t5
DEFAULTS = t5.DEFAULTS | {
    "vocab_size": 250112,
    "d_ff": 1024,
    "num_layers": 8,
    "num_heads": 6,
    "feed_forward_proj": "gated-gelu",
    "decoder_start_token_id": 0,
}
UNUSED = (*t5.UNUSED, "scale_decoder_outputs")

# fmt: off
HEADS = {
    "MT5Model":                     t5.HEADS["T5Model"],
    "MT5EncoderModel":              t5.HEADS["T5EncoderModel"],
    # HF: tied whatever the config says, unless the file has two tables that differ.
    "MT5ForConditionalGeneration":  Seq2SeqLM(out="lm_head", bias=False, tied=lambda _: True),
    "MT5ForSequenceClassification": t5.HEADS["T5ForSequenceClassification"],
    "MT5ForTokenClassification":    t5.HEADS["T5ForTokenClassification"],
    "MT5ForQuestionAnswering":      t5.HEADS["T5ForQuestionAnswering"],
}
# fmt: on
INPUTS = "mt5"
