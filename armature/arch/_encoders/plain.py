"""VGG (Simonyan and Zisserman, 2014): convolutions in a row, and pooling between the sizes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

_DEPTHS = {11: (1, 1, 2, 2, 2), 13: (2, 2, 2, 2, 2), 16: (2, 2, 3, 3, 3), 19: (2, 2, 4, 4, 4)}
_WIDTHS = (64, 128, 256, 512, 512)
# Name → how many convolutions each size has, and whether they have norms.
SIZES = {
    f"vgg{layers}{end}": (depths, bool(end))
    for layers, depths in _DEPTHS.items()
    for end in ("", "_bn")
}


def encoder(name: str, channels: int) -> Any:
    """Build it. Its first map is as large as the image, and stands for it."""
    from torch import nn

    from armature.layers.conv import BatchNorm
    from armature.layers.patches import Convolution
    from armature.model.conv_encoder import ConvEncoder

    depths, normed = SIZES[name]
    steps: list[nn.Module] = []
    cuts: list[int] = []
    for inputs, width, depth in zip((channels, *_WIDTHS), _WIDTHS, depths, strict=False):
        for one, two in pairwise([inputs, *(width for _ in range(depth))]):
            norm = [BatchNorm(two)] if normed else []
            steps += [Convolution(one, two, 3, padding=1), *norm, nn.ReLU()]
        cuts.append(len(steps))
        steps.append(nn.MaxPool2d(2))
    return ConvEncoder(steps, [*cuts, len(steps)], [*_WIDTHS, _WIDTHS[-1]])


def rows(_name: str) -> dict[str, str]:
    """Return our names → the disk's, which count the same steps."""
    return {"steps": "features"}
