"""Train a small detector on pictures drawn here, until it finds what they show.

python -m bench.drawn_shapes faster_rcnn [STEPS]
"""

from __future__ import annotations

import sys
import time
from typing import Any

import torch
from torch import Tensor

from armature import auto
from armature.layers.boxes import overlap

_SIDE = 64
_RESNET = {
    "embedding_size": 16,
    "hidden_sizes": [16, 32, 64, 64],
    "depths": [1, 1, 1, 1],
    "layer_type": "basic",
    "frozen_norms": False,
    "pyramid_width": 32,
    "min_size": _SIDE,
    "max_size": _SIDE,
    "num_labels": 3,
    "initializer_range": 0.06,  # of few channels, whose sums are small
}
_REGIONS = _RESNET | {
    "anchor_sizes": [[8], [16], [24], [32], [48]],
    "representation_size": 64,
    "rpn_pre_nms_top_n_train": 200,
    "rpn_pre_nms_top_n_test": 100,
    "rpn_post_nms_top_n_train": 200,
    "rpn_post_nms_top_n_test": 100,
    "box_batch_size_per_image": 64,
    "rpn_batch_size_per_image": 64,
}
SMALL: dict[str, dict[str, Any]] = {
    "faster_rcnn": _REGIONS,
    "mask_rcnn": _REGIONS | {"mask_layers": [16, 16], "mask_dim_reduced": 16},
    "retinanet": _RESNET
    | {"anchor_sizes": [[8, 10, 12], [16, 20, 25], [28, 32, 40], [48, 52, 56], [60, 62, 64]]},
    "yolov3": {
        "image_size": _SIDE,
        "widths": [8, 16, 24, 32, 48, 64],
        "depths": [1, 1, 1, 1, 1],
        "anchors": [
            *([12, 12], [16, 16], [20, 20]),
            *([20, 10], [24, 12], [28, 14]),
            *([40, 40], [50, 50], [60, 60]),
        ],
        "num_labels": 3,
    },
    "efficientdet": {
        "image_size": [_SIDE, _SIDE],
        "width_coefficient": 0.5,
        "depth_coefficient": 0.3,
        "backbone_args": {"drop_path_rate": 0.0},
        "max_level": 5,
        "num_levels": 3,
        "anchor_scale": 2.0,
        "fpn_channels": 32,
        "fpn_cell_repeats": 1,
        "box_class_repeats": 2,
        "norm_kwargs": {"eps": 0.001, "momentum": 0.1},
        "num_labels": 3,
        "initializer_range": 0.06,
    },
}
CLASSES = {
    "efficientdet": "EfficientDetForObjectDetection",
    "faster_rcnn": "FasterRCNNForObjectDetection",
    "mask_rcnn": "MaskRCNNForInstanceSegmentation",
    "retinanet": "RetinaNetForObjectDetection",
    "yolov3": "YOLOv3ForObjectDetection",
}


def pictures(count: int = 16, seed: int = 0) -> tuple[Tensor, list[dict[str, Tensor]]]:
    """Return pictures (B, 3, 64, 64) with bright squares and dark bars, and what they show."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.5 + 0.05 * torch.randn(count, 3, _SIDE, _SIDE, generator=generator)
    things = []
    for image in images:
        boxes, labels, masks = [], [], []
        for place in range(2):
            label = int(torch.randint(1, 3, (), generator=generator))
            side = int(torch.randint(12, 22, (), generator=generator))
            wide, tall = (side, side) if label == 1 else (side + 6, side // 2 + 3)
            x = int(torch.randint(1, 62 - wide, (), generator=generator))
            y = place * 32 + int(torch.randint(1, 31 - tall, (), generator=generator))
            image[label - 1, y : y + tall, x : x + wide] += 0.5 if label == 1 else -0.5
            mask = torch.zeros(_SIDE, _SIDE)
            mask[y : y + tall, x : x + wide] = 1
            boxes.append([x, y, x + wide, y + tall])
            labels.append(label)
            masks.append(mask)
        things.append(
            {
                "boxes": torch.tensor(boxes, dtype=torch.float32),
                "class_labels": torch.tensor(labels),
                "masks": torch.stack(masks),
            }
        )
    return images.clamp(0, 1), things


def precision(found: Any, things: list[dict[str, Tensor]], limit: float = 0.5) -> float:
    """Return the mean over labels of the area under precision and recall (mAP at an overlap)."""
    areas = []
    for label in torch.cat([one["class_labels"] for one in things]).unique().tolist():
        marks, right, count = [], [], 0
        for index, one in enumerate(things):
            mine = one["boxes"][one["class_labels"] == label]
            count += len(mine)
            taken: set[int] = set()
            here = found.labels[index] == label
            order = found.scores[index][here].argsort(descending=True)
            for score, box in zip(
                found.scores[index][here][order], found.boxes[index][here][order], strict=True
            ):
                share, place = overlap(box[None], mine)[0].max(1) if len(mine) else (0, 0)
                good = float(share) >= limit and int(place) not in taken
                if good:
                    taken.add(int(place))
                marks.append(float(score))
                right.append(good)
        order = torch.tensor(marks).argsort(descending=True)
        hits = torch.tensor(right, dtype=torch.float32)[order].cumsum(0)
        exact = hits / torch.arange(1, len(hits) + 1)
        exact = exact.flip(0).cummax(0)[0].flip(0) if len(exact) else exact
        steps = hits.diff(prepend=hits.new_zeros(1))
        areas.append(float((exact * steps).sum()) / max(count, 1))
    return sum(areas) / len(areas)


def train(name: str, steps: int, rate: float = 4e-3) -> float:
    """Train a fresh model on sixteen pictures, and return how well it finds what they show."""
    torch.manual_seed(0)
    kind = auto.model_class(CLASSES[name])
    assert kind is not None
    model = kind(kind.config_class(**SMALL[name]))
    images, things = pictures()
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, steps)
    model.train()
    for step in range(steps):
        some = torch.randperm(len(images))[:8]
        result = model(pixel_values=images[some], labels=[things[i] for i in some])
        optimizer.zero_grad()
        result.loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            parts = {key: round(float(part.detach()), 3) for key, part in result.loss_dict.items()}
            print(step + 1, parts, file=sys.stderr)
    model.eval()
    with torch.no_grad():
        return precision(model(pixel_values=images), things)


def main() -> None:
    """Train and tell."""
    start = time.perf_counter()
    steps = int(sys.argv[2]) if len(sys.argv) > 2 else 300
    found = train(sys.argv[1], steps)
    print(f"{sys.argv[1]}: mAP@0.5 {found:.3f} in {time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
