"""BERT for generation (Rothe et al., 2019): BERT without segments, as an encoder or a decoder."""

from __future__ import annotations

from armature.arch import bert
from armature.config import Config
from armature.model.spec import Learned, Stack
from armature.outputs.tasks import Base, CausalLM

LIKE = bert
DEFAULTS = bert.DEFAULTS | {
    "vocab_size": 50358,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "type_vocab_size": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return bert.encoder(c, Learned(c.max_position_embeddings))


# fmt: off
ALIASES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias",
           "lm_head.decoder.bias": "lm_head.bias"}
UNUSED = ("classifier_dropout",)

HEADS = {
    "BertGenerationEncoder": Base(),
    "BertGenerationDecoder": CausalLM(out="lm_head.decoder",
                                      names={"head.out.bias": "lm_head.bias"},
                                      untied_bias="lm_head.decoder.bias"),
}
# fmt: on
INPUTS = "bert-generation"
