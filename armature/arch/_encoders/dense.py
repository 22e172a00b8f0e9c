"""DenseNet (Huang et al., 2016): every layer sees what all before it found."""

from __future__ import annotations

from typing import Any

# Name → the first width, how much every layer adds, and how many layers each size has.
SIZES = {
    "densenet121": (64, 32, (6, 12, 24, 16)),
    "densenet169": (64, 32, (6, 12, 32, 32)),
    "densenet201": (64, 32, (6, 12, 48, 32)),
    "densenet161": (96, 48, (6, 12, 36, 24)),
}


def encoder(name: str, channels: int) -> Any:
    """Build it."""
    from torch import nn

    from armature.layers.conv import BatchNorm, ConvNorm
    from armature.layers.dense import DenseLayer
    from armature.layers.patches import Convolution
    from armature.model.conv_encoder import ConvEncoder

    width, grown, depths = SIZES[name]
    steps: list[nn.Module] = [ConvNorm(channels, width, 7, stride=2, act="relu")]
    cuts, widths = [0, 1], [channels, width]
    down: nn.Module = nn.MaxPool2d(3, stride=2, padding=1)
    for depth in depths:
        steps += [down, *(DenseLayer(width + grown * one, grown) for one in range(depth))]
        width += grown * depth
        last = len(cuts) == len(depths) + 1
        steps.append(BatchNorm(width) if last else nn.Sequential(BatchNorm(width), nn.ReLU()))
        cuts.append(len(steps))
        widths.append(width)
        down = nn.Sequential(Convolution(width, width // 2, 1, bias=False), nn.AvgPool2d(2))
        width //= 2
    return ConvEncoder(steps, cuts, widths)


def rows(name: str) -> dict[str, str]:
    """Return our names → the disk's."""
    depths = SIZES[name][2]
    found = {"steps.0.conv": "features.conv0", "steps.0.norm": "features.norm0"}
    at = 1
    for block, depth in enumerate(depths, 1):
        if block > 1:
            found[f"steps.{at}.0"] = f"features.transition{block - 1}.conv"
        for layer in range(1, depth + 1):
            found[f"steps.{at + layer}"] = f"features.denseblock{block}.denselayer{layer}"
        at += depth + 2
        last = block == len(depths)
        norm = "features.norm5" if last else f"features.transition{block}.norm"
        found[f"steps.{at - 1}" if last else f"steps.{at - 1}.0"] = norm
    return found
