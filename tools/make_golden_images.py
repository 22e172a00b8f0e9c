"""Make the small image checkpoints of tests/golden/{swin,vit,deit} with the reference library.

    python tools/make_golden_images.py [NAME …]

Needs the `reference` extra.
"""

from __future__ import annotations

import copy
import inspect
from pathlib import Path

import torch
from golden_files import GOLDEN, Record, flatten, made, write_each
from golden_images_dense import DENSE, SMALL_DENSE
from golden_images_detection import DETECTORS, SMALL_DETECTORS
from golden_images_maps import MAPS, SMALL_MAPS
from golden_images_patches import PATCHES, SMALL_PATCHES

SMALL = {
    "swin": {"embed_dim": 8, "depths": [2, 2], "num_heads": [2, 4], "mlp_ratio": 2.0},
    "vit": {"hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3}
    | {"intermediate_size": 40, "image_size": 24, "patch_size": 6, "layer_norm_eps": 1e-4},
}
SMALL["deit"] = SMALL["vit"]
SMALL |= SMALL_MAPS | SMALL_PATCHES | SMALL_DETECTORS | SMALL_DENSE

# Name → class, settings, sizes of the images that are tried, further arguments of the first call.
VARIANTS = {
    "swin/classes": (
        "SwinForImageClassification",
        {"image_size": 40, "window_size": 4, "num_labels": 5, "hidden_act": "relu"},
        [(40, 40), (31, 46)],
        {"labels": torch.tensor([3, 0])},
    ),
    "swin/regression": (
        "SwinForImageClassification",
        {"image_size": 30, "patch_size": 3, "window_size": 5, "num_labels": 1, "depths": [3]}
        | {"num_heads": [2], "num_channels": 1, "mlp_ratio": 2.5},
        [(30, 30)],
        {"labels": torch.tensor([0.5, -1.0])},
    ),
    "swin/placed": (
        "SwinModel",
        {"image_size": 24, "patch_size": 2, "window_size": 3, "use_absolute_embeddings": True}
        | {"qkv_bias": False, "hidden_act": "quick_gelu", "layer_norm_eps": 0.01},
        [(24, 24), (22, 28)],
        {},
    ),
    "swin/masked": (
        "SwinForMaskedImageModeling",
        {"image_size": 32, "window_size": 4, "encoder_stride": 8, "hidden_act": "silu"},
        [(32, 32)],
        {"bool_masked_pos": torch.arange(128).reshape(2, 64) % 3 == 0},
    ),
    "swin/maps-named": (
        "SwinBackbone",
        {"image_size": 24, "window_size": 5, "depths": [2, 1, 2], "num_heads": [1, 2, 4]}
        | {"embed_dim": 4, "out_features": ["stem", "stage1", "stage3"]},
        [(24, 24), (39, 27)],
        {},
    ),
    "swin/maps-placed": (
        "SwinBackbone",
        {"image_size": 20, "window_size": 4, "out_indices": [-2]},
        [(20, 20)],
        {},
    ),
    "vit/classes": (
        "ViTForImageClassification",
        {"num_labels": 5, "hidden_act": "relu", "qkv_bias": False},
        [(24, 24), (31, 46)],
        {"labels": torch.tensor([3, 0])},
    ),
    "vit/body": (
        "ViTModel",
        {"image_size": [18, 30], "patch_size": [6, 5], "num_channels": 1, "pooler_act": "relu"},
        [(18, 30)],
        {},
    ),
    "vit/masked": (
        "ViTForMaskedImageModeling",
        {"encoder_stride": 6, "hidden_act": "quick_gelu"},
        [(24, 24)],
        {"bool_masked_pos": torch.arange(32).reshape(2, 16) % 3 == 0},
    ),
    "deit/classes": (
        "DeiTForImageClassification",
        {"num_labels": 3, "problem_type": "multi_label_classification"},
        [(24, 24), (36, 24)],
        {"labels": torch.tensor([[1.0, 0, 1], [0, 0, 1]])},
    ),
    "deit/taught": ("DeiTForImageClassificationWithTeacher", {"num_labels": 4}, [(24, 24)], {}),
    "deit/body": ("DeiTModel", {"hidden_act": "silu"}, [(24, 24)], {}),
    "deit/masked": (
        "DeiTForMaskedImageModeling",
        {"encoder_stride": 6},
        [(24, 24)],
        {"bool_masked_pos": torch.arange(32).reshape(2, 16) % 2 == 0},
    ),
}
VARIANTS |= MAPS | PATCHES | DETECTORS | DENSE


@torch.no_grad()
def make(name: str, folder: Path) -> None:
    """Build, call and write one variant."""
    kind_name, settings, sizes, further = VARIANTS[name]
    generator = torch.Generator().manual_seed(sum(map(ord, name.removeprefix("swin/"))))
    small = SMALL[name.partition("/")[0]]
    model = made(kind_name, {**small, **settings}, folder, generator)
    main = model.main_input_name
    record = Record(kind_name)
    for index, size in enumerate(sizes):
        if len(size) == 2 and main == "pixel_values":
            size = (getattr(model.config, "num_channels", 3), *size)
        pixels = torch.randn(2 - index, *size, generator=generator)
        given = {main: pixels, **(further if index == 0 else {})}
        flags = {"output_hidden_states": True, "output_attentions": index == 0}
        stretches = "interpolate_pos_encoding" in inspect.signature(model.forward).parameters
        flags |= {"interpolate_pos_encoding": True} if index and stretches else {}
        # The reference's blocks remember how they shrank their windows: each call has its own.
        outputs = flatten(copy.deepcopy(model)(**given, **flags))
        if name != "swin/masked":  # the same states in another order: once is enough
            outputs = {key: x for key, x in outputs.items() if not key.startswith("reshaped")}
        record.call(str(index), given, flags, outputs)
    record.write(folder)


if __name__ == "__main__":
    write_each(VARIANTS, GOLDEN, make)
