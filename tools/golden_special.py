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
_LONG = {
    "vocab_size": 61,
    "hidden_size": 24,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 34,
    "max_position_embeddings": 30,
    "attention_window": [4, 8, 4],
    "type_vocab_size": 3,
    "pad_token_id": 3,
}
_LED = {
    "vocab_size": 61,
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 1,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 3,
    "encoder_ffn_dim": 30,
    "decoder_ffn_dim": 32,
    "max_encoder_position_embeddings": 25,
    "max_decoder_position_embeddings": 22,
}
_FUNNEL = {
    "vocab_size": 61,
    "d_model": 24,
    "n_head": 3,
    "d_head": 6,
    "d_inner": 34,
    "block_sizes": [2, 1],
    "num_decoder_layers": 1,
    "type_vocab_size": 3,
}

# fmt: off
VARIANTS = [
    Variant("prophetnet-far", "ProphetNetForConditionalGeneration", {**_PROPHET, "ngram": 3, "eps": 0.2, "activation_function": "relu"}, length=8, generate=True),
    Variant("prophetnet-untied", "ProphetNetForConditionalGeneration", {**_PROPHET, **_ONE, "ngram": 1, "tie_word_embeddings": False, "max_position_embeddings": 13}, padding="left", length=13, generate=True),
    Variant("prophetnet-model", "ProphetNetModel", {**_PROPHET, **_ONE, "pad_token_id": 3}),
    Variant("longformer-model", "LongformerModel", {**_LONG, "hidden_act": "relu", "layer_norm_eps": 1e-3}, types=True, chosen=True),
    Variant("longformer-words", "LongformerForMaskedLM", {**_LONG, "tie_word_embeddings": False}, padding="left", chosen=True),
    Variant("longformer-classes", "LongformerForSequenceClassification", {**_LONG, "num_labels": 4}),
    Variant("longformer-choice", "LongformerForMultipleChoice", {**_LONG, "sep_token_id": 5, "num_hidden_layers": 1, "attention_window": 4}, types=True),
    Variant("longformer-question", "LongformerForQuestionAnswering", {**_LONG, "sep_token_id": 5, "num_hidden_layers": 1, "attention_window": 4}),
    Variant("funnel-model", "FunnelModel", {**_FUNNEL, "block_sizes": [1, 1, 1], "block_repeats": [1, 2, 1], "truncate_seq": False}, length=10, types=True),
    Variant("funnel-words", "FunnelForMaskedLM", {**_FUNNEL, "separate_cls": False, "pooling_type": "max", "attention_type": "factorized", "hidden_act": "relu", "tie_word_embeddings": False}),
    Variant("funnel-halves", "FunnelBaseModel", {**_FUNNEL, "pool_q_only": False, "layer_norm_eps": 1e-3}, types=True),
    Variant("funnel-replaced", "FunnelForPreTraining", {**_FUNNEL, "block_sizes": [1], "num_decoder_layers": 0}),
    Variant("funnel-choice", "FunnelForMultipleChoice", {**_FUNNEL, "block_sizes": [1, 1]}),
    Variant("led-chosen", "LEDModel", {**_LED, "attention_window": [8, 4]}, chosen=True),
    Variant("prophetnet-causal", "ProphetNetForCausalLM", {**_PROPHET, "disable_ngram_loss": True, "add_cross_attention": False, "is_encoder_decoder": False, "eps": 0.1}, padding="", generate=True),
]
# fmt: on
