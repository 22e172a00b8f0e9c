"""RetinaNet (Lin et al., 2017): labels and boxes for every place of a feature pyramid at once.

Files have torchvision's names. Its second version (`retinanet_resnet50_fpn_v2`) means
`norm_layer` "group", `extra_channels` 2048, `box_loss` "giou" and `frozen_norms` false.
"""

from __future__ import annotations

from typing import Any

from armature.arch import refuse
from armature.arch._photographed import BUFFERS, OLDER, SHARED, UNREAD, norms, parts, rows
from armature.config import Config
from armature.model.spec import Own
from armature.outputs.tasks import Base, ObjectDetector

# fmt: off
DEFAULTS: dict[str, Any] = {
    **SHARED,
    "anchor_sizes": [[x, int(x * 2 ** (1 / 3)), int(x * 2 ** (2 / 3))]
                     for x in (32, 64, 128, 256, 512)],
    "aspect_ratios": [[0.5, 1.0, 2.0]] * 5,
    "score_thresh": 0.05, "nms_thresh": 0.5, "detections_per_img": 300, "topk_candidates": 1000,
    "extra_channels": None,  # of the map that the two coarsest come of, if it is the ResNet's
    "box_loss": "l1",
    "fg_iou_thresh": 0.5, "bg_iou_thresh": 0.4,
}
# fmt: on


def spec(c: Config) -> Own:
    """Return the anatomy."""
    refuse(c, backbone_name="resnet")
    if c.box_loss != "giou":
        refuse(c, box_loss="l1")

    def make() -> Any:
        from armature.layers.anchors import Matcher
        from armature.model.dense_boxes import Choosing, Dense

        choosing = Choosing(
            c.num_labels,
            c.score_thresh,
            c.topk_candidates,
            c.nms_thresh,
            c.detections_per_img,
            Matcher(c.fg_iou_thresh, c.bg_iou_thresh, best=True),
            norms(c),
            c.box_loss == "giou",
        )
        cells = (c.anchor_sizes, c.aspect_ratios)
        return Dense(*parts(c, (2, 3, 4), "Strided"), cells, choosing)

    return Own(make)


PREFIX = ""
NAMES = rows() | {
    "label_convs": "head.classification_head.conv",
    "scores": "head.classification_head.cls_logits",
    "box_convs": "head.regression_head.conv",
    "codes": "head.regression_head.bbox_reg",
}
# Files of the first years counted the activations, too.
ALIASES = OLDER | {
    f"head.{half}_head.conv.{2 * index}": f"head.{half}_head.conv.{index}.0"
    for half in ("classification", "regression")
    for index in range(4)
}
IGNORED = BUFFERS
UNUSED = UNREAD

HEADS = {"RetinaNetModel": Base(), "RetinaNetForObjectDetection": ObjectDetector()}
INPUTS = "images"
