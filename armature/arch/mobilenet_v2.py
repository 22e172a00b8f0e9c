"""MobileNetV2 (Sandler et al., 2018): blocks that widen, look around channel by channel, narrow."""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.arch import convolved
from armature.config import Config
from armature.model.spec import Own, Stage, Stemless
from armature.outputs.tasks import Base, ImageClassifier, Segmenter

DEFAULTS = {
    "num_channels": 3,
    "image_size": 224,
    "depth_multiplier": 1.0,
    "depth_divisible_by": 8,
    "min_depth": 8,
    "expand_ratio": 6.0,
    "output_stride": 32,
    "first_layer_is_expansion": True,
    "finegrained_output": True,
    "hidden_act": "relu6",
    "tf_padding": True,
    "classifier_dropout_prob": 0.8,
    "layer_norm_eps": 0.001,
    "semantic_loss_ignore_index": 255,
}
_WIDTHS = (16, 24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96, 160, 160, 160, 320)
_STRIDES = (2, 1, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1)


def spec(c: Config) -> Stemless:
    """Return the anatomy: every block is a stage."""
    widths, stages, reached, apart = [_times(c, width) for width in _WIDTHS], [], 2, 1
    for index, stride in enumerate(_STRIDES):
        how = {"stride": stride, "dilation": 1}
        if reached == c.output_stride:  # look further apart instead of shrinking
            how = {"stride": 1, "dilation": apart}
            apart *= stride
        reached *= how["stride"]
        make = partial(_block, c, widths[index], widths[index + 1], **how)
        stages.append(Stage((Own(make),)))
    fine = c.finegrained_output and c.depth_multiplier < 1.0
    last = 1280 if fine else _times(c, 1280)
    return Stemless(
        embed=Own(lambda: _stem(c, _times(c, 32), widths[0])),
        stages=tuple(stages),
        norm=Own(lambda: _conv(c, widths[-1], last)),
    )


def _times(c: Config, channels: int) -> int:
    return _round(c, round(channels * c.depth_multiplier))


def _round(c: Config, channels: int) -> int:
    """Return a multiple of `depth_divisible_by`, never less than nine tenths."""
    unit = c.depth_divisible_by
    near = max(c.min_depth, int(channels + unit / 2) // unit * unit)
    return int(near + unit if near < 0.9 * channels else near)


def _conv(c: Config, *sizes: int, act: str = "", eps: float = 0.0, **how: int) -> Any:
    from armature.layers.conv import ConvNorm, SameConvNorm

    kind = SameConvNorm if c.tf_padding else ConvNorm
    made = kind(*sizes, act=act or c.hidden_act, eps=eps or c.layer_norm_eps, **how)
    made.norm.momentum = 0.997
    return made


def _stem(c: Config, wide: int, width: int) -> Any:
    from torch import nn

    from armature.layers.conv import Stem

    return Stem(
        width,
        _conv(c, c.num_channels, wide, 3, stride=2),
        nn.Identity() if c.first_layer_is_expansion else _conv(c, wide, wide),
        _conv(c, wide, wide, 3, groups=wide),
        _conv(c, wide, width, act="linear"),
    )


def _block(c: Config, inputs: int, width: int, stride: int, dilation: int) -> Any:
    from armature.layers.conv import Residual, Straight

    wide = _round(c, round(inputs * c.expand_ratio))
    steps = [
        _conv(c, inputs, wide),
        _conv(c, wide, wide, 3, stride=stride, groups=wide, dilation=dilation),
        _conv(c, wide, width, act="linear"),
    ]
    return (Residual if stride == 1 and inputs == width else Straight)(width, steps)


def _segments(_spec: Any, c: Config, body: Any) -> Any:
    from armature.layers.patches import Convolution
    from armature.outputs.pixel_classes import Atrous, Segments, Spread

    def conv(inputs: int) -> Any:
        return _conv(c, inputs, 256, act="relu", eps=1e-5)

    views = [Spread(conv(body.channels[-1]), corners=True), conv(body.channels[-1])]
    out = Convolution(256, int(c.num_labels), 1)
    net = Atrous(views, conv(512), out, (0.0, c.classifier_dropout_prob))
    return Segments(net, c.semantic_loss_ignore_index)


PREFIX = "mobilenet_v2"
NAMES = convolved(
    {
        "embed.steps.0": "conv_stem.first_conv",
        "embed.steps.1": "conv_stem.expand_1x1",
        "embed.steps.2": "conv_stem.conv_3x3",
        "embed.steps.3": "conv_stem.reduce_1x1",
        "stages.{i}.blocks.0.steps.0": "layer.{i}.expand_1x1",
        "stages.{i}.blocks.0.steps.1": "layer.{i}.conv_3x3",
        "stages.{i}.blocks.0.steps.2": "layer.{i}.reduce_1x1",
        "norm": "conv_1x1",
    }
)
UNUSED = ("classifier_dropout_prob", "image_size", "semantic_loss_ignore_index")

HEADS = {
    "MobileNetV2Model": Base(pick="mean"),
    "MobileNetV2ForImageClassification": ImageClassifier(
        pick="mean", out="classifier", dropout="classifier_dropout_prob"
    ),
    "MobileNetV2ForSemanticSegmentation": Segmenter(
        make=_segments,
        names=convolved(
            {
                "head.net.views.0.inner": "segmentation_head.conv_pool",
                "head.net.views.1": "segmentation_head.conv_aspp",
                "head.net.join": "segmentation_head.conv_projection",
            }
        )
        | {"head.net.out": "segmentation_head.classifier.convolution"},
    ),
}
INPUTS = "images"
