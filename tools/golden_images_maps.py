"""Small checkpoints of pyramids; see `make_golden_images`."""

from __future__ import annotations

from typing import Any

import torch

SMALL_MAPS: dict[str, dict[str, Any]] = {
    "resnet": {"embedding_size": 6, "hidden_sizes": [8, 12, 16], "depths": [1, 2, 1]},
    "regnet": {"embedding_size": 6, "hidden_sizes": [8, 12], "depths": [1, 2]},
    "convnext": {"hidden_sizes": [6, 8, 10], "depths": [1, 2, 1], "num_stages": 3},
    "convnextv2": {"hidden_sizes": [6, 8, 10], "depths": [1, 2, 1], "num_stages": 3},
    "mobilenet_v2": {"depth_multiplier": 0.05, "min_depth": 4, "depth_divisible_by": 2}
    | {"finegrained_output": False, "expand_ratio": 2.0},
    "efficientnet": {"width_coefficient": 0.1, "depth_coefficient": 0.6, "hidden_dim": 128}
    | {"depth_divisor": 2, "kernel_sizes": [3, 5, 3], "in_channels": [32, 16, 24]}
    | {"out_channels": [16, 24, 40], "strides": [1, 2, 1], "num_block_repeats": [1, 2, 2]}
    | {"expand_ratios": [1, 2, 3]},
    "poolformer": {"hidden_sizes": [6, 8, 10], "depths": [1, 2, 1], "num_encoder_blocks": 3},
    "mobilevit": {"hidden_sizes": [8, 8, 12], "neck_hidden_sizes": [4, 6, 6, 6, 8, 8, 10]}
    | {"num_attention_heads": 2, "expand_ratio": 1.0, "hidden_dropout_prob": 0.0},
    "segformer": {"hidden_sizes": [6, 8, 12], "depths": [1, 2, 1], "num_encoder_blocks": 3}
    | {"sr_ratios": [4, 2, 1], "num_attention_heads": [1, 2, 3], "mlp_ratios": [2, 3, 1]}
    | {"decoder_hidden_size": 10},
    "glpn": {"hidden_sizes": [6, 8], "depths": [1, 1], "num_encoder_blocks": 2}
    | {"sr_ratios": [3, 1], "num_attention_heads": [1, 2], "mlp_ratios": [2, 3]}
    | {"decoder_hidden_size": 6, "strides": [3, 2]},
    "mobilenet_v1": {"depth_multiplier": 0.02, "min_depth": 4},
    "bit": {"embedding_size": 6, "hidden_sizes": [8, 16], "depths": [1, 2], "num_groups": 2},
    "levit": {"hidden_sizes": [8, 12, 16], "depths": [1, 2, 1], "num_attention_heads": [2, 1, 3]}
    | {"key_dim": [4, 3, 2], "attention_ratio": [1, 2, 3], "image_size": 48},
    "swinv2": {"embed_dim": 8, "depths": [1, 2], "num_heads": [2, 4], "mlp_ratio": 1.5},
}
LABELS = torch.arange(2 * 24 * 20).reshape(2, 24, 20) % 5

MAPS: dict[str, Any] = {
    "resnet/classes": (
        "ResNetForImageClassification",
        {"num_labels": 3, "downsample_in_bottleneck": True, "hidden_act": "silu"},
        [(24, 20), (19, 27)],
        {"labels": torch.tensor([2, 0])},
    ),
    "resnet/maps": (
        "ResNetBackbone",
        {"layer_type": "basic", "downsample_in_first_stage": True, "num_channels": 1}
        | {"out_features": ["stem", "stage2"]},
        [(24, 20)],
        {},
    ),
    "regnet/body": (
        "RegNetModel",
        {"layer_type": "y", "groups_width": 4, "hidden_act": "silu"},
        [(24, 20), (19, 27)],
        {},
    ),
    "regnet/classes": (
        "RegNetForImageClassification",
        {"layer_type": "x", "downsample_in_first_stage": False, "num_channels": 1},
        [(13, 16)],
        {"labels": torch.tensor([1, 0])},
    ),
    "convnext/classes": (
        "ConvNextForImageClassification",
        {"patch_size": 3, "layer_norm_eps": 0.01, "drop_path_rate": 0.1, "num_labels": 3},
        [(24, 20), (19, 27)],
        {"labels": torch.tensor([2, 0])},
    ),
    "convnext/maps": (
        "ConvNextBackbone",
        {"out_indices": [0, 2], "layer_scale_init_value": 0.0, "hidden_act": "gelu_new"},
        [(24, 20)],
        {},
    ),
    "convnextv2/body": (
        "ConvNextV2Model",
        {"patch_size": 2, "num_channels": 1, "hidden_act": "relu"},
        [(13, 16)],
        {},
    ),
    "mobilenet_v2/classes": (
        "MobileNetV2ForImageClassification",
        {"first_layer_is_expansion": False, "output_stride": 16, "num_labels": 3},
        [(32, 24), (33, 41)],
        {"labels": torch.tensor([2, 0])},
    ),
    "efficientnet/classes": (
        "EfficientNetForImageClassification",
        {"depthwise_padding": [1], "squeeze_expansion_ratio": 0.5, "num_labels": 3},
        [(24, 20), (19, 27)],
        {"labels": torch.tensor([2, 0])},
    ),
    "efficientnet/body": (
        "EfficientNetModel",
        {"pooling_type": "max", "hidden_act": "relu", "batch_norm_eps": 0.1},
        [(13, 16)],
        {},
    ),
    "poolformer/classes": (
        "PoolFormerForImageClassification",
        {"patch_sizes": [5, 3, 2], "strides": [3, 2, 1], "padding": [0, 1, 1], "mlp_ratio": 2.5},
        [(24, 20), (19, 27)],
        {"labels": torch.tensor([1, 0])},
    ),
    "poolformer/body": (
        "PoolFormerModel",
        {"use_layer_scale": False, "pool_size": 5, "hidden_act": "relu", "num_channels": 1},
        [(24, 20)],
        {},
    ),
    "mobilevit/classes": (
        "MobileViTForImageClassification",
        {"patch_size": 3, "qkv_bias": False, "hidden_act": "gelu", "num_labels": 3},
        [(24, 35)],
        {"labels": torch.tensor([2, 0])},
    ),
    "mobilevit/places": (
        "MobileViTForSemanticSegmentation",
        {"output_stride": 8, "aspp_out_channels": 6, "atrous_rates": [1, 2, 3], "num_labels": 5},
        [(24, 20)],
        {"labels": LABELS},
    ),
    "segformer/body": (
        "SegformerModel",
        {"reshape_last_stage": False, "hidden_act": "relu", "num_channels": 1},
        [(24, 20), (29, 33)],
        {},
    ),
    "segformer/places": (
        "SegformerForSemanticSegmentation",
        {"patch_sizes": [5, 4, 2], "strides": [3, 2, 1], "num_labels": 5}
        | {"semantic_loss_ignore_index": 3},
        [(24, 20)],
        {"labels": LABELS},
    ),
    "glpn/depths": (
        "GLPNForDepthEstimation",
        {"max_depth": 3, "drop_path_rate": 0.2},
        [(24, 24)],
        {"labels": torch.arange(2 * 32 * 32).reshape(2, 32, 32) % 5 * 0.4},
    ),
    "swinv2/classes": (
        "Swinv2ForImageClassification",
        {"image_size": 24, "patch_size": 3, "window_size": 3, "pretrained_window_sizes": [5, 0]}
        | {"qkv_bias": False, "num_labels": 3},
        [(24, 24), (22, 29)],
        {"labels": torch.tensor([2, 0])},
    ),
    "swinv2/maps": (
        "Swinv2Backbone",
        {"image_size": 16, "window_size": 7, "pretrained_window_sizes": [0, 0]}
        | {"out_features": ["stem", "stage2"], "hidden_act": "relu", "layer_norm_eps": 0.01},
        [(16, 16)],
        {},
    ),
    "mobilenet_v1/classes": (
        "MobileNetV1ForImageClassification",
        {"num_labels": 3, "hidden_act": "silu"},
        [(17, 21)],
        {"labels": torch.tensor([2, 0])},
    ),
    "bit/classes": (
        "BitForImageClassification",
        {"layer_type": "bottleneck", "output_stride": 4, "global_padding": "same"}
        | {"embedding_dynamic_padding": True, "num_labels": 3},
        [(24, 20), (19, 27)],
        {"labels": torch.tensor([2, 0])},
    ),
    "bit/maps": (
        "BitBackbone",
        {"out_features": ["stem", "stage1"], "num_channels": 1, "hidden_act": "gelu"},
        [(24, 20)],
        {},
    ),
    "levit/taught": (
        "LevitForImageClassificationWithTeacher",
        {"mlp_ratio": [1, 0, 2], "num_labels": 3, "num_channels": 1},
        [(48, 48)],
        {},
    ),
}
