"""Faster R-CNN (Ren et al., 2015): boxes proposed on a feature pyramid, each looked at again.

Files have torchvision's names. Its second version (`fasterrcnn_resnet50_fpn_v2`) means
`rpn_conv_depth` 2, `box_conv_layers` [256, 256, 256, 256], `norm_layer` "batch" and `frozen_norms`
false. With `backbone_name` "mobilenet_v3_large" there are three maps: give so many `anchor_sizes`.
"""

from __future__ import annotations

from typing import Any

from armature.arch._photographed import BUFFERS, OLDER, SHARED, UNREAD, norms, parts, rows
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Own
from armature.outputs.tasks import Base, ObjectDetector

# fmt: off
DEFAULTS: dict[str, Any] = {
    **SHARED,
    "anchor_sizes": [[32], [64], [128], [256], [512]],
    "aspect_ratios": [[0.5, 1.0, 2.0]] * 5,
    "rpn_pre_nms_top_n_train": 2000, "rpn_pre_nms_top_n_test": 1000,
    "rpn_post_nms_top_n_train": 2000, "rpn_post_nms_top_n_test": 1000,
    "rpn_conv_depth": 1, "rpn_nms_thresh": 0.7, "rpn_score_thresh": 0.0,
    "rpn_fg_iou_thresh": 0.7, "rpn_bg_iou_thresh": 0.3,
    "rpn_batch_size_per_image": 256, "rpn_positive_fraction": 0.5,
    "box_roi_size": 7, "roi_sampling_ratio": 2, "representation_size": 1024,
    "box_conv_layers": [],  # with any, one map follows them instead of two
    "box_score_thresh": 0.05, "box_nms_thresh": 0.5, "box_detections_per_img": 100,
    "box_fg_iou_thresh": 0.5, "box_bg_iou_thresh": 0.5,
    "box_batch_size_per_image": 512, "box_positive_fraction": 0.25,
    "bbox_reg_weights": [10.0, 10.0, 5.0, 5.0],
}
# fmt: on


def spec(c: Config) -> Own:
    """Return the anatomy."""

    def make() -> Any:
        from armature.model.regional import Regional

        return Regional(*regions(c))

    return Own(make)


def regions(c: Config) -> tuple[Any, ...]:
    """Return the parts of a body that looks at proposals."""
    from armature.layers.anchors import Matcher
    from armature.model.proposals import Picking, Proposals
    from armature.model.regional import Judging

    picking = Picking(
        (c.rpn_pre_nms_top_n_train, c.rpn_pre_nms_top_n_test),
        (c.rpn_post_nms_top_n_train, c.rpn_post_nms_top_n_test),
        c.rpn_nms_thresh,
        c.rpn_score_thresh,
        Matcher(c.rpn_fg_iou_thresh, c.rpn_bg_iou_thresh, best=True),
        c.rpn_batch_size_per_image,
        c.rpn_positive_fraction,
    )
    judging = Judging(
        c.num_labels,
        c.box_roi_size,
        c.roi_sampling_ratio,
        c.representation_size,
        tuple(c.bbox_reg_weights),
        c.box_score_thresh,
        c.box_nms_thresh,
        c.box_detections_per_img,
        Matcher(c.box_fg_iou_thresh, c.box_bg_iou_thresh),
        c.box_batch_size_per_image,
        c.box_positive_fraction,
        tuple(c.box_conv_layers),
        norms(c),
    )
    made = parts(c, (1, 2, 3, 4), "Halved", norms(c))
    maps = len(made[2]) + 1
    if not len(c.anchor_sizes) == len(c.aspect_ratios) == maps:
        raise ConfigError(
            f"config.json: anchor_sizes and aspect_ratios should have {maps} rows, for as many maps"
        )
    cells = (c.anchor_sizes, c.aspect_ratios)
    proposals = Proposals(c.pyramid_width, *cells, picking, c.rpn_conv_depth)
    return (*made, proposals, judging)


PREFIX = ""
# fmt: off
NAMES = rows() | {
    "proposals.convs":  "rpn.head.conv",
    "proposals.scores": "rpn.head.cls_logits",
    "proposals.codes":  "rpn.head.bbox_pred",
    "seen.{i}":         "roi_heads.box_head.{i}",
    "first":            "roi_heads.box_head.fc6",
    "second":           "roi_heads.box_head.fc7",
    "scores":           "roi_heads.box_predictor.cls_score",
    "codes":            "roi_heads.box_predictor.bbox_pred",
}
# fmt: on


def names(c: Config) -> dict[str, str]:
    """Return our names → the disk's: behind convolutions, maps are counted on."""
    depth = len(c.box_conv_layers)
    own = NAMES | rows(c.backbone_name)
    return own | ({"first": f"roi_heads.box_head.{depth + 1}"} if depth else {})


ALIASES = OLDER | {"rpn.head.conv": "rpn.head.conv.0.0"}
IGNORED = BUFFERS
UNUSED = UNREAD

HEADS = {"FasterRCNNModel": Base(), "FasterRCNNForObjectDetection": ObjectDetector()}
INPUTS = "images"
