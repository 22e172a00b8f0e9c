"""Small checkpoints of stacks on patches of images; see `make_golden_images`."""

from __future__ import annotations

from typing import Any

import torch

SMALL_PATCHES: dict[str, dict[str, Any]] = {
    "dinov2": {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
    | {"image_size": 24, "patch_size": 6, "layer_norm_eps": 1e-4, "mlp_ratio": 2},
    "beit": {"hidden_size": 8, "num_hidden_layers": 4, "num_attention_heads": 2}
    | {"intermediate_size": 12, "image_size": 24, "patch_size": 6, "layer_norm_eps": 1e-4},
}
SMALL_PATCHES["dinov2_with_registers"] = SMALL_PATCHES["dinov2"]
SMALL_PATCHES["data2vec-vision"] = SMALL_PATCHES["beit"]

_VIT = {"hidden_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2}
_VIT |= {"intermediate_size": 20, "patch_size": 6, "layer_norm_eps": 1e-4}
_DECODER = {"decoder_hidden_size": 8, "decoder_num_attention_heads": 2}
_DECODER |= {"decoder_intermediate_size": 12, "decoder_num_hidden_layers": 1}
SMALL_PATCHES |= {
    "ijepa": _VIT | {"image_size": 24},
    "vit_mae": _VIT | _DECODER | {"image_size": 24},
    "yolos": _VIT | {"image_size": [24, 18], "num_detection_tokens": 3},
    "audio-spectrogram-transformer": _VIT
    | {"max_length": 26, "num_mel_bins": 14, "frequency_stride": 4, "time_stride": 5},
    "timesformer": _VIT | {"image_size": 12, "num_frames": 3},
    "videomae": _VIT | _DECODER | {"image_size": 12, "num_frames": 4},
}

HIDDEN = torch.arange(32).reshape(2, 16) % 3 == 0

PATCHES: dict[str, Any] = {
    "dinov2/masked": (
        "Dinov2Model",
        {"use_swiglu_ffn": True, "qkv_bias": False, "num_channels": 1},
        [(24, 24), (31, 46)],
        {"bool_masked_pos": HIDDEN},
    ),
    "dinov2/classes": (
        "Dinov2ForImageClassification",
        {"num_labels": 3, "use_mask_token": False, "hidden_act": "relu"}
        | {"patch_size": [6, 4], "image_size": [24, 16]},
        [(24, 16)],
        {"labels": torch.tensor([2, 0])},
    ),
    "dinov2/maps": (
        "Dinov2Backbone",
        {"out_features": ["stem", "stage1"], "apply_layernorm": False, "use_mask_token": False},
        [(24, 20), (19, 30)],
        {},
    ),
    "dinov2_with_registers/maps": (
        "Dinov2WithRegistersBackbone",
        {"out_indices": [-2, -1], "num_register_tokens": 3},
        [(24, 24), (19, 36)],
        {},
    ),
    "beit/classes": (
        "BeitForImageClassification",
        {"num_labels": 3, "use_relative_position_bias": True, "image_size": [24, 18]}
        | {"use_shared_relative_position_bias": True, "hidden_act": "relu"},
        [(24, 18), (20, 31)],
        {"labels": torch.tensor([2, 0])},
    ),
    "beit/masked": (
        "BeitForMaskedImageModeling",
        {"vocab_size": 7, "use_mask_token": True, "use_absolute_position_embeddings": True}
        | {"layer_scale_init_value": 0.0, "num_hidden_layers": 2},
        [(24, 24)],
        {"bool_masked_pos": HIDDEN, "labels": torch.arange(11) % 7},
    ),
    "beit/pixels": (
        "BeitForSemanticSegmentation",
        {"num_labels": 3, "out_indices": [1, 2, 3, 4], "pool_scales": [1, 3]}
        | {"auxiliary_channels": 5, "auxiliary_num_convs": 2, "auxiliary_concat_input": True}
        | {"semantic_loss_ignore_index": 2, "use_relative_position_bias": True},
        [(24, 24), (31, 25)],
        {"labels": torch.arange(2 * 24 * 24).reshape(2, 24, 24) % 7 % 3},
    ),
    "beit/maps": (
        "BeitBackbone",
        {"out_indices": [0, 1, 3, 4], "add_fpn": True, "use_mean_pooling": False}
        | {"use_shared_relative_position_bias": True},
        [(24, 24)],
        {},
    ),
    "data2vec-vision/pixels": (
        "Data2VecVisionForSemanticSegmentation",
        {"num_labels": 3, "out_indices": [1, 2, 3, 4], "pool_scales": [2]}
        | {"auxiliary_channels": 5, "use_absolute_position_embeddings": True},
        [(24, 24)],
        {"labels": torch.arange(2 * 24 * 24).reshape(2, 24, 24) % 7 % 3},
    ),
    "ijepa/classes": (
        "IJepaForImageClassification",
        {"num_labels": 3, "hidden_act": "relu", "qkv_bias": False},
        [(24, 24), (19, 36)],
        {"labels": torch.tensor([2, 0])},
    ),
    "vit_mae/body": (
        "ViTMAEModel",
        {"mask_ratio": 0.4, "num_channels": 1, "hidden_act": "relu"},
        [(24, 24)],
        {"noise": torch.arange(32).reshape(2, 16) * 7 % 32 / 32},
    ),
    "vit_mae/restored": (
        "ViTMAEForPreTraining",
        {"norm_pix_loss": True, "qkv_bias": False},
        [(24, 24)],
        {"noise": torch.arange(32).reshape(2, 16) * 7 % 32 / 32},
    ),
    "yolos/body": ("YolosModel", {"hidden_act": "relu"}, [(24, 18), (19, 30)], {}),
    "yolos/boxes": (
        "YolosForObjectDetection",
        {"num_labels": 2, "use_mid_position_embeddings": False, "num_channels": 1},
        [(24, 18)],
        {},
    ),
    "audio-spectrogram-transformer/body": (
        "ASTModel",
        {"frequency_stride": 6, "time_stride": 6, "qkv_bias": False},
        [(26, 14)],
        {},
    ),
    "audio-spectrogram-transformer/classes": (
        "ASTForAudioClassification",
        {"num_labels": 3, "hidden_act": "relu"},
        [(26, 14)],
        {"labels": torch.tensor([2, 0])},
    ),
    "timesformer/classes": (
        "TimesformerForVideoClassification",
        {"num_labels": 3, "hidden_act": "relu"},
        [(3, 3, 12, 12), (3, 3, 18, 12)],
        {"labels": torch.tensor([2, 0])},
    ),
    "timesformer/frames": (
        "TimesformerModel",
        {"attention_type": "space_only", "qkv_bias": False},
        [(3, 3, 12, 12)],
        {},
    ),
    "videomae/restored": (
        "VideoMAEForPreTraining",
        {"num_channels": 1, "use_mean_pooling": False, "qv_bias": False},
        [(4, 1, 12, 12)],
        {"bool_masked_pos": torch.arange(16).reshape(2, 8) % 4 % 3 == 0},
    ),
    "videomae/classes": (
        "VideoMAEForVideoClassification",
        {"num_labels": 3, "tubelet_size": 1, "num_frames": 2, "hidden_act": "relu"},
        [(2, 3, 12, 12)],
        {"labels": torch.tensor([2, 0])},
    ),
}
