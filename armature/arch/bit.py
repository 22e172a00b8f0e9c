"""BiT (Kolesnikov et al., 2019): ResNet with standardised weights and norms over groups."""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Dropout, Own, Pyramid, Stage
from armature.outputs.tasks import Backbone, ImageClassifier, PooledMap

DEFAULTS = {
    "num_channels": 3,
    "embedding_size": 64,
    "hidden_sizes": [256, 512, 1024, 2048],
    "depths": [3, 4, 6, 3],
    "layer_type": "preactivation",
    "hidden_act": "relu",
    "global_padding": None,
    "num_groups": 32,
    "drop_path_rate": 0.0,
    "embedding_dynamic_padding": False,
    "output_stride": 32,
    "width_factor": 1,
    "out_features": None,
    "out_indices": None,
}


def spec(c: Config) -> Pyramid:
    """Return the anatomy; where maps shall shrink less, convolutions look further apart.

    Raises:
        ConfigError: its layers, or its paddings, are of a kind that does not exist.
    """
    kinds = {"layer_type": ("preactivation", "bottleneck"), "global_padding": ("", "SAME", "VALID")}
    for key, known in kinds.items():
        if (c.get(key) or "").upper() not in [word.upper() for word in known]:
            raise ConfigError(f"config.json: {key} is {c.get(key)!r}, but should be one of {known}")
    stages, inputs, reached, apart = [], c.embedding_size, 4, 1
    for index, (meant, depth) in enumerate(zip(c.hidden_sizes, c.depths, strict=False)):
        width, stride = _eights(meant * c.width_factor), 2 if index else 1
        if reached >= c.output_stride:
            apart, stride = apart * stride, 1
        reached *= stride
        near = 1 if apart in (1, 2) else 2
        first = partial(_block, c, (inputs, width), stride, near, first=True)
        rest = partial(_block, c, (width, width), 1, apart, first=False)
        stages.append(Stage((Own(first), *(Own(rest) for _ in range(depth - 1)))))
        inputs = width
    before = c.layer_type == "preactivation"
    return Pyramid(
        embed=Own(lambda: _stem(c)),
        stages=tuple(stages),
        norm=Own(lambda: _norm(c, inputs)) if before else None,
        dropout=Dropout(path=c.drop_path_rate),
    )


def _eights(channels: float) -> int:
    """Return a multiple of eight, never less than nine tenths."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near


def _conv(c: Config, inputs: int, outputs: int, side: int, stride: int = 1, apart: int = 1) -> Any:
    from torch import Tensor
    from torch.nn import functional as F

    from armature.layers.patches import Convolution

    padding = (c.global_padding or "").upper()

    class Standardised(Convolution):
        """The weights of each channel have the mean zero and the spread one (Qiao et al., 2019)."""

        def forward(self, input: Tensor) -> Tensor:
            """(B, C, height, width) → (B, D, …)."""
            flat = self.weight.reshape(1, outputs, -1)
            weight = F.batch_norm(flat, None, None, training=True, momentum=0.0, eps=1e-8)
            weight, around = weight.view_as(self.weight), 0
            if padding == "SAME":
                input = _whole(input, side, stride, apart)
            elif not padding:
                around = (stride - 1 + apart * (side - 1)) // 2
            return F.conv2d(input, weight, None, stride, around, apart)

    return Standardised(inputs, outputs, side, stride=stride, dilation=apart, bias=False)


def _whole(x: Any, side: int, stride: int, apart: int = 1) -> Any:
    """Pad a map so that nothing of it is left over, and rather at its end."""
    from torch.nn import functional as F

    pads: list[int] = []
    for size in (x.shape[3], x.shape[2]):
        total = max((-(-size // stride) - 1) * stride + (side - 1) * apart + 1 - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads)


def _norm(c: Config, width: int, *, acts: bool = True) -> Any:
    from torch import Tensor, nn

    from armature.layers.act import activation

    class GroupNorm(nn.GroupNorm):
        """A norm over groups of channels (Wu and He, 2018), and an activation."""

        def __init__(self) -> None:
            super().__init__(c.num_groups, width)
            self.act = activation(c.hidden_act if acts else "linear")

        def forward(self, input: Tensor) -> Tensor:
            """(B, C, height, width) → the same."""
            return self.act(super().forward(input))

    return GroupNorm()


def _stem(c: Config) -> Any:
    from torch import Tensor, nn
    from torch.nn import functional as F

    from armature.layers.conv import Stem

    class Pool(nn.Module):
        """The largest of nine neighbours, of every second place."""

        def forward(self, x: Tensor) -> Tensor:
            """(B, C, height, width) → (B, C, …)."""
            x = _whole(x, 3, 2) if c.embedding_dynamic_padding else x
            return F.max_pool2d(x, 3, stride=2)

    width = c.embedding_size
    same = (c.global_padding or "").upper() == "SAME"
    return Stem(
        width,
        _conv(c, c.num_channels, width, 7, 2),
        nn.Identity() if same else nn.ZeroPad2d(1),
        nn.Identity() if c.layer_type == "preactivation" else _norm(c, width),
        Pool(),
    )


def _block(c: Config, sizes: tuple[int, int], stride: int, apart: int, *, first: bool) -> Any:
    from torch import Tensor, nn

    from armature.layers.act import activation
    from armature.layers.context import Context
    from armature.layers.drop import Skipping

    inputs, width = sizes
    inner, before = _eights(width * 0.25), c.layer_type == "preactivation"

    class Bottleneck(Skipping):
        """Three convolutions and a way around them; norms come before each, or after each."""

        def __init__(self) -> None:
            super().__init__()
            self.width = width
            self.conv = nn.ModuleList(
                [
                    _conv(c, inputs, inner, 1),
                    # HF: with norms before them, convolutions never look further apart.
                    _conv(c, inner, inner, 3, stride, 1 if before else apart),
                    _conv(c, inner, width, 1),
                ]
            )
            normed = (inputs, inner, inner) if before else (inner, inner, width)
            acts = (True, True, before)
            self.norm = nn.ModuleList(
                _norm(c, size, acts=act) for size, act in zip(normed, acts, strict=True)
            )
            self.short = _conv(c, inputs, width, 1, stride) if first else None
            self.short_norm = _norm(c, width, acts=False) if first and not before else None
            self.act = activation("linear" if before else c.hidden_act)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(B, C, height, width) → (B, D, …)."""
            start = self.norm[0](x) if before else x
            around = x if self.short is None else self.short(start)
            around = around if self.short_norm is None else self.short_norm(around)
            y = self.conv[0](start)
            if before:
                y = self.conv[2](self.norm[2](self.conv[1](self.norm[1](y))))
            else:
                y = self.norm[2](self.conv[2](self.norm[1](self.conv[1](self.norm[0](y)))))
            return self.act(self.skip(y) + around)

    return Bottleneck()


PREFIX = "bit"
_BLOCK = "encoder.stages.{i}.layers.{j}"
NAMES = {
    "embed.steps.0": "embedder.convolution",
    "embed.steps.2": "embedder.norm",
    **{f"stages.{{i}}.blocks.{{j}}.conv.{k}": f"{_BLOCK}.conv{k + 1}" for k in range(3)},
    **{f"stages.{{i}}.blocks.{{j}}.norm.{k}": f"{_BLOCK}.norm{k + 1}" for k in range(3)},
    "stages.{i}.blocks.{j}.short": f"{_BLOCK}.downsample.conv",
    "stages.{i}.blocks.{j}.short_norm": f"{_BLOCK}.downsample.norm",
    "norm": "norm",
}
UNUSED = ("out_features", "out_indices", "stage_names")

HEADS = {
    "BitModel": PooledMap(),
    "BitForImageClassification": ImageClassifier(pick="mean", out="classifier.1"),
    "BitBackbone": Backbone(),
}
INPUTS = "images"
