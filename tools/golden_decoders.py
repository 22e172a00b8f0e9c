"""The small checkpoints of further decoders (see `golden_variants`)."""

from __future__ import annotations

from typing import Any

from golden_variants import Variant

_PLAIN = {
    "vocab_size": 61,
    "hidden_size": 36,
    "intermediate_size": 44,
    "num_hidden_layers": 3,
    "num_attention_heads": 6,
    "num_key_value_heads": 2,
    "max_position_embeddings": 24,
    "rms_norm_eps": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
_WIDE = {**_PLAIN, "head_dim": 10}
_TURNED = {key: value for key, value in _PLAIN.items() if key != "rms_norm_eps"}
_TURNED |= {"hidden_size": 48, "pad_token_id": 3}
_ROUTED = {**_PLAIN, "moe_intermediate_size": 16, "num_experts": 5, "num_experts_per_tok": 3}
_FACTORS = {
    "embedding_multiplier": 2.5,
    "attention_multiplier": 0.2,
    "residual_multiplier": 0.3,
    "logits_scaling": 3,
}
_LATE = {"use_sliding_window": True, "sliding_window": 4}
_NEAR = {"query_pre_attn_scalar": 20, "sliding_window": 4}
_TURNS = {
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 900.0},
    "sliding_attention": {"rope_type": "default", "rope_theta": 90.0},
}
_MIXED = ["sliding_attention", "full_attention", "sliding_attention"]


def _rope(kind: str, **factors: Any) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 700.0, **factors}}


# fmt: off
VARIANTS = [
    Variant("mistral-everything", "MistralForCausalLM", {**_WIDE, "sliding_window": None, "hidden_act": "gelu"}, padding="left", generate=True),
    Variant("mistral-window", "MistralForCausalLM", {**_PLAIN, "sliding_window": 4, "tie_word_embeddings": True}, padding="left", generate=True),
    Variant("mistral-spans", "MistralForQuestionAnswering", {**_WIDE, "num_hidden_layers": 1, **_rope("linear", factor=3.0)}),
    Variant("qwen2-late", "Qwen2ForCausalLM", {**_PLAIN, **_LATE, "max_window_layers": 1, "tie_word_embeddings": True}, padding="left", generate=True),
    Variant("qwen2-mixed", "Qwen2ForTokenClassification", {**_PLAIN, **_LATE, "layer_types": _MIXED, "hidden_act": "relu", "num_labels": 4}),
    Variant("qwen2-spans", "Qwen2ForQuestionAnswering", {**_PLAIN, "num_hidden_layers": 1, "num_key_value_heads": 1}),
    Variant("qwen3-late", "Qwen3ForCausalLM", {**_WIDE, **_LATE, "max_window_layers": 2, "attention_bias": True}, padding="left", generate=True),
    Variant("qwen3-classes", "Qwen3ForSequenceClassification", {**_WIDE, "num_hidden_layers": 1, "pad_token_id": 3, "num_labels": 5, **_rope("yarn", factor=4.0, original_max_position_embeddings=12)}),
    Variant("gemma-untied", "GemmaForCausalLM", {**_WIDE, "num_hidden_layers": 2, "tie_word_embeddings": False, "attention_bias": True, "hidden_act": "gelu"}, padding="left", generate=True),
    Variant("gemma-one-kv", "GemmaForTokenClassification", {**_WIDE, "num_hidden_layers": 1, "num_key_value_heads": 1, "pad_token_id": 3, **_rope("linear", factor=3.0)}),
    Variant("gemma2-uncapped", "Gemma2ForCausalLM", {**_WIDE, **_NEAR, "attn_logit_softcapping": None, "final_logit_softcapping": None}, padding="left", generate=True),
    Variant("gemma2-classes", "Gemma2ForSequenceClassification", {**_WIDE, **_NEAR, "num_hidden_layers": 2, "attn_logit_softcapping": 3.0, "layer_types": _MIXED[1:], "num_labels": 4}),
    Variant("gemma3-turns", "Gemma3ForCausalLM", {**_WIDE, **_NEAR, "layer_types": _MIXED, "tie_word_embeddings": False, "rope_parameters": _TURNS}, padding="left", generate=True),
    Variant("gemma3-both-sides", "Gemma3TextModel", {**_WIDE, **_NEAR, "num_hidden_layers": 2, "sliding_window": 6, "use_bidirectional_attention": True, "sliding_window_pattern": 2, "attention_bias": True}, padding="left"),
    Variant("gemma3-classes", "Gemma3TextForSequenceClassification", {**_WIDE, **_NEAR, "num_hidden_layers": 1, "hidden_activation": "silu", "num_labels": 4}),
    Variant("phi3-part", "Phi3ForCausalLM", {**_TURNED, "rms_norm_eps": 1e-5, "sliding_window": 4, "tie_word_embeddings": True, **_rope("default", partial_rotary_factor=0.5)}, padding="left", generate=True),
    Variant("phi3-long", "Phi3Model", {**_TURNED, "num_hidden_layers": 2, "original_max_position_embeddings": 8, **_rope("longrope", short_factor=[1.0, 1.5, 2.0, 2.5], long_factor=[2.0, 3.0, 5.0, 6.0])}, padding=""),
    Variant("phi3-grows", "Phi3ForCausalLM", {**_TURNED, "num_hidden_layers": 2, "original_max_position_embeddings": 13, **_rope("longrope", short_factor=[1.0, 1.5, 2.0, 2.5], long_factor=[9.0, 13.0, 25.0, 36.0])}, padding="", generate=True),
    Variant("phi3-classes", "Phi3ForSequenceClassification", {**_TURNED, "num_hidden_layers": 1, "num_key_value_heads": None, "hidden_act": "relu", "num_labels": 4}),
    Variant("phi-norms", "PhiForCausalLM", {**_TURNED, "layer_norm_eps": 1e-4, "qk_layernorm": True, "tie_word_embeddings": True}, padding="left", generate=True),
    Variant("phi-quarter", "PhiForCausalLM", {**_TURNED, "num_hidden_layers": 1, "num_key_value_heads": None, "hidden_act": "relu", **_rope("linear", factor=3.0, partial_rotary_factor=0.25)}),
    Variant("olmo2-biases", "Olmo2ForCausalLM", {**_WIDE, "attention_bias": True, "tie_word_embeddings": True}, padding="left", generate=True),
    Variant("olmo2-classes", "Olmo2ForSequenceClassification", {**_PLAIN, "num_hidden_layers": 1, "num_key_value_heads": 6, "hidden_act": "gelu", "pad_token_id": 3, "num_labels": 4}),
    Variant("stablelm-parallel", "StableLmForCausalLM", {**_TURNED, "use_qkv_bias": True, "qk_layernorm": True, "use_parallel_residual": True}, padding="left", generate=True),
    Variant("stablelm-serial", "StableLmForTokenClassification", {**_TURNED, "num_hidden_layers": 1, "qk_layernorm": True, "partial_rotary_factor": 0.5, "hidden_dropout": 0.2, "num_labels": 4}),
    Variant("starcoder2-window", "Starcoder2ForCausalLM", {**_TURNED, "norm_epsilon": 1e-4, "sliding_window": 4, "use_bias": False, "tie_word_embeddings": False}, padding="left", generate=True),
    Variant("starcoder2-classes", "Starcoder2ForSequenceClassification", {**_TURNED, "num_hidden_layers": 1, "hidden_act": "silu", "pad_token_id": 3, "num_labels": 4}),
    Variant("qwen2_moe-sparse", "Qwen2MoeForCausalLM", {**_ROUTED, "shared_expert_intermediate_size": 28, "mlp_only_layers": [1], "norm_topk_prob": True, "qkv_bias": False, **_LATE, "max_window_layers": 2}, padding="left", generate=True),
    Variant("qwen2_moe-router", "Qwen2MoeForCausalLM", {**_ROUTED, "num_hidden_layers": 2, "shared_expert_intermediate_size": 20, "hidden_act": "relu", "tie_word_embeddings": True}, extra={"output_router_logits": True}),
    Variant("qwen3_moe-sparse", "Qwen3MoeForCausalLM", {**_ROUTED, "num_hidden_layers": 2, "head_dim": 10, "decoder_sparse_step": 2, "attention_bias": True, **_LATE}, padding="left", generate=True),
    Variant("qwen3_moe-router", "Qwen3MoeForCausalLM", {**_ROUTED, "num_hidden_layers": 1, "head_dim": 8, "norm_topk_prob": True, "router_aux_loss_coef": 0.5}, extra={"output_router_logits": True}),
    Variant("qwen3_moe-spans", "Qwen3MoeForQuestionAnswering", {**_ROUTED, "num_hidden_layers": 1, "head_dim": 10}),
    Variant("granite-factors", "GraniteForCausalLM", {**_PLAIN, **_FACTORS, "attention_bias": True, "mlp_bias": True}, padding="left", generate=True),
    Variant("granite-tied", "GraniteForCausalLM", {**_WIDE, **_FACTORS, "num_hidden_layers": 1, "num_key_value_heads": 6, "hidden_act": "relu", "tie_word_embeddings": True}),
    Variant("cohere-norms", "CohereForCausalLM", {**_TURNED, "use_qk_norm": True, "attention_bias": True, "tie_word_embeddings": False, "logit_scale": 1.3}, padding="left", generate=True),
    Variant("cohere-plain", "CohereForCausalLM", {**_TURNED, "num_hidden_layers": 1, "num_key_value_heads": None, "hidden_act": "gelu", "layer_norm_eps": 1e-3, **_rope("linear", factor=3.0)}),
]
# fmt: on
