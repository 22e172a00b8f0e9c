"""Detectors on a ResNet with a feature pyramid: what their files build, and name, alike."""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.arch import find, refuse
from armature.arch._encoders import slim
from armature.config import Config

# fmt: off
SHARED: dict[str, Any] = {
    "backbone_name": "resnet",
    "num_channels": 3, "embedding_size": 64, "hidden_sizes": [256, 512, 1024, 2048],
    "depths": [3, 4, 6, 3], "layer_type": "bottleneck", "hidden_act": "relu",
    "downsample_in_first_stage": False, "downsample_in_bottleneck": False,
    "frozen_norms": True,
    "pyramid_width": 256,
    "norm_layer": None,  # behind convolutions of the pyramid and of heads: null, "batch" or "group"
    "min_size": 800, "max_size": 1333, "size_divisor": 32,
    "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    "num_labels": 91,
}
# fmt: on


def norms(c: Config) -> Any:
    """Return what makes a norm of a width, or None.

    Raises:
        ConfigError: there are no such norms.
    """
    from torch.nn import GroupNorm

    from armature.layers.conv import BatchNorm

    kinds = {None: None, "batch": BatchNorm, "group": partial(GroupNorm, 32)}
    if c.norm_layer not in kinds:
        refuse(c, norm_layer=None)
    return kinds[c.norm_layer]


def parts(
    c: Config, stages: tuple[int, ...], extra: str, norm: Any = None
) -> tuple[Any, Any, Any, Any]:
    """Build what resizes images, the backbone, and the feature pyramid on some of its stages."""
    from armature.layers import feature_pyramid
    from armature.layers.conv import freeze
    from armature.model.build import build
    from armature.model.photos import Photos

    photos = Photos(c.image_mean, c.image_std, c.min_size, c.max_size, c.size_divisor)
    if c.backbone_name in slim.SIZES:
        stages, made = (5, 6), slim.encoder(c.backbone_name, c.num_channels)
    else:
        refuse(c, backbone_name="resnet")
        made = build(find("resnet").spec(c))
    body: Any = freeze(made) if c.frozen_norms else made
    width = c.pyramid_width
    further = getattr(feature_pyramid, extra)
    more = further(c.extra_channels or width, width) if extra == "Strided" else further()
    channels = [body.channels[stage] for stage in stages]
    return photos, body, stages, feature_pyramid.FeaturePyramid(channels, width, more, norm)


def rows(backbone: str = "") -> dict[str, str]:
    """Return the rows of names of the backbone, a ResNet if it has no name, and the pyramid."""
    found = slim.rows(backbone) if backbone in slim.SIZES else find("resnet").timm_rows()
    return {f"pyramid.{ours}": f"backbone.body.{theirs}" for ours, theirs in found.items()} | {
        "neck.inner.{i}": "backbone.fpn.inner_blocks.{i}.0",
        "neck.out.{i}": "backbone.fpn.layer_blocks.{i}.0",
        "neck.inner_norm.{i}": "backbone.fpn.inner_blocks.{i}.1",
        "neck.out_norm.{i}": "backbone.fpn.layer_blocks.{i}.1",
        "neck.extra.first": "backbone.fpn.extra_blocks.p6",
        "neck.extra.second": "backbone.fpn.extra_blocks.p7",
    }


# Names of files of the first years.
OLDER = {
    "backbone.fpn.inner_blocks.{i}": "backbone.fpn.inner_blocks.{i}.0",
    "backbone.fpn.layer_blocks.{i}": "backbone.fpn.layer_blocks.{i}.0",
}
BUFFERS = ("num_batches_tracked",)
UNREAD = ("out_features", "out_indices", "stage_names", "id2label", "label2id")
