"""MobileViT (Mehta and Rastegari, 2021): a small convolutional net with transformers inside."""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.arch import convolved
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import (
    Attention,
    Block,
    Dense,
    Dropout,
    Entered,
    LayerNorm,
    Own,
    Pre,
    Stage,
    Stemless,
)
from armature.outputs.tasks import Base, ImageClassifier, Segmenter

DEFAULTS = {
    "num_channels": 3,
    "image_size": 256,
    "patch_size": 2,
    "hidden_sizes": [144, 192, 240],
    "neck_hidden_sizes": [16, 32, 64, 96, 128, 160, 640],
    "num_attention_heads": 4,
    "mlp_ratio": 2.0,
    "expand_ratio": 4.0,
    "hidden_act": "silu",
    "conv_kernel_size": 3,
    "output_stride": 32,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout_prob": 0.1,
    "layer_norm_eps": 1e-5,
    "qkv_bias": True,
    "aspp_out_channels": 256,
    "atrous_rates": [6, 12, 18],
    "aspp_dropout_prob": 0.1,
    "semantic_loss_ignore_index": 255,
}
_DEPTHS = (2, 4, 3)  # of the transformers in the last three stages


def spec(c: Config) -> Stemless:
    """Return the anatomy with the convolution that widens the last map."""
    *_, inputs, last = c.neck_hidden_sizes
    return _stages(c, Own(lambda: _conv(c, inputs, last)))


def _stages(c: Config, norm: Own | None = None) -> Stemless:
    """Return the anatomy; where maps shall shrink less, convolutions look further apart."""
    w = c.neck_hidden_sizes
    stages = [
        Stage((Own(partial(_inverted, c, w[0], w[1])),)),
        Stage(
            tuple(
                Own(partial(_inverted, c, w[2] if index else w[1], w[2], 1 if index else 2))
                for index in range(3)
            )
        ),
    ]
    apart, kept = 1, {8: (1, 2), 16: (2,)}.get(c.output_stride, ())
    for index, depth in enumerate(_DEPTHS):
        apart *= 2 if index in kept else 1
        stride, far = (2, 1) if apart == 1 else (1, apart // 2)
        down = Own(partial(_inverted, c, w[2 + index], w[3 + index], stride, far))
        block = Own(partial(_global, c, w[3 + index], c.hidden_sizes[index], depth))
        stages.append(Entered((block,), down))
    return Stemless(
        embed=Own(lambda: _stem(c)),
        stages=tuple(stages),
        norm=norm,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


def _conv(c: Config, inputs: int, outputs: int, kernel: int = 1, **how: Any) -> Any:
    from armature.layers.conv import ConvNorm

    return ConvNorm(inputs, outputs, kernel, **{"act": c.hidden_act} | how)


def _stem(c: Config) -> Any:
    from armature.layers.conv import Stem

    width = c.neck_hidden_sizes[0]
    return Stem(width, _conv(c, c.num_channels, width, 3, stride=2))


def _inverted(c: Config, inputs: int, width: int, stride: int = 1, dilation: int = 1) -> Any:
    """Build a block that widens, looks around channel by channel, and narrows."""
    from armature.layers.conv import Residual, Straight

    meant = round(inputs * c.expand_ratio)
    wide = max(8, (meant + 4) // 8 * 8)
    wide += 8 if wide < 0.9 * meant else 0
    steps = [
        _conv(c, inputs, wide),
        _conv(c, wide, wide, 3, stride=stride, groups=wide, dilation=dilation),
        _conv(c, wide, width, act="linear"),
    ]
    return (Residual if stride == 1 and inputs == width else Straight)(width, steps)


def _global(c: Config, channels: int, width: int, depth: int) -> Any:
    from dataclasses import replace

    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    from armature.batch import Layout
    from armature.layers.context import Context
    from armature.layers.norm import LayerNorm as Norm
    from armature.layers.patches import Convolution
    from armature.model.build import build_block

    heads = c.num_attention_heads
    if width % heads:
        raise ConfigError(f"config.json: {width} is no multiple of {heads} attention heads")
    block = Block(
        Pre(LayerNorm(c.layer_norm_eps)),
        Attention(heads, width // heads, bias=(c.qkv_bias, True)),
        Dense(int(width * c.mlp_ratio), c.hidden_act),
    )

    class GlobalBlock(nn.Module):
        """Convolutions around a transformer that sees, of every patch, the same place."""

        def __init__(self) -> None:
            super().__init__()
            self.width, self.side = channels, c.patch_size
            self.near = _conv(c, channels, channels, c.conv_kernel_size)
            self.into = Convolution(channels, width, 1, bias=False)
            self.blocks = nn.ModuleList(build_block(block, width) for _ in range(depth))
            self.norm = Norm(width, eps=c.layer_norm_eps)
            self.back = _conv(c, width, channels)
            self.join = _conv(c, 2 * channels, channels, c.conv_kernel_size)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(B, C, height, width) → the same; maps are stretched to whole patches."""
            y, side = self.into(self.near(x)), self.side
            whole = [-(-size // side) * side for size in x.shape[2:]]
            y = _stretched(y, whole)
            grid = y.unflatten(3, (-1, side)).unflatten(2, (-1, side))  # (B, D, h, p, w, p)
            grid = grid.permute(0, 3, 5, 2, 4, 1)
            length = grid.shape[3] * grid.shape[4]
            layout = Layout((length,) * (grid[..., 0].numel() // length), length, x.device)
            y = self._seen(grid.flatten(0, 4), replace(context, layout=layout))
            y = y.unflatten(0, grid.shape[:5]).permute(0, 5, 3, 1, 4, 2)
            y = _stretched(y.flatten(4, 5).flatten(2, 3), list(x.shape[2:]))
            return self.join(torch.cat((x, self.back(y)), 1))

        def _seen(self, tokens: Tensor, context: Context) -> Tensor:
            """Send packed sequences (N, D) through the transformer."""
            for one in self.blocks:
                tokens = one(tokens, context)
            return self.norm(tokens)

    def _stretched(x: Tensor, size: list[int]) -> Tensor:
        if list(x.shape[2:]) == size:
            return x
        return F.interpolate(x, size, mode="bilinear", align_corners=False)

    return GlobalBlock()


def _segments(_spec: Any, c: Config, body: Any) -> Any:
    from armature.layers.patches import Convolution
    from armature.outputs.pixel_classes import Atrous, Segments, Spread

    inputs, width = body.channels[-1], c.aspp_out_channels

    def conv(inputs: int, kernel: int = 1, apart: int = 1) -> Any:
        return _conv(c, inputs, width, kernel, dilation=apart, act="relu")

    views = [conv(inputs), *(conv(inputs, 3, rate) for rate in c.atrous_rates)]
    views.append(Spread(conv(inputs), corners=False))
    out, rates = Convolution(width, int(c.num_labels), 1), (c.aspp_dropout_prob,)
    net = Atrous(views, conv(len(views) * width), out, (*rates, c.classifier_dropout_prob))
    return Segments(net, c.semantic_loss_ignore_index)


PREFIX = "mobilevit"
_INVERTED = ("expand_1x1", "conv_3x3", "reduce_1x1")
_BLOCK = "encoder.layer.{i}.transformer.layer.{k}"
# fmt: off
NAMES = convolved({
    "embed.steps.0": "conv_stem",
    **{f"stages.{{i}}.blocks.{{j}}.steps.{step}": f"encoder.layer.{{i}}.layer.{{j}}.{theirs}"
       for step, theirs in enumerate(_INVERTED)},
    **{f"stages.{{i}}.down.steps.{step}": f"encoder.layer.{{i}}.downsampling_layer.{theirs}"
       for step, theirs in enumerate(_INVERTED)},
    "stages.{i}.blocks.0.near": "encoder.layer.{i}.conv_kxk",
    "stages.{i}.blocks.0.back": "encoder.layer.{i}.conv_projection",
    "stages.{i}.blocks.0.join": "encoder.layer.{i}.fusion",
    "norm": "conv_1x1_exp",
}) | {
    "stages.{i}.blocks.0.into": "encoder.layer.{i}.conv_1x1.convolution",
    "stages.{i}.blocks.0.norm": "encoder.layer.{i}.layernorm",
    "stages.{i}.blocks.0.blocks.{k}.attn_norm": f"{_BLOCK}.layernorm_before",
    "stages.{i}.blocks.0.blocks.{k}.attn.qkv":  f"{_BLOCK}.attention.attention.{{query,key,value}}",
    "stages.{i}.blocks.0.blocks.{k}.attn.out":  f"{_BLOCK}.attention.output.dense",
    "stages.{i}.blocks.0.blocks.{k}.mlp_norm":  f"{_BLOCK}.layernorm_after",
    "stages.{i}.blocks.0.blocks.{k}.mlp.up":    f"{_BLOCK}.intermediate.dense",
    "stages.{i}.blocks.0.blocks.{k}.mlp.down":  f"{_BLOCK}.output.dense",
}
UNUSED = ("aspp_dropout_prob", "aspp_out_channels", "atrous_rates", "classifier_dropout_prob",
          "image_size", "semantic_loss_ignore_index")  # most of them by a segmenter alone

HEADS = {
    "MobileViTModel":                   Base(pick="mean"),
    "MobileViTForImageClassification":  ImageClassifier(
        pick="mean", out="classifier", dropout="classifier_dropout_prob"),
    "MobileViTForSemanticSegmentation": Segmenter(
        make=_segments, body=_stages, names=convolved({
            "head.net.views.{i}":     "segmentation_head.aspp.convs.{i}",
            "head.net.views.4.inner": "segmentation_head.aspp.convs.4.conv_1x1",
            "head.net.join":          "segmentation_head.aspp.project",
        }) | {"head.net.out": "segmentation_head.classifier.convolution"}),
}
# fmt: on
INPUTS = "images"
