"""The small checkpoints that tests compare against: which classes, with which settings.

Sizes are small, odd and unlike every default, so that a hard-coded value shows. Each row is a
name, a class of the reference, its settings, and what is asked of it beside a plain call.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Variant:
    """One tiny checkpoint and how it is called."""

    name: str
    model: str
    settings: dict[str, Any]
    padding: str = "right"
    length: int = 11
    labels: bool = True
    extra: dict[str, Any] = field(default_factory=dict)  # further arguments of the call
    types: bool = False
    chosen: bool = False  # some tokens see all others
    generate: bool = False
    fused: bool = False  # call the fused attention: the plain one of the reference adds alibi twice


_BERT = {
    "vocab_size": 61,
    "hidden_size": 30,
    "num_hidden_layers": 3,
    "num_attention_heads": 5,
    "intermediate_size": 44,
    "max_position_embeddings": 37,
    "type_vocab_size": 3,
    "layer_norm_eps": 1e-5,
}
_DISTIL = {
    "vocab_size": 53,
    "dim": 28,
    "n_layers": 3,
    "n_heads": 4,
    "hidden_dim": 50,
    "max_position_embeddings": 33,
}
_ALBERT = {**_BERT, "embedding_size": 14, "num_hidden_layers": 4, "num_hidden_groups": 2}
_GPT2 = {"vocab_size": 57, "n_positions": 40, "n_embd": 30, "n_layer": 3, "n_head": 5}
_GPT2 |= {"bos_token_id": 1, "eos_token_id": 2, "layer_norm_epsilon": 1e-4}
_FALCON = {
    "vocab_size": 59,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "ffn_hidden_size": 50,
    "layer_norm_epsilon": 1e-4,
}
_LLAMA = {
    "vocab_size": 63,
    "hidden_size": 30,
    "intermediate_size": 44,
    "num_hidden_layers": 3,
    "num_attention_heads": 5,
    "num_key_value_heads": 5,
    "max_position_embeddings": 24,
    "rms_norm_eps": 1e-5,
    "head_dim": 6,
}
_GROUPED = {**_LLAMA, "num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 10}
_MIXTRAL = {**_GROUPED, "hidden_size": 36, "num_local_experts": 5, "num_experts_per_tok": 3}
_T5 = {
    "vocab_size": 67,
    "d_model": 28,
    "d_kv": 6,
    "d_ff": 40,
    "num_layers": 3,
    "num_decoder_layers": 2,
    "num_heads": 5,
    "relative_attention_num_buckets": 10,
    "relative_attention_max_distance": 14,
    "layer_norm_epsilon": 1e-5,
    "decoder_start_token_id": 0,
}
_BART = {
    "vocab_size": 69,
    "d_model": 24,
    "encoder_layers": 3,
    "decoder_layers": 2,
    "encoder_attention_heads": 3,
    "decoder_attention_heads": 4,
    "encoder_ffn_dim": 40,
    "decoder_ffn_dim": 36,
    "max_position_embeddings": 38,
    "num_labels": 4,
}


def _rope(kind: str, **factors: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 700.0, **factors}}


_LONG = {"short_factor": [1.0, 1.5, 2.0], "long_factor": [2.0, 3.5, 5.0]}

# fmt: off
VARIANTS = [
    Variant("bert-relu", "BertModel", {**_BERT, "hidden_act": "relu"}, types=True),
    Variant("bert-left", "BertForTokenClassification", {**_BERT, "hidden_act": "silu", "type_vocab_size": 1}, padding="left"),
    Variant("bert-decoder", "BertLMHeadModel", {**_BERT, "is_decoder": True}, padding="left", generate=True),
    Variant("bert-untied", "BertForMaskedLM", {**_BERT, "tie_word_embeddings": False}),
    Variant("bert-regression", "BertForSequenceClassification", {**_BERT, "num_labels": 1}),
    Variant("bert-hardswish", "BertModel", {**_BERT, "num_hidden_layers": 1, "hidden_act": "hardswish"}),
    Variant("bert-pairs", "BertForNextSentencePrediction", _BERT, types=True),
    Variant("bert-pretraining", "BertForPreTraining", _BERT),
    Variant("distilbert-sinusoidal", "DistilBertForMaskedLM", {**_DISTIL, "sinusoidal_pos_embds": True}),
    Variant("distilbert-choice", "DistilBertForMultipleChoice", _DISTIL),
    Variant("distilbert-classes", "DistilBertForSequenceClassification", {**_DISTIL, "num_labels": 7, "activation": "relu"}),
    Variant("roberta-pad", "RobertaModel", {**_BERT, "pad_token_id": 5}, types=True),
    Variant("roberta-left", "RobertaForMaskedLM", {**_BERT, "pad_token_id": 1, "tie_word_embeddings": False}, padding="left"),
    Variant("roberta-causal", "RobertaForCausalLM", {**_BERT, "is_decoder": True, "pad_token_id": 1}, padding="left", generate=True),
    Variant("roberta-spans", "RobertaForQuestionAnswering", {**_BERT, "pad_token_id": 3}),
    Variant("albert-inner", "AlbertModel", {**_ALBERT, "inner_group_num": 2}),
    Variant("albert-groups", "AlbertForMaskedLM", {**_ALBERT, "num_hidden_groups": 3, "num_hidden_layers": 5, "hidden_act": "gelu"}),
    Variant("albert-pretraining", "AlbertForPreTraining", _ALBERT),
    Variant("albert-order", "AlbertForPreTraining", {**_ALBERT, "num_hidden_layers": 2, "num_labels": 3}, labels=False),
    Variant("gpt2-scales", "GPT2LMHeadModel", {**_GPT2, "scale_attn_by_inverse_layer_idx": True, "n_inner": 50, "reorder_and_upcast_attn": True}, padding="left", generate=True),
    Variant("gpt2-unscaled", "GPT2Model", {**_GPT2, "scale_attn_weights": False, "activation_function": "relu"}, types=True),
    Variant("gpt2-untied", "GPT2LMHeadModel", {**_GPT2, "tie_word_embeddings": False}),
    Variant("gpt2-classes", "GPT2ForSequenceClassification", {**_GPT2, "pad_token_id": 4, "num_labels": 5}),
    Variant("falcon-new", "FalconForCausalLM", {**_FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}, padding="left", generate=True),
    Variant("falcon-one-norm", "FalconModel", {**_FALCON, "new_decoder_architecture": True, "num_kv_heads": 2, "num_ln_in_parallel_attn": 1, "bias": True}),
    Variant("falcon-alibi", "FalconForCausalLM", {**_FALCON, "alibi": True, "parallel_attn": False, "multi_query": False, "bias": True}, padding="left", generate=True, fused=True),
    Variant("falcon-alibi-odd", "FalconModel", {**_FALCON, "alibi": True, "hidden_size": 36, "num_attention_heads": 6, "tie_word_embeddings": False}, fused=True),
    Variant("falcon-old", "FalconForTokenClassification", {**_FALCON, "activation": "gelu_new", "bias": True}),
    Variant("falcon-serial", "FalconModel", {**_FALCON, "parallel_attn": False, "multi_query": True}),
    Variant("llama-biases", "LlamaForCausalLM", {**_GROUPED, "attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True}, padding="left", generate=True),
    Variant("llama-one-kv", "LlamaModel", {**_LLAMA, "num_key_value_heads": 1, "hidden_act": "gelu", "head_dim": 8}),
    Variant("llama-linear", "LlamaModel", {**_LLAMA, **_rope("linear", factor=3.0)}, length=33),
    Variant("llama-dynamic", "LlamaForCausalLM", {**_LLAMA, **_rope("dynamic", factor=2.0)}, padding="", length=33),
    Variant("llama-yarn", "LlamaModel", {**_LLAMA, **_rope("yarn", factor=4.0, original_max_position_embeddings=12)}, length=33),
    Variant("llama-llama3", "LlamaModel", {**_LLAMA, **_rope("llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=16)}, length=33),
    Variant("llama-longrope", "LlamaModel", {**_LLAMA, **_rope("longrope", factor=2.0, original_max_position_embeddings=12, **_LONG)}, padding="", length=33),
    Variant("llama-shortrope", "LlamaModel", {**_LLAMA, **_rope("longrope", factor=2.0, original_max_position_embeddings=12, **_LONG)}, length=9),
    Variant("llama-spans", "LlamaForQuestionAnswering", _LLAMA),
    Variant("mixtral-window", "MixtralForCausalLM", {**_MIXTRAL, "sliding_window": 4}, padding="left", generate=True),
    Variant("mixtral-router", "MixtralForCausalLM", {**_MIXTRAL, "num_hidden_layers": 1, "num_experts_per_tok": 1, "hidden_act": "relu"}, extra={"output_router_logits": True}),
    Variant("mixtral-tokens", "MixtralForTokenClassification", {**_MIXTRAL, "num_hidden_layers": 1, "output_router_logits": True, "num_labels": 4}),
    Variant("t5-gated", "T5ForConditionalGeneration", {**_T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}, generate=True),
    Variant("t5-silu", "T5Model", {**_T5, "feed_forward_proj": "gated-silu"}, length=21),
    Variant("t5-tied", "T5ForConditionalGeneration", _T5, generate=True),
    Variant("t5-encoder", "T5EncoderModel", {**_T5, "feed_forward_proj": "gelu"}, padding="left", length=23),
    Variant("t5-classes", "T5ForSequenceClassification", {**_T5, "num_labels": 4}, padding=""),
    Variant("deberta-regression", "DebertaV2ForSequenceClassification", {**_BERT, "num_hidden_layers": 1, "num_labels": 1}),
    Variant("bart-scaled", "BartForConditionalGeneration", {**_BART, "scale_embedding": True, "activation_function": "relu"}, generate=True),
    Variant("bart-body", "BartModel", _BART),
    Variant("bart-classes", "BartForSequenceClassification", _BART, padding=""),
    Variant("bart-causal", "BartForCausalLM", {**_BART, "scale_embedding": True, "is_decoder": True, "is_encoder_decoder": False}, padding="", generate=True),
    Variant("bart-causal-left", "BartForCausalLM", {**_BART, "decoder_layers": 1, "is_decoder": True, "is_encoder_decoder": False}, padding="left", generate=True),
    Variant("bart-untied", "BartForConditionalGeneration", {**_BART, "tie_word_embeddings": False}, generate=True),
    Variant("bart-spans", "BartForQuestionAnswering", {**_BART, "activation_function": "gelu_new"}),
]
# fmt: on

from golden_decoders import VARIANTS as DECODERS  # noqa: E402
from golden_gpt import VARIANTS as GPT  # noqa: E402  it needs `Variant`
from golden_seq2seq import VARIANTS as SEQ2SEQ  # noqa: E402
from golden_special import VARIANTS as SPECIAL  # noqa: E402

VARIANTS += GPT
VARIANTS += DECODERS
VARIANTS += SEQ2SEQ
VARIANTS += SPECIAL
