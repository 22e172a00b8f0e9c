"""Small checkpoints of decoders from GPT-NeoX to MPT, with options unlike their defaults.

The folders of Transformer-XL are not made here: release 4.37 of the reference, which made them, was
among the last that had it.
"""

from __future__ import annotations

from golden_variants import Variant

_NEOX = {
    "vocab_size": 61,
    "hidden_size": 36,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 50,
    "max_position_embeddings": 40,
    "layer_norm_eps": 1e-4,
}
_NEO = {
    "vocab_size": 59,
    "hidden_size": 30,
    "num_layers": 3,
    "num_heads": 5,
    "max_position_embeddings": 40,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "window_size": 3,
    "attention_types": [[["local"], 1], [["global", "local"], 1]],
}
_GPTJ = {"vocab_size": 57, "n_embd": 40, "n_layer": 2, "n_head": 4, "n_positions": 40}
_GPTJ |= {"bos_token_id": 1, "eos_token_id": 2, "rotary_dim": 6, "layer_norm_epsilon": 1e-4}
_CODEGEN = {**_GPTJ, "n_layer": 1, "pad_token_id": 3}
_OPT = {
    "vocab_size": 61,
    "hidden_size": 30,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "ffn_dim": 37,
    "max_position_embeddings": 40,
}
_BLOOM = {"vocab_size": 61, "hidden_size": 36, "n_layer": 2, "n_head": 6}
_BLOOM |= {"layer_norm_epsilon": 1e-4}
_GPT = {"vocab_size": 61, "n_embd": 30, "n_layer": 2, "n_head": 5, "n_positions": 40}
_GPT |= {"layer_norm_epsilon": 1e-4}
_CTRL = {**_GPT, "n_embd": 35, "dff": 44}
_BIGCODE = {**_GPT, "bos_token_id": 1, "eos_token_id": 2}
_BIO = {
    "vocab_size": 61,
    "hidden_size": 30,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "intermediate_size": 44,
    "max_position_embeddings": 40,
    "layer_norm_eps": 1e-2,
}
_MPT = {"vocab_size": 61, "d_model": 30, "n_layers": 2, "n_heads": 5, "max_seq_len": 40}
_MPT |= {"layer_norm_epsilon": 1e-4}
_CLIPPED = {"clip_qkv": 0.5, "softmax_scale": 0.3, "alibi": False, "alibi_bias_max": 4}


def _turned(kind: str, share: float, **factors: float) -> dict[str, object]:
    settings = {"rope_type": kind, "rope_theta": 300.0, "partial_rotary_factor": share, **factors}
    return {"rope_parameters": settings}


# fmt: off
VARIANTS = [
    Variant("gpt_neox-odd", "GPTNeoXForCausalLM", _NEOX, padding="left", generate=True),
    Variant("gpt_neox-serial", "GPTNeoXModel", {**_NEOX, "use_parallel_residual": False, "attention_bias": False, **_turned("linear", 0.5, factor=3.0)}),
    Variant("gpt_neox-tied", "GPTNeoXForCausalLM", {**_NEOX, "hidden_act": "relu", "tie_word_embeddings": True, **_turned("default", 1.0)}),
    Variant("gpt_neox-classes", "GPTNeoXForSequenceClassification", {**_NEOX, "pad_token_id": 3, "num_labels": 4}),
    Variant("gpt_neo-windows", "GPTNeoForCausalLM", _NEO, padding="left", generate=True),
    Variant("gpt_neo-types", "GPTNeoModel", {**_NEO, "intermediate_size": 37, "activation_function": "silu", "window_size": 1}, types=True),
    Variant("gpt_neo-tokens", "GPTNeoForTokenClassification", {**_NEO, "tie_word_embeddings": False, "num_labels": 4}),
    Variant("gptj-left", "GPTJForCausalLM", _GPTJ, padding="left", generate=True),
    Variant("gptj-tied", "GPTJForCausalLM", {**_GPTJ, "tie_word_embeddings": True, "rotary_dim": 10, "n_inner": 33, "activation_function": "relu"}, types=True),
    Variant("gptj-spans", "GPTJForQuestionAnswering", {**_GPTJ, "rotary_dim": 2}),
    Variant("codegen-left", "CodeGenForCausalLM", {**_CODEGEN, "n_head": 8, "n_embd": 48}, padding="left", generate=True),
    Variant("codegen-tied", "CodeGenForCausalLM", {**_CODEGEN, "tie_word_embeddings": True, "rotary_dim": 10, "n_inner": 33}),
    Variant("opt-left", "OPTForCausalLM", {**_OPT, "pad_token_id": 3}, padding="left", generate=True),
    Variant("opt-narrow", "OPTForCausalLM", {**_OPT, "word_embed_proj_dim": 22, "do_layer_norm_before": False}, padding="left", generate=True),
    Variant("opt-bare", "OPTForSequenceClassification", {**_OPT, "word_embed_proj_dim": 12, "layer_norm_elementwise_affine": False, "enable_bias": False, "num_labels": 4, "activation_function": "gelu"}),
    Variant("opt-endless", "OPTModel", {**_OPT, "_remove_final_layer_norm": True, "tie_word_embeddings": False}),
    Variant("bloom-six", "BloomForCausalLM", _BLOOM, padding="left", generate=True),
    Variant("bloom-normed", "BloomForCausalLM", {**_BLOOM, "apply_residual_connection_post_layernorm": True, "tie_word_embeddings": False}, padding="left", generate=True),
    Variant("bloom-sliced", "BloomForTokenClassification", {**_BLOOM, "slow_but_exact": True, "pretraining_tp": 3, "num_labels": 4}),
    Variant("openai_gpt-left", "OpenAIGPTLMHeadModel", {**_GPT, "afn": "silu"}, padding="left", generate=True),
    Variant("openai_gpt-types", "OpenAIGPTModel", {**_GPT, "afn": "relu"}, types=True),
    Variant("openai_gpt-classes", "OpenAIGPTForSequenceClassification", {**_GPT, "pad_token_id": 3, "num_labels": 1}),
    Variant("ctrl-left", "CTRLLMHeadModel", _CTRL, padding="left", generate=True),
    Variant("ctrl-types", "CTRLLMHeadModel", {**_CTRL, "tie_word_embeddings": False, "layer_norm_epsilon": 0.1}, types=True),
    Variant("ctrl-classes", "CTRLForSequenceClassification", {**_CTRL, "pad_token_id": 3, "num_labels": 4}),
    Variant("gpt_bigcode-one", "GPTBigCodeForCausalLM", _BIGCODE, padding="left", generate=True),
    Variant("gpt_bigcode-many", "GPTBigCodeForTokenClassification", {**_BIGCODE, "multi_query": False, "tie_word_embeddings": False, "n_inner": 44, "num_labels": 4}),
    Variant("gpt_bigcode-unscaled", "GPTBigCodeModel", {**_BIGCODE, "scale_attn_weights": False, "activation_function": "relu"}, types=True),
    Variant("biogpt-left", "BioGptForCausalLM", {**_BIO, "scale_embedding": False, "tie_word_embeddings": False}, padding="left", generate=True),
    Variant("biogpt-classes", "BioGptForSequenceClassification", {**_BIO, "pad_token_id": 4, "num_labels": 1, "hidden_act": "relu"}),
    Variant("biogpt-tokens", "BioGptForTokenClassification", {**_BIO, "num_labels": 4}),
    Variant("mpt-left", "MptForCausalLM", _MPT, padding="left", generate=True),
    Variant("mpt-clipped", "MptForCausalLM", {**_MPT, "attn_config": _CLIPPED, "tie_word_embeddings": False, "expansion_ratio": 2}, padding="left", generate=True),
    Variant("mpt-classes", "MptForSequenceClassification", {**_MPT, "pad_token_id": 3, "num_labels": 4, "no_bias": False}),
]
# fmt: on
