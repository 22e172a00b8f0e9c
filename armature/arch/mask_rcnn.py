"""Mask R-CNN (He et al., 2017): Faster R-CNN that draws the pixels of each thing, too."""

from __future__ import annotations

from typing import Any

from armature.arch import faster_rcnn
from armature.config import Config
from armature.model.spec import Own
from armature.outputs.tasks import Base, InstanceSegmenter

LIKE = faster_rcnn
DEFAULTS = faster_rcnn.DEFAULTS | {
    "mask_layers": [256, 256, 256, 256],
    "mask_dim_reduced": 256,
    "mask_roi_size": 14,
}


def spec(c: Config) -> Own:
    """Return the anatomy."""

    def make() -> Any:
        from armature.model.region_masks import MaskedRegional

        layers, inner, side = tuple(c.mask_layers), c.mask_dim_reduced, c.mask_roi_size
        return MaskedRegional(*faster_rcnn.regions(c), layers=layers, inner=inner, side=side)

    return Own(make)


NAMES = faster_rcnn.NAMES | {
    "convs": "roi_heads.mask_head",
    "grow": "roi_heads.mask_predictor.conv5_mask",
    "pixels": "roi_heads.mask_predictor.mask_fcn_logits",
}


def names(c: Config) -> dict[str, str]:
    """Return our names → the disk's."""
    return NAMES | faster_rcnn.names(c)


ALIASES = faster_rcnn.ALIASES | {
    f"roi_heads.mask_head.mask_fcn{index + 1}": f"roi_heads.mask_head.{index}.0"
    for index in range(4)
}

HEADS = {
    "MaskRCNNModel": Base(),
    "MaskRCNNForInstanceSegmentation": InstanceSegmenter(also=("ObjectDetection",)),
}
