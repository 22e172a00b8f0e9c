"""The small checkpoints of further encoder-decoders (see `golden_variants`)."""

from __future__ import annotations

from golden_variants import Variant

_BART = {
    "vocab_size": 63,
    "d_model": 24,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 36,
    "max_position_embeddings": 29,
}
_HALF = {"is_decoder": True, "is_encoder_decoder": False}
_ODD = {"d_model": 21, "decoder_attention_heads": 7}
_MBART = {**_BART, "decoder_start_token_id": 5}
_MARIAN = {**_BART, "pad_token_id": 4, "decoder_start_token_id": 4, "eos_token_id": 2}
_APART = {"share_encoder_decoder_embeddings": False, "decoder_vocab_size": 71}
_M2M = {**_BART, "decoder_layers": 1, "pad_token_id": 3}
_MT5 = {
    "vocab_size": 67,
    "d_model": 28,
    "d_kv": 6,
    "d_ff": 40,
    "num_layers": 2,
    "num_heads": 5,
    "relative_attention_num_buckets": 10,
    "relative_attention_max_distance": 14,
}
_LONGT5 = {**_MT5, "local_radius": 2, "decoder_start_token_id": 4}
_LED = {key: value for key, value in _BART.items() if key != "max_position_embeddings"}
_LED |= {"max_encoder_position_embeddings": 25, "max_decoder_position_embeddings": 22}
_SUMS = {"encoder_attention_type": "transient-global"}
_JOINED = {"vocab_size": 63, "pad_token_id": 3, "decoder_start_token_id": 4, "eos_token_id": 2}
_WRITES = {"is_decoder": True, "add_cross_attention": True}
_BERT = {
    "model_type": "bert",
    "vocab_size": 63,
    "hidden_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 3,
    "intermediate_size": 34,
    "max_position_embeddings": 27,
    "type_vocab_size": 3,
}
_ROBERTA = {**_BERT, "model_type": "roberta", "hidden_size": 30, "pad_token_id": 3}
_GPT2 = {"model_type": "gpt2", "vocab_size": 63, "n_positions": 40, "n_embd": 24, "n_head": 3}
_GPT2 |= {"n_layer": 2, "scale_attn_by_inverse_layer_idx": True}

# fmt: off
VARIANTS = [
    Variant("mbart-scaled", "MBartForConditionalGeneration", {**_MBART, "scale_embedding": True, "activation_function": "relu"}, generate=True),
    Variant("mbart-untied", "MBartModel", {**_MBART, "encoder_layers": 1, "decoder_layers": 1, "tie_word_embeddings": False}, padding="left"),
    Variant("mbart-spans", "MBartForQuestionAnswering", {**_MBART, "encoder_layers": 1, "pad_token_id": 3}),
    Variant("mbart-causal", "MBartForCausalLM", {**_MBART, **_HALF}, padding="left", generate=True),
    Variant("mt5-gated", "MT5ForConditionalGeneration", {**_MT5, "layer_norm_epsilon": 1e-5}, generate=True),
    Variant("mt5-dense", "MT5ForConditionalGeneration", {**_MT5, "feed_forward_proj": "relu", "num_decoder_layers": 1}, padding="left", generate=True),
    Variant("mt5-tokens", "MT5ForTokenClassification", {**_MT5, "feed_forward_proj": "gated-silu", "num_labels": 4}),
    Variant("marian-apart", "MarianMTModel", {**_MARIAN, **_APART, "scale_embedding": True, "activation_function": "swish"}, generate=True),
    Variant("marian-odd", "MarianModel", {**_MARIAN, **_ODD}, padding="left"),
    Variant("marian-untied", "MarianMTModel", {**_MARIAN, "encoder_layers": 1, "decoder_layers": 1, "tie_word_embeddings": False}, generate=True),
    Variant("marian-causal", "MarianForCausalLM", {**_MARIAN, **_HALF, "scale_embedding": True}, padding="left", generate=True),
    Variant("pegasus-scaled", "PegasusForConditionalGeneration", {**_BART, "scale_embedding": True, "activation_function": "relu"}, generate=True),
    Variant("pegasus-odd", "PegasusModel", {**_BART, **_ODD}, padding="left"),
    Variant("pegasus-causal", "PegasusForCausalLM", {**_BART, **_HALF, "tie_word_embeddings": False}, padding="left", generate=True),
    Variant("m2m-unscaled", "M2M100ForConditionalGeneration", {**_M2M, "scale_embedding": False, "activation_function": "gelu", "decoder_start_token_id": 3}, generate=True),
    Variant("m2m-odd", "M2M100Model", {**_M2M, **_ODD, "max_position_embeddings": 4}, padding="left"),
    Variant("m2m-untied", "M2M100ForConditionalGeneration", {**_M2M, "tie_word_embeddings": False}, generate=True),
    Variant("blenderbot-scaled", "BlenderbotForConditionalGeneration", {**_BART, "scale_embedding": True, "activation_function": "relu"}, generate=True),
    Variant("blenderbot-causal", "BlenderbotForCausalLM", {**_BART, **_HALF}, padding="left", generate=True),
    Variant("blenderbot-small-scaled", "BlenderbotSmallForConditionalGeneration", {**_BART, "scale_embedding": True}, generate=True),
    Variant("blenderbot-small-untied", "BlenderbotSmallModel", {**_BART, "tie_word_embeddings": False}, padding="left"),
    Variant("encoder-decoder-roberta", "EncoderDecoderModel", {**_JOINED, "encoder": _BERT, "decoder": {**_ROBERTA, **_WRITES}}, padding="left", generate=True),
    Variant("encoder-decoder-gpt2", "EncoderDecoderModel", {**_JOINED, "encoder": _BERT, "decoder": {**_GPT2, **_WRITES}}, generate=True),
    Variant("encoder-decoder-bart", "EncoderDecoderModel", {**_JOINED, "encoder": _ROBERTA, "decoder": {**_BART, **_HALF, "model_type": "bart", "decoder_layers": 1}}, generate=True),
    Variant("longt5-near", "LongT5ForConditionalGeneration", {**_LONGT5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, generate=True),
    Variant("longt5-sums", "LongT5ForConditionalGeneration", {**_LONGT5, **_SUMS, "global_block_size": 3}, padding="left", generate=True),
    Variant("longt5-encoder", "LongT5EncoderModel", {**_LONGT5, "feed_forward_proj": "gated-silu"}),
    Variant("led-windows", "LEDForConditionalGeneration", {**_LED, "attention_window": [4, 8], "activation_function": "relu"}, padding="left", generate=True),
    Variant("led-untied", "LEDModel", {**_LED, "encoder_layers": 1, "decoder_layers": 1, "attention_window": 6, "tie_word_embeddings": False}),
    Variant("blenderbot-small-causal", "BlenderbotSmallForCausalLM", {**_BART, **_HALF}, padding="left", generate=True),
]
# fmt: on
