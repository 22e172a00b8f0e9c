"""Small checkpoints that tell something of every pixel; see `make_golden_images`."""

from __future__ import annotations

from typing import Any

import torch

STAGES = ["stage1", "stage2", "stage3", "stage4"]
RESNET = {"model_type": "resnet", "embedding_size": 4, "hidden_sizes": [6, 8], "depths": [1, 1]}
RESNET |= {"layer_type": "basic", "out_features": STAGES[:2]}
FOUR = RESNET | {"hidden_sizes": [4, 6, 8, 8], "depths": [1] * 4, "out_features": STAGES}
SWIN = {"model_type": "swin", "embed_dim": 4, "depths": [1, 2, 1, 1], "num_heads": [1, 1, 2, 2]}
SWIN |= {"window_size": 2, "image_size": 32, "mlp_ratio": 2.0, "out_features": STAGES}
DINO = {"model_type": "dinov2", "hidden_size": 12, "num_hidden_layers": 3, "image_size": 21}
DINO |= {"num_attention_heads": 3, "patch_size": 7, "mlp_ratio": 2, "out_indices": [1, 3]}
NECK = {"neck_hidden_sizes": [4, 6], "reassemble_factors": [2, 0.5], "fusion_hidden_size": 6}
DETR = {"model_type": "detr", "d_model": 16, "decoder_layers": 2, "decoder_attention_heads": 2}
DETR |= {"decoder_ffn_dim": 12, "num_queries": 4, "encoder_layers": 1, "encoder_ffn_dim": 8}

SMALL_DENSE: dict[str, dict[str, Any]] = {
    "dpt": NECK
    | {"hidden_size": 12, "num_hidden_layers": 3, "num_attention_heads": 3, "image_size": 16}
    | {"intermediate_size": 20, "patch_size": 4, "backbone_out_indices": [0, 2]},
    "depth_anything": NECK | {"patch_size": 7, "reassemble_hidden_size": 12},
    "upernet": {"hidden_size": 8, "pool_scales": [1, 2], "auxiliary_channels": 6},
    "maskformer": {"fpn_feature_size": 32, "mask_feature_size": 8, "decoder_config": DETR},
    "mask2former": {"feature_size": 32, "mask_feature_size": 8, "hidden_dim": 16}
    | {"encoder_layers": 1, "encoder_feedforward_dim": 12, "decoder_layers": 3}
    | {"num_attention_heads": 2, "dim_feedforward": 12, "num_queries": 4},
}


def _pixels(side: int, classes: int) -> dict[str, torch.Tensor]:
    """Return a class for every pixel of two images, some of which do not count."""
    labels = torch.arange(2 * side * side).reshape(2, side, side) // 5 % (classes + 1)
    return {"labels": labels.where(labels < classes, torch.tensor(255))}


def _things(side: int) -> dict[str, torch.Tensor]:
    """Return the masks and classes of three things in each of two images."""
    masks = torch.arange(6 * side * side).reshape(2, 3, side, side) // 7 % 3 == 0
    return {"mask_labels": masks.float(), "class_labels": torch.tensor([[0, 1, 1], [2, 0, 2]])}


DENSE: dict[str, Any] = {
    "dpt/depths": (
        "DPTForDepthEstimation",
        {"readout_type": "add", "use_batch_norm_in_fusion_residual": True, "head_in_index": -2},
        [(16, 16), (24, 24)],
        {},
    ),
    "dpt/classes": (
        "DPTForSemanticSegmentation",
        {"num_labels": 4, "hidden_act": "relu", "qkv_bias": False},
        [(16, 16)],
        _pixels(16, 4),
    ),
    "depth_anything/measured": (
        "DepthAnythingForDepthEstimation",
        {"depth_estimation_type": "metric", "max_depth": 20, "head_hidden_size": 5}
        | {"backbone_config": DINO | {"reshape_hidden_states": False}},
        [(21, 14)],
        {},
    ),
    "upernet/swin": (
        "UperNetForSemanticSegmentation",
        {"num_labels": 3, "auxiliary_concat_input": True, "auxiliary_num_convs": 2}
        | {"backbone_config": SWIN},
        [(32, 32)],
        _pixels(32, 3),
    ),
    "maskformer/resnet": (
        "MaskFormerForInstanceSegmentation",
        {"num_labels": 3, "use_auxiliary_loss": True, "output_auxiliary_logits": True}
        | {"backbone_config": RESNET, "dice_weight": 2.0, "cross_entropy_weight": 0.5},
        [(24, 20)],
        {},
    ),
    "maskformer/things": (
        "MaskFormerForInstanceSegmentation",
        {"num_labels": 3, "backbone_config": RESNET, "no_object_weight": 0.3},
        [(24, 24)],
        _things(24),
    ),
    "mask2former/universal": (
        "Mask2FormerForUniversalSegmentation",
        {"num_labels": 3, "pre_norm": True, "output_auxiliary_logits": True}
        | {"backbone_config": FOUR, "activation_function": "gelu"},
        [(64, 32)],
        {},
    ),
}
