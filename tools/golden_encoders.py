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
_XLM = {
    "vocab_size": 61,
    "emb_dim": 30,
    "n_layers": 2,
    "n_heads": 5,
    "max_position_embeddings": 27,
    "layer_norm_eps": 1e-5,
}
_XLNET = {
    "vocab_size": 61,
    "d_model": 30,
    "n_layer": 2,
    "n_head": 5,
    "d_inner": 34,
    "layer_norm_eps": 1e-5,
}
_CONV = {
    **_ELECTRA,
    "hidden_size": 24,
    "num_attention_heads": 4,
    "intermediate_size": 32,
    "conv_kernel_size": 5,
}
_SQUEEZE = {
    **_BERT,
    "hidden_size": 24,
    "embedding_size": 24,
    "num_attention_heads": 4,
    "intermediate_size": 32,
}
_MOBILE = {
    **_BERT,
    "hidden_size": 24,
    "embedding_size": 10,
    "intra_bottleneck_size": 16,
    "num_attention_heads": 4,
    "normalization_type": "layer_norm",
}

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
    Variant("xlm-languages", "XLMModel", {**_XLM, "n_langs": 3, "gelu_activation": False}, types=True),
    Variant("xlm-causal", "XLMWithLMHeadModel", {**_XLM, "causal": True, "n_langs": 2, "lang_id": 1, "mask_token_id": 7}, padding="", generate=True),
    Variant("xlm-untied", "XLMWithLMHeadModel", {**_XLM, "tie_word_embeddings": False, "mask_token_id": 5}, generate=True),
    Variant("xlm-classes", "XLMForSequenceClassification", {**_XLM, "num_labels": 4, "summary_activation": "tanh", "summary_type": "mean"}),
    Variant("xlm-beams", "XLMForQuestionAnswering", {**_XLM, "start_n_top": 3, "end_n_top": 2}),
    Variant("xlnet-body", "XLNetModel", {**_XLNET, "clamp_len": 4, "mem_len": 3}, padding="left", types=True),
    Variant("xlnet-one-way", "XLNetModel", {**_XLNET, "attn_type": "uni", "same_length": True, "ff_activation": "relu", "reuse_len": 5}, padding="", types=True),
    Variant("xlnet-words", "XLNetLMHeadModel", {**_XLNET, "tie_word_embeddings": False}, padding="left", types=True, generate=True),
    Variant("xlnet-classes", "XLNetForSequenceClassification", {**_XLNET, "num_labels": 4, "summary_activation": "gelu", "use_mems_eval": False}, types=True),
    Variant("xlnet-beams", "XLNetForQuestionAnswering", {**_XLNET, "start_n_top": 3, "end_n_top": 2}, types=True),
    Variant("convbert-body", "ConvBertModel", {**_CONV, "head_ratio": 1}, types=True),
    Variant("convbert-groups", "ConvBertForTokenClassification", {**_CONV, "num_groups": 4, "conv_kernel_size": 3, "num_labels": 4}, padding="left"),
    Variant("convbert-words", "ConvBertForMaskedLM", {**_CONV, "tie_word_embeddings": False, "head_ratio": 8}),
    Variant("squeezebert-body", "SqueezeBertModel", {**_SQUEEZE, "q_groups": 1, "k_groups": 2, "v_groups": 3, "post_attention_groups": 4, "intermediate_groups": 8, "output_groups": 2}, types=True),
    Variant("squeezebert-untied", "SqueezeBertForMaskedLM", {**_SQUEEZE, "tie_word_embeddings": False, "hidden_act": "relu"}, padding="left"),
    Variant("squeezebert-classes", "SqueezeBertForSequenceClassification", {**_SQUEEZE, "num_labels": 4}),
    Variant("mobilebert-body", "MobileBertModel", {**_MOBILE, "num_feedforward_networks": 2}, types=True),
    Variant("mobilebert-wide", "MobileBertForTokenClassification", {**_MOBILE, "use_bottleneck": False, "trigram_input": False, "num_labels": 4}, padding="left"),
    Variant("mobilebert-pretraining", "MobileBertForPreTraining", {**_MOBILE, "use_bottleneck_attention": True, "key_query_shared_bottleneck": False, "hidden_act": "gelu"}),
    Variant("mobilebert-untied", "MobileBertForMaskedLM", {**_MOBILE, "tie_word_embeddings": False, "normalization_type": "no_norm", "num_hidden_layers": 1, "num_feedforward_networks": 1}),
]
# fmt: on
