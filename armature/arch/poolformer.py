"""PoolFormer (Yu et al., 2021): a transformer whose attention is the mean of the neighbours."""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.config import Config
from armature.model.spec import Dropout, Entered, Own, Stage, Stemless
from armature.outputs.tasks import Base, ImageClassifier

DEFAULTS = {
    "num_channels": 3,
    "patch_size": 16,
    "stride": 16,
    "pool_size": 3,
    "mlp_ratio": 4.0,
    "depths": [2, 2, 6, 2],
    "hidden_sizes": [64, 128, 320, 512],
    "patch_sizes": [7, 3, 3, 3],
    "strides": [4, 2, 2, 2],
    "padding": [2, 1, 1, 1],
    "num_encoder_blocks": 4,
    "drop_path_rate": 0.0,
    "hidden_act": "gelu",
    "use_layer_scale": True,
    "layer_scale_init_value": 1e-5,
}


def spec(c: Config, norm: Own | None = None) -> Stemless:
    """Return the anatomy: what embeds is the first stage's convolution."""
    stages = []
    for index in range(c.num_encoder_blocks):
        blocks = tuple(Own(partial(_block, c, index)) for _ in range(c.depths[index]))
        down = Own(partial(_conv, c, index))
        stages.append(Entered(blocks, down) if index else Stage(blocks))
    return Stemless(
        embed=Own(lambda: _stem(c)),
        stages=tuple(stages),
        norm=norm,
        dropout=Dropout(path=c.drop_path_rate),
    )


def _normed(c: Config) -> Stemless:
    """Return the anatomy with the norm that a classifier's labels read."""
    return spec(c, Own(lambda: _norm(c.hidden_sizes[-1], of_task=True)))


def _norm(width: int, *, of_task: bool = False) -> Any:
    from torch import nn

    made = nn.GroupNorm(1, width)
    made.of_task = ("weight", "bias") if of_task else ()  # type: ignore[assignment]
    return made


def _conv(c: Config, index: int) -> Any:
    from armature.layers.patches import Convolution

    inputs = c.hidden_sizes[index - 1] if index else c.num_channels
    how = {"stride": c.strides[index], "padding": c.padding[index]}
    return Convolution(inputs, c.hidden_sizes[index], c.patch_sizes[index], **how)


def _stem(c: Config) -> Any:
    from armature.layers.conv import Stem

    return Stem(c.hidden_sizes[0], _conv(c, 0))


def _block(c: Config, index: int) -> Any:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    from armature.layers.act import activation
    from armature.layers.drop import Skipping
    from armature.layers.patches import Convolution

    class PoolBlock(Skipping):
        """x + scale · (means of neighbours − x), then the same with two convolutions."""

        def __init__(self, width: int) -> None:
            super().__init__()
            inner = int(width * c.mlp_ratio)
            self.width, self.side = width, c.pool_size
            self.attn_norm, self.mlp_norm = _norm(width), _norm(width)
            self.up, self.down = Convolution(width, inner, 1), Convolution(inner, width, 1)
            self.act = activation(c.hidden_act)
            self.first = c.layer_scale_init_value
            self.scale = self.mlp_scale = None
            if c.use_layer_scale:
                self.scale = nn.Parameter(torch.empty(width))
                self.mlp_scale = nn.Parameter(torch.empty(width))

        def compute(self, scale: Tensor) -> None:
            """Fill a fresh scale: at first a block adds next to nothing."""
            scale.fill_(self.first)

        def forward(self, x: Tensor, context: Any) -> Tensor:
            """(B, D, height, width) → the same."""
            x = x + self._scaled(self._around(self.attn_norm(x)), self.scale)
            y = self.down(self.act(self.up(self.mlp_norm(x))))
            return x + self._scaled(y, self.mlp_scale)

        def _around(self, x: Tensor) -> Tensor:
            """Return what neighbours have more than a place itself."""
            half = self.side // 2
            means = F.avg_pool2d(x, self.side, stride=1, padding=half, count_include_pad=False)
            return means - x

        def _scaled(self, x: Tensor, scale: Tensor | None) -> Tensor:
            return self.skip(x if scale is None else scale[:, None, None] * x)

    return PoolBlock(c.hidden_sizes[index])


PREFIX = "poolformer"
# fmt: off
NAMES = {
    "embed.steps.0":   "encoder.patch_embeddings.0.projection",
    "stages.{i}.down": "encoder.patch_embeddings.{i}.projection",
    "stages.{i}.blocks.{j}.attn_norm": "encoder.block.{i}.{j}.before_norm",
    "stages.{i}.blocks.{j}.mlp_norm":  "encoder.block.{i}.{j}.after_norm",
    "stages.{i}.blocks.{j}.up":        "encoder.block.{i}.{j}.output.conv1",
    "stages.{i}.blocks.{j}.down":      "encoder.block.{i}.{j}.output.conv2",
    "stages.{i}.blocks.{j}.scale":     "encoder.block.{i}.{j}.layer_scale_1",
    "stages.{i}.blocks.{j}.mlp_scale": "encoder.block.{i}.{j}.layer_scale_2",
}
UNUSED = ("layer_scale_init_value", "patch_size", "stride")

HEADS = {
    "PoolFormerModel":                  Base(),
    "PoolFormerForImageClassification": ImageClassifier(
        pick="mean", out="classifier", body=_normed, names={"norm": "norm"}),
}
# fmt: on
INPUTS = "images"
