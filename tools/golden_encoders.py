"""The small checkpoints of further encoders (see `golden_variants`)."""

from __future__ import annotations

from golden_variants import Variant

_BERT = {
    "vocab_size": 61,
    "hidden_size": 30,
    "num_hidden_layers": 2,
    "num_attention_heads": 5,
    "intermediate_size": 34,
    "max_position_embeddings": 27,
    "type_vocab_size": 3,
    "layer_norm_eps": 1e-5,
}

# fmt: off
VARIANTS = [
    Variant("xlm-roberta-left", "XLMRobertaForMaskedLM", {**_BERT, "pad_token_id": 3, "hidden_act": "relu"}, padding="left"),
    Variant("xlm-roberta-causal", "XLMRobertaForCausalLM", {**_BERT, "is_decoder": True, "tie_word_embeddings": False}, padding="left", generate=True),
    Variant("camembert-classes", "CamembertForSequenceClassification", {**_BERT, "num_labels": 1, "classifier_dropout": 0.2}),
    Variant("camembert-body", "CamembertModel", {**_BERT, "pad_token_id": 5}, types=True),
]
# fmt: on
