"""EfficientDet (Tan et al., 2020): EfficientNet and BiFPN, in files of the package effdet.

Labels count from 0; the package's own answers begin at 1, with nothing as 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from armature.arch import refuse, sides
from armature.arch._scaled_backbone import backbone, rows
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Own
from armature.outputs.tasks import Base, ObjectDetector

# fmt: off
DEFAULTS: dict[str, Any] = {
    "backbone_name": "tf_efficientnet_b0", "backbone_args": None, "backbone_indices": None,
    "width_coefficient": None, "depth_coefficient": None,  # as the backbone's name says
    "image_size": [512, 512], "num_channels": 3,
    "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225],
    "num_classes": 90,
    "min_level": 3, "max_level": 7, "num_levels": 5,
    "num_scales": 3, "aspect_ratios": [[1.0, 1.0], [1.4, 0.7], [0.7, 1.4]], "anchor_scale": 4.0,
    "pad_type": "same", "act_type": "swish", "head_act_type": None,
    "norm_layer": None, "norm_kwargs": {"eps": 0.001, "momentum": 0.01},
    "box_class_repeats": 3, "fpn_cell_repeats": 3, "fpn_channels": 64,
    "fpn_name": None, "fpn_config": None,
    "separable_conv": True, "apply_resample_bn": True, "conv_bn_relu_pattern": False,
    "downsample_type": "max", "upsample_type": "nearest", "redundant_bias": True,
    "head_bn_level_first": False,
    "alpha": 0.25, "gamma": 1.5, "label_smoothing": 0.0, "delta": 0.1, "box_loss_weight": 50.0,
    "soft_nms": False, "max_detection_points": 5000, "max_det_per_image": 100,
}
SYNONYMS = {"num_labels": "num_classes"}
_WEIGHTS = {None: "fastattn", "bifpn_fa": "fastattn", "bifpn_attn": "attn", "bifpn_sum": "sum"}
# fmt: on


def _levels(c: Config) -> int:
    """Return the number of maps, and refuse what is not done here."""
    levels = c.max_level - c.min_level + 1
    if c.num_levels != levels:
        raise ConfigError(
            f"config.json: num_levels is {c.num_levels}, but there are {levels} levels from "
            f"min_level {c.min_level} to max_level {c.max_level}"
        )
    if c.fpn_name not in _WEIGHTS:
        refuse(c, fpn_name="bifpn_fa")
    if c.downsample_type == "avg":
        refuse(c, downsample_type="max")
    refuse(c, soft_nms=False, label_smoothing=0.0, norm_layer=None, fpn_config=None)
    return levels


def spec(c: Config) -> Own:
    """Return the anatomy."""
    levels = _levels(c)

    def make() -> Any:
        from armature.layers.bifpn import BiFPN, Meeting, Style
        from armature.model import level_boxes as m

        norm = {"eps": 1e-5, "momentum": 0.1} | dict(c.norm_kwargs or {})
        how = (not c.conv_bn_relu_pattern, c.separable_conv, c.redundant_bias)
        style = Style(c.fpn_channels, c.act_type, *how, **norm)
        meeting = Meeting(
            _WEIGHTS[c.fpn_name],
            c.downsample_type or "max",
            c.upsample_type or "nearest",
            c.pad_type == "same",
            c.apply_resample_bn,
        )
        pyramid, stages = backbone(c)
        channels = [pyramid.channels[stage] for stage in stages]

        def head(numbers: int, kind: Any) -> Any:
            like = replace(style, act=c.head_act_type or c.act_type)
            outputs = numbers * c.num_scales * len(c.aspect_ratios)
            first = c.head_bn_level_first
            return m.LevelHead(like, c.box_class_repeats, levels, outputs, kind, level_first=first)

        labels = int(c.num_labels)
        return m.LevelBoxes(
            m.Framed(c.mean, c.std, sides(c.image_size)),
            pyramid,
            stages,
            BiFPN(channels, levels, c.fpn_cell_repeats, style, meeting),
            (head(labels, m.Unlikely), head(4, m.Fanned)),
            m.Rules(
                m.shaped(c.anchor_scale, c.num_scales, c.aspect_ratios),
                labels,
                c.max_detection_points,
                c.max_det_per_image,
                *(c.alpha, c.gamma, c.delta, c.box_loss_weight),
            ),
        )

    return Own(make)


PREFIX = ""
NAMES = {"neck": "fpn", "class_net": "class_net", "box_net": "box_net"}


def names(c: Config) -> dict[str, str]:
    """Return our names → the disk's."""
    return NAMES | rows(c)


IGNORED = ("num_batches_tracked", "anchors.boxes")
UNUSED = (
    *("name", "url", "jit_loss", "fpn_drop_path_rate"),
    "legacy_focal",  # the same numbers in another order
    *("id2label", "label2id"),
)

HEADS = {"EfficientDetModel": Base(), "EfficientDetForObjectDetection": ObjectDetector()}
INPUTS = "images"
