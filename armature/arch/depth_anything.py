"""Depth Anything (Yang et al., 2024): DPT's neck on a DINOv2, each map stretched to the next."""

from __future__ import annotations

from typing import Any

from armature.arch import sides
from armature.arch._nested import backbone, backbone_rows
from armature.arch._reassembled import neck_rows
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Own
from armature.outputs.tasks import Head, Settings

DEFAULTS = {
    "backbone_config": None,
    "patch_size": 14,
    "reassemble_hidden_size": 384,
    "reassemble_factors": [4, 2, 1, 0.5],
    "neck_hidden_sizes": [48, 96, 192, 384],
    "fusion_hidden_size": 64,
    "head_in_index": -1,
    "head_hidden_size": 32,
    "depth_estimation_type": "relative",
    "max_depth": 1,
}
_USUAL = {
    "model_type": "dinov2",
    "image_size": 518,
    "hidden_size": 384,
    "num_attention_heads": 6,
    "out_indices": [9, 10, 11, 12],
    "reshape_hidden_states": False,
}


def spec(c: Config) -> Own:
    """Return the anatomy."""

    def make() -> Any:
        from armature.outputs.backbones import OnBackbone

        return OnBackbone(backbone(c, _USUAL))

    return Own(make)


def _head(_spec: Head, c: Config, _body: Any) -> Any:
    """Return what tells depths.

    Raises:
        ConfigError: they are of no known kind.
    """
    from armature.layers.reassemble import FusedMaps, Neck, Reassemble
    from armature.outputs.fused import Depth, DepthHead

    kind = c.depth_estimation_type
    if kind not in ("relative", "metric"):
        raise ConfigError(
            f"config.json: depth_estimation_type is {kind!r}, but should be 'relative' or 'metric'"
        )
    fused = FusedMaps(c.neck_hidden_sizes, c.fusion_hidden_size)
    fused.fitted = True
    pairs = zip(c.neck_hidden_sizes, c.reassemble_factors, strict=True)
    states = [Reassemble(c.reassemble_hidden_size, one, factor, None) for one, factor in pairs]
    depth = Depth(c.fusion_hidden_size, c.head_hidden_size)
    made = DepthHead(Neck(states, fused), [], sides(c.patch_size), depth, c.head_in_index)
    made.of_patches, made.bounded = True, kind == "metric"
    made.scale = 1 if c.max_depth is None else c.max_depth
    return made


PREFIX = ""
NAMES: dict[str, Any] = {}  # the backbone brings its own


def names(c: Settings) -> dict[str, Any]:
    """Return our names → the disk's."""
    return backbone_rows(c, _USUAL)


UNUSED = ("depth_estimation_type",)

HEADS = {
    "DepthAnythingForDepthEstimation": Head(
        make=_head,
        names=neck_rows()
        | {
            "head.depth.first": "head.conv1",
            "head.depth.second": "head.conv2",
            "head.depth.out": "head.conv3",
        },
        also=("DepthEstimation",),
    ),
}
INPUTS = "images"
