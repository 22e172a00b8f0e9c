"""Small checkpoints of detectors that ask maps by trained queries; see `make_golden_images`."""

from __future__ import annotations

from typing import Any

import torch

_RESNET = {
    "model_type": "resnet",
    "embedding_size": 4,
    "hidden_sizes": [4, 6, 8, 10],
    "depths": [1, 1, 2, 1],
    "layer_type": "basic",
    "out_features": ["stage1", "stage2", "stage3", "stage4"],
}
_QUERIED = {
    "backbone_config": _RESNET,
    "use_timm_backbone": False,
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 4,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 12,
    "decoder_ffn_dim": 14,
    "num_queries": 5,
    "num_labels": 3,
}
_HALF = torch.ones(2, 32, 40)
_HALF[1, 20:], _HALF[1, :, 33:] = 0, 0
_MASKED = {"pixel_mask": _HALF.long()}

SMALL_DETECTORS: dict[str, dict[str, Any]] = dict.fromkeys(
    ("detr", "table_transformer", "conditional_detr"), _QUERIED
)
SMALL_DETECTORS["deformable_detr"] = {
    **_QUERIED,
    "backbone_config": {**_RESNET, "num_channels": 1, "out_features": ["stage2", "stage3"]}
    | {"hidden_sizes": [4, 6, 8], "depths": [1, 1, 1]},
    "num_channels": 1,
    "d_model": 32,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "num_feature_levels": 3,
    "encoder_n_points": 2,
    "decoder_n_points": 3,
}
DETECTORS: dict[str, Any] = {
    "detr/body": (
        "DetrModel",
        {"auxiliary_loss": True, "position_embedding_type": "learned", "num_channels": 1}
        | {"backbone_config": {**_RESNET, "num_channels": 1, "out_features": ["stage4"]}},
        [(32, 40), (35, 33)],
        _MASKED,
    ),
    "detr/masks": (
        "DetrForSegmentation",
        {"encoder_attention_heads": 8, "activation_function": "silu", "encoder_layers": 1}
        | {"decoder_layers": 1},
        [(32, 40)],
        _MASKED,
    ),
    "table_transformer/boxes": (
        "TableTransformerForObjectDetection",
        {"activation_function": "gelu"},
        [(32, 40)],
        _MASKED,
    ),
    "conditional_detr/boxes": (
        "ConditionalDetrForObjectDetection",
        {"encoder_layers": 1, "position_embedding_type": "learned"},
        [(32, 40)],
        _MASKED,
    ),
    "deformable_detr/boxes": (
        "DeformableDetrForObjectDetection",
        {"activation_function": "gelu", "num_feature_levels": 2, "decoder_layers": 1}
        | {"tie_word_embeddings": False},
        [(32, 40)],
        _MASKED,
    ),
    "deformable_detr/proposals": (
        "DeformableDetrForObjectDetection",
        {"two_stage": True, "with_box_refine": True, "two_stage_num_proposals": 4}
        | {"num_labels": 1, "decoder_layers": 1, "encoder_ffn_dim": 6, "decoder_ffn_dim": 6}
        | {"num_feature_levels": 2},
        [(32, 30)],
        {},
    ),
}
