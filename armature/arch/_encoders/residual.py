"""ResNet (He et al., 2015) and ResNeXt (Xie et al., 2016), whose wide convolutions run in groups.

Those that begin with `se_` weigh the channels of every block (Hu et al., 2017). Those that begin
with `tu-` are the plain ones, whose files have one more word before tensors.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.arch import resnet
from armature.config import Config

_DEPTHS = {
    18: [2, 2, 2, 2],
    34: [3, 4, 6, 3],
    50: [3, 4, 6, 3],
    101: [3, 4, 23, 3],
    152: [3, 8, 36, 3],
}
_GROUPED = {"50_32x4d": 4, "101_32x4d": 4, "101_32x8d": 8, "101_32x16d": 16}
_GROUPED |= {"101_32x32d": 32, "101_32x48d": 48}
# Name → kind of blocks, how many of each size, groups, and the first width of a group.
SIZES: dict[str, tuple[str, list[int], int, int]] = {
    f"resnet{layers}": ("basic" if layers < 50 else "bottleneck", depths, 1, 64)
    for layers, depths in _DEPTHS.items()
} | {
    f"resnext{name}": ("bottleneck", _DEPTHS[int(name.partition("_")[0])], 32, width)
    for name, width in _GROUPED.items()
}
_WEIGHED = ("resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x4d")
_OTHERS = {f"se_{name}": SIZES[name] for name in _WEIGHED}
SIZES |= {f"tu-{name}": size for name, size in SIZES.items()} | _OTHERS


def encoder(name: str, channels: int) -> Any:
    """Build it."""
    from torch import nn

    from armature.layers.conv import Excitation
    from armature.model.build import build
    from armature.model.conv_encoder import ConvEncoder

    kind, depths, groups, width = SIZES[name]
    widths = [one * (4 if kind == "bottleneck" else 1) for one in (64, 128, 256, 512)]
    settings = {"layer_type": kind, "depths": depths, "hidden_sizes": widths}
    weighed = name.startswith("se_")
    settings |= {"num_channels": channels, "downsample_in_bottleneck": weighed and groups == 1}
    words = {"defaults": resnet.DEFAULTS | settings}
    config = type("EncoderConfig", (Config,), words)()
    block = partial(resnet.block, groups=groups, share=groups * width / 256)
    made: Any = build(resnet.residual(config, (kind, ""), resnet.stem, block))
    steps = [*made.embed.steps, *(block for stage in made.stages for block in stage.blocks)]
    if weighed:
        steps[1] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        for block in steps[2:]:
            block.steps.append(Excitation(block.width, block.width // 16))
    cuts = [0, 1, *(2 + sum(depths[:end]) for end in range(1, 5))]
    return ConvEncoder(steps, cuts, [channels, 64, *widths])


def rows(name: str) -> dict[str, str]:
    """Return our names → the disk's."""
    before, depths = "model." if name.startswith("tu-") else "", SIZES[name][1]
    stem = "layer0." if name.startswith("se_") else before
    found = {"steps.0.conv": f"{stem}conv1", "steps.0.norm": f"{stem}bn1"}
    blocks = [(stage, one) for stage, depth in enumerate(depths, 1) for one in range(depth)]
    for at, (stage, one) in enumerate(blocks, 2):
        ours, theirs = f"steps.{at}", f"{before}layer{stage}.{one}"
        for step in range(3):
            found[f"{ours}.steps.{step}.conv"] = f"{theirs}.conv{step + 1}"
            found[f"{ours}.steps.{step}.norm"] = f"{theirs}.bn{step + 1}"
        found[f"{ours}.steps.3.down"] = f"{theirs}.se_module.fc1"
        found[f"{ours}.steps.3.up"] = f"{theirs}.se_module.fc2"
        found[f"{ours}.short.conv"] = f"{theirs}.downsample.0"
        found[f"{ours}.short.norm"] = f"{theirs}.downsample.1"
    return found
