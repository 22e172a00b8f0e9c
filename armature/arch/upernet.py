"""UPerNet (Xiao et al., 2018): a pooled pyramid on any backbone gives each pixel a class."""

from __future__ import annotations

from typing import Any

from armature.arch._decoded import decoders
from armature.arch._nested import backbone, backbone_rows
from armature.config import Config
from armature.model.spec import Own
from armature.outputs.tasks import Head, Segmenter, Settings

DEFAULTS = {
    "backbone_config": None,
    "hidden_size": 512,
    "pool_scales": [1, 2, 3, 6],
    "use_auxiliary_head": True,
    "auxiliary_loss_weight": 0.4,
    "auxiliary_in_channels": None,
    "auxiliary_channels": 256,
    "auxiliary_num_convs": 1,
    "auxiliary_concat_input": False,
    "loss_ignore_index": 255,
}
_USUAL = {"model_type": "resnet", "out_features": ["stage1", "stage2", "stage3", "stage4"]}


def spec(c: Config) -> Own:
    """Return the anatomy."""

    def make() -> Any:
        from armature.outputs.backbones import OnBackbone

        return OnBackbone(backbone(c, _USUAL))

    return Own(make)


def _head(_spec: Head, c: Config, body: Any) -> Any:
    from armature.outputs.pixel_classes import PixelClasses, StretchedClasses

    return StretchedClasses(PixelClasses(c, body.backbone.channels, c.loss_ignore_index))


PREFIX = ""
NAMES: dict[str, Any] = {}  # the backbone brings its own


def names(c: Settings) -> dict[str, Any]:
    """Return our names → the disk's."""
    return backbone_rows(c, _USUAL)


IGNORED = ("attention.self.relative_position_index",)
UNUSED = (  # where there is no second decoder, or nothing is trained
    *("auxiliary_channels", "auxiliary_concat_input", "auxiliary_in_channels"),
    *("auxiliary_loss_weight", "auxiliary_num_convs", "loss_ignore_index"),
)

HEADS = {
    "UperNetForSemanticSegmentation": Segmenter(make=_head, names=decoders("conv", "batch_norm"))
}
INPUTS = "images"
