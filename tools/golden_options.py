"""Small checkpoints whose settings differ from every published one."""

from __future__ import annotations

from golden_variants import _BART, _BERT, _GROUPED, Variant

_MOBILE = {
    **_BERT,
    "num_hidden_layers": 2,
    "hidden_size": 26,
    "embedding_size": 14,
    "intra_bottleneck_size": 20,
    "num_attention_heads": 4,
    "normalization_type": "layer_norm",
    "classifier_activation": False,
}
_MPNET = {key: value for key, value in _BERT.items() if key != "type_vocab_size"}
_UNEVEN = {key: value for key, value in _GROUPED.items() if key != "head_dim"}
_UNEVEN |= {"hidden_size": 40}  # six heads of six: narrower together than the states

# fmt: off
VARIANTS = [
    Variant("mobilebert-raw", "MobileBertModel", _MOBILE, types=True),
    Variant("mobilebert-raw-order", "MobileBertForPreTraining", _MOBILE),
    Variant("mpnet-other-pad", "MPNetForTokenClassification", {**_MPNET, "pad_token_id": 4}, padding="left"),
    Variant("roformer-columns", "RoFormerForCausalLM", {**_BERT, "is_decoder": True, "rotary_value": True, "hidden_size": 20}, padding="left", generate=True),
    Variant("qwen2-uneven", "Qwen2ForCausalLM", {**_UNEVEN, "use_sliding_window": True, "max_window_layers": 1, "sliding_window": 4}, padding="left", generate=True),
    Variant("bart-unforced", "BartForConditionalGeneration", {**_BART, "forced_eos_token_id": None}, generate=True),
]
# fmt: on
