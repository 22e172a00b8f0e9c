"""Does a tiny model of each kind of segmenter learn drawn pictures by heart?

    python bench/segment.py [NAME …]

Draws 16 pictures of a disc and a square on a ground of noise, trains a tiny model of each kind on
them, and prints how well its classes of pixels overlap the truth (the mean of intersection over
union of all classes; the goal is 0.95).
"""

from __future__ import annotations

import sys
import time

import torch
from torch.nn import functional as F

from armature import auto

SIDE, CLASSES, COUNT = 64, 3, 16
STAGES = ["stage1", "stage2", "stage3", "stage4"]
RESNET = {"model_type": "resnet", "embedding_size": 16, "hidden_sizes": [16, 24, 32, 48]}
RESNET |= {"depths": [1, 1, 1, 1], "layer_type": "basic", "out_features": STAGES}
SWIN = {"model_type": "swin", "embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [2, 2, 4, 4]}
SWIN |= {"window_size": 4, "image_size": SIDE, "out_features": STAGES, "drop_path_rate": 0.0}
DETR = {"model_type": "detr", "d_model": 32, "decoder_layers": 2, "decoder_attention_heads": 4}
DETR |= {"decoder_ffn_dim": 64, "num_queries": 8, "dropout": 0.0}
DEEPLAB = {"encoder_name": "resnet18", "classes": CLASSES, "encoder_depth": 3}
DEEPLAB |= {"decoder_channels": 64, "decoder_atrous_rates": [1, 2, 3], "decoder_aspp_dropout": 0.1}

# Name → class, settings, steps, rate of learning.
MODELS = {
    "unet": ("Unet", {"encoder_name": "resnet18", "classes": CLASSES}, 60, 1e-3),
    "fpn": ("FPN", {"encoder_name": "resnet18", "classes": CLASSES}, 80, 1e-3),
    "pspnet": ("PSPNet", {"encoder_name": "resnet18", "classes": CLASSES}, 100, 1e-3),
    "deeplabv3": ("DeepLabV3", DEEPLAB, 300, 2e-3),
    "deeplabv3plus": ("DeepLabV3Plus", DEEPLAB | {"encoder_output_stride": 16}, 100, 1e-3),
    "segnet": (
        "SegNetForSemanticSegmentation",
        {"hidden_sizes": [16, 24, 32], "depths": [2, 2, 2]},
        80,
        3e-3,
    ),
    "upernet": (
        "UperNetForSemanticSegmentation",
        {"backbone_config": RESNET, "hidden_size": 32, "auxiliary_channels": 16},
        150,
        3e-3,
    ),
    "dpt": (
        "DPTForSemanticSegmentation",
        {"hidden_size": 48, "num_hidden_layers": 4, "num_attention_heads": 4}
        | {"intermediate_size": 96, "image_size": SIDE, "patch_size": 8}
        | {"neck_hidden_sizes": [16, 24, 32, 48], "fusion_hidden_size": 32}
        | {"backbone_out_indices": [0, 1, 2, 3]},
        100,
        3e-3,
    ),
    "maskformer": (
        "MaskFormerForInstanceSegmentation",
        {"backbone_config": RESNET, "decoder_config": DETR, "fpn_feature_size": 32}
        | {"mask_feature_size": 32},
        300,
        2e-3,
    ),
    "mask2former": (
        "Mask2FormerForUniversalSegmentation",
        {"backbone_config": SWIN, "feature_size": 32, "mask_feature_size": 32, "hidden_dim": 32}
        | {"encoder_layers": 1, "encoder_feedforward_dim": 64, "decoder_layers": 4}
        | {"num_attention_heads": 4, "dim_feedforward": 64, "num_queries": 8}
        | {"train_num_points": 256},
        300,
        3e-3,
    ),
}


def drawn(generator: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
    """Return pictures (B, 3, side, side) and the classes of their pixels (B, side, side)."""
    pixels = 0.3 * torch.randn(COUNT, 3, SIDE, SIDE, generator=generator)
    classes = torch.zeros(COUNT, SIDE, SIDE, dtype=torch.long)
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    for index in range(COUNT):
        spots = torch.randint(12, SIDE - 12, (2, 2), generator=generator)
        radius = torch.randint(7, 12, (2,), generator=generator)
        disc = (y - spots[0, 0]) ** 2 + (x - spots[0, 1]) ** 2 < radius[0] ** 2
        square = ((y - spots[1, 0]).abs() < radius[1]) & ((x - spots[1, 1]).abs() < radius[1])
        classes[index][disc], classes[index][square] = 1, 2
    colors = torch.tensor([[0.0, 0, 0], [1, 0.5, -1], [-1, 0.5, 1]])
    return pixels + colors[classes].movedim(-1, 1), classes


def overlap(found: torch.Tensor, classes: torch.Tensor) -> float:
    """Return the mean of intersection over union of all classes."""
    shares = [
        ((found == one) & (classes == one)).sum() / ((found == one) | (classes == one)).sum()
        for one in range(CLASSES)
    ]
    return float(torch.stack(shares).mean())


def told(name: str, classes: torch.Tensor) -> dict[str, object]:
    """Return what a model is told of the truth: classes of pixels, or masks with their classes."""
    if "former" not in name:
        return {"labels": classes}
    masks = [torch.stack([one == c for c in range(CLASSES)]).float() for one in classes]
    return {"mask_labels": masks, "class_labels": [torch.arange(CLASSES)] * len(masks)}


def guessed(output: dict[str, torch.Tensor]) -> torch.Tensor:
    """Return the class of every pixel."""
    size = (SIDE, SIDE)
    if "logits" in output:
        return F.interpolate(output["logits"], size, mode="bilinear").argmax(1)
    kinds = output["class_queries_logits"].softmax(-1)[..., :-1]
    masks = F.interpolate(output["masks_queries_logits"], size, mode="bilinear").sigmoid()
    return torch.einsum("bqc,bqhw->bchw", kinds, masks).argmax(1)


def learn(name: str) -> None:
    """Train one model, and print how well it knows the pictures."""
    kind_name, settings, steps, rate = MODELS[name]
    torch.manual_seed(0)
    kind = auto.model_class(kind_name)
    settings = settings if "classes" in settings else settings | {"num_labels": CLASSES}
    config = kind.config_class(**settings)
    config.initializer_range = 0.05
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = kind(config).train().to(device)
    pixels, classes = (x.to(device) for x in drawn(torch.Generator().manual_seed(1)))
    given = told(name, classes)
    learner = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-4)
    plan = torch.optim.lr_scheduler.OneCycleLR(learner, rate, steps)
    start = time.perf_counter()
    for _ in range(steps):
        loss = model(pixel_values=pixels, **given).loss
        learner.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        learner.step()
        plan.step()
    model.eval()
    with torch.no_grad():
        share = overlap(guessed(model(pixel_values=pixels)), classes)
    spent, last = time.perf_counter() - start, float(loss.detach())
    print(f"{name:12} {steps:4} steps  {spent:5.0f} s  loss {last:7.3f}  overlap {share:.3f}")


if __name__ == "__main__":
    for each in sys.argv[1:] or MODELS:
        learn(each)
