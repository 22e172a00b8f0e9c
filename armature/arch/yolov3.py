"""YOLOv3 (Redmon and Farhadi, 2018): Darknet-53 and three maps of boxes, in one pass.

The published `yolov3-spp` means `pool_sizes` [5, 9, 13]. `yolov3-tiny` means `tiny` true, `widths`
[16, 32, 64, 128, 256, 512, 1024] and six `anchors`, [10, 14] to [344, 319].
"""

from __future__ import annotations

from typing import Any

from armature.config import Config
from armature.model.spec import Own
from armature.outputs.tasks import Base, ObjectDetector

# fmt: off
DEFAULTS: dict[str, Any] = {
    "num_channels": 3, "image_size": 416,
    "widths": [32, 64, 128, 256, 512, 1024], "depths": [1, 2, 8, 8, 4],
    "anchors": [[10, 13], [16, 30], [33, 23], [30, 61], [62, 45], [59, 119],
                [116, 90], [156, 198], [373, 326]],
    "tiny": False,  # maps shrink by pooling, and boxes are found on two of them
    "pool_sizes": [],  # of squares on the coarsest map, whose largest numbers are seen, too
    "score_thresh": 0.05, "nms_thresh": 0.45, "detections_per_img": 100, "ignore_thresh": 0.7,
    "num_labels": 80,
}
# fmt: on


def spec(c: Config) -> Own:
    """Return the anatomy."""

    def make() -> Any:
        from armature.model.darknet import Darknet, Layout

        return Darknet(
            Layout(
                c.num_channels,
                tuple(c.widths),
                tuple(c.depths),
                tuple((one[0], one[1]) for one in c.anchors),
                c.num_labels,
                c.image_size,
                c.score_thresh,
                c.nms_thresh,
                c.detections_per_img,
                c.ignore_thresh,
                c.tiny,
                tuple(c.pool_sizes),
            )
        )

    return Own(make)


PREFIX = ""
NAMES = {
    "layers.{i}.conv": "module_list.{i}.conv_{i}",
    "layers.{i}.norm": "module_list.{i}.batch_norm_{i}",
}
IGNORED = ("num_batches_tracked",)
UNUSED = ("id2label", "label2id")

HEADS = {"YOLOv3Model": Base(), "YOLOv3ForObjectDetection": ObjectDetector()}
INPUTS = "images"
