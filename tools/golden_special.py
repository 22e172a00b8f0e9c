"""The small checkpoints of architectures whose organs are their own (see `golden_variants`)."""

from __future__ import annotations

from golden_variants import Variant

_PROPHET = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_encoder_layers": 2,
    "num_decoder_layers": 2,
    "num_encoder_attention_heads": 3,
    "num_decoder_attention_heads": 4,
    "encoder_ffn_dim": 34,
    "decoder_ffn_dim": 30,
    "max_position_embeddings": 21,
    "num_buckets": 9,
    "relative_max_distance": 12,
}
_ONE = {"num_encoder_layers": 1, "num_decoder_layers": 1}

# fmt: off
VARIANTS = [
    Variant("prophetnet-far", "ProphetNetForConditionalGeneration", {**_PROPHET, "ngram": 3, "eps": 0.2, "activation_function": "relu"}, length=8, generate=True),
    Variant("prophetnet-untied", "ProphetNetForConditionalGeneration", {**_PROPHET, **_ONE, "ngram": 1, "tie_word_embeddings": False, "max_position_embeddings": 13}, padding="left", length=13, generate=True),
    Variant("prophetnet-model", "ProphetNetModel", {**_PROPHET, **_ONE, "pad_token_id": 3}),
    Variant("prophetnet-causal", "ProphetNetForCausalLM", {**_PROPHET, "disable_ngram_loss": True, "add_cross_attention": False, "is_encoder_decoder": False, "eps": 0.1}, padding="", generate=True),
]
# fmt: on
