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
_PLAIN = {key: value for key, value in _BERT.items() if key != "type_vocab_size"}
_ELECTRA = {**_BERT, "embedding_size": 14}
_DEBERTA = {**_PLAIN, "relative_attention": True, "position_biased_input": False}

# fmt: off
VARIANTS = [
    Variant("xlm-roberta-left", "XLMRobertaForMaskedLM", {**_BERT, "pad_token_id": 3, "hidden_act": "relu"}, padding="left"),
    Variant("xlm-roberta-causal", "XLMRobertaForCausalLM", {**_BERT, "is_decoder": True, "tie_word_embeddings": False}, padding="left", generate=True),
    Variant("camembert-classes", "CamembertForSequenceClassification", {**_BERT, "num_labels": 1, "classifier_dropout": 0.2}),
    Variant("camembert-body", "CamembertModel", {**_BERT, "pad_token_id": 5}, types=True),
    Variant("electra-detector", "ElectraForPreTraining", {**_ELECTRA, "hidden_act": "relu"}),
    Variant("electra-untied", "ElectraForMaskedLM", {**_ELECTRA, "tie_word_embeddings": False}, types=True),
    Variant("electra-choice", "ElectraForMultipleChoice", {**_ELECTRA, "summary_type": "cls_index", "summary_activation": "tanh"}, padding=""),
    Variant("electra-causal", "ElectraForCausalLM", {**_ELECTRA, "embedding_size": 30, "is_decoder": True}, padding="left", generate=True),
    Variant("bert-generation-decoder", "BertGenerationDecoder", {**_PLAIN, "is_decoder": True}, padding="left", generate=True),
    Variant("bert-generation-encoder", "BertGenerationEncoder", {**_PLAIN, "hidden_act": "silu"}),
    Variant("mpnet-long", "MPNetModel", {**_PLAIN, "num_hidden_layers": 1, "relative_attention_num_buckets": 35, "max_position_embeddings": 60}, length=42),
    Variant("mpnet-words", "MPNetForMaskedLM", {**_PLAIN, "tie_word_embeddings": False, "hidden_act": "relu"}, padding="left"),
    Variant("mpnet-classes", "MPNetForSequenceClassification", {**_PLAIN, "num_labels": 4}),
    Variant("layoutlm-body", "LayoutLMModel", {**_BERT, "num_hidden_layers": 1, "max_2d_position_embeddings": 41}, types=True),
    Variant("layoutlm-words", "LayoutLMForMaskedLM", {**_BERT, "tie_word_embeddings": False, "max_2d_position_embeddings": 25}, padding="left"),
    Variant("layoutlm-tokens", "LayoutLMForTokenClassification", {**_BERT, "num_labels": 4, "hidden_act": "silu", "max_2d_position_embeddings": 19}),
    Variant("roformer-values", "RoFormerModel", {**_ELECTRA, "rotary_value": True}, types=True),
    Variant("roformer-untied", "RoFormerForMaskedLM", {**_BERT, "tie_word_embeddings": False, "hidden_act": "relu"}, padding="left"),
    Variant("roformer-causal", "RoFormerForCausalLM", {**_ELECTRA, "is_decoder": True}, padding="", generate=True),
    Variant("roformer-classes", "RoFormerForSequenceClassification", {**_BERT, "num_labels": 4, "hidden_act": "silu"}),
    Variant("deberta-both", "DebertaModel", {**_DEBERTA, "pos_att_type": ["c2p", "p2c"], "type_vocab_size": 3, "max_relative_positions": 5}, types=True),
    Variant("deberta-biased", "DebertaForMaskedLM", {**_DEBERTA, "pos_att_type": ["p2c"], "position_biased_input": True, "hidden_act": "relu"}, padding="left"),
    Variant("deberta-later-head", "DebertaForMaskedLM", {**_DEBERTA, "pos_att_type": ["c2p"], "legacy": False, "num_hidden_layers": 1}),
    Variant("deberta-classes", "DebertaForSequenceClassification", {**_DEBERTA, "pos_att_type": ["c2p", "p2c"], "num_labels": 4, "pooler_hidden_act": "tanh"}),
]
# fmt: on
