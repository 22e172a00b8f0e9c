"""Small checkpoints of pyramids whose states are maps; see `make_golden_images`."""

from __future__ import annotations

from typing import Any

import torch

SMALL_MAPS: dict[str, dict[str, Any]] = {
    "resnet": {"embedding_size": 6, "hidden_sizes": [8, 12, 16], "depths": [1, 2, 1]},
}

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
}
