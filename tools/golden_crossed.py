"""Small checkpoints that attend to states from elsewhere, and those with two heads."""

from __future__ import annotations

from golden_variants import Variant

_BERT = {
    "vocab_size": 53,
    "hidden_size": 30,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "intermediate_size": 37,
    "max_position_embeddings": 40,
    "layer_norm_eps": 1e-5,
    "is_decoder": True,
    "add_cross_attention": True,
}
_GPT2 = {"vocab_size": 51, "n_positions": 40, "n_embd": 30, "n_layer": 2, "n_head": 5}
_GPT2 |= {"bos_token_id": 1, "eos_token_id": 2, "layer_norm_epsilon": 1e-4}
_GPT = {"vocab_size": 53, "n_positions": 40, "n_embd": 28, "n_layer": 2, "n_head": 4}

VARIANTS = [
    Variant("bert-crossed", "BertLMHeadModel", {**_BERT, "hidden_act": "relu"}, padding=""),
    Variant("roberta-crossed", "RobertaModel", {**_BERT, "pad_token_id": 4}, padding=""),
    Variant(
        "electra-crossed",
        "ElectraForCausalLM",
        {**_BERT, "embedding_size": 17, "tie_word_embeddings": False},
        padding="",
    ),
    Variant(
        "gpt2-crossed",
        "GPT2LMHeadModel",
        {**_GPT2, "add_cross_attention": True, "scale_attn_by_inverse_layer_idx": True},
        padding="",
        generate=True,
    ),
    Variant(
        "gpt2-double",
        "GPT2DoubleHeadsModel",
        {**_GPT2, "summary_activation": "tanh"},
        padding="",
        length=8,
        types=True,
    ),
    Variant(
        "openai_gpt-double",
        "OpenAIGPTDoubleHeadsModel",
        {**_GPT, "tie_word_embeddings": False},
        padding="",
        length=8,
    ),
]
