"""Blocks that widen, look around channel by channel, perhaps weigh channels, and narrow again.

MobileNetV2 (Sandler et al., 2018), and EfficientNet (Tan and Le, 2019) as two packages wrote it;
that of the first pads by the size of images it was made for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Any

# Blocks of each width: how many, the side of their kernel, stride, how much they widen, width.
_MOBILE = "1 3 1 1 16, 2 3 2 6 24, 3 3 2 6 32, 4 3 2 6 64, 3 3 1 6 96, 3 3 2 6 160, 1 3 1 6 320"
_SCALED = "1 3 1 1 16, 2 3 2 6 24, 2 5 2 6 40, 3 3 2 6 80, 3 5 1 6 112, 4 5 2 6 192, 1 3 1 6 320"


@dataclass(frozen=True)
class _Size:
    """One encoder."""

    table: str = _SCALED
    act: str = "swish"
    wide: float = 1.0
    deep: float = 1.0
    side: int = 0  # of images that it was made for, if that decides how maps are padded
    squeeze: bool = True
    fixed: bool = False  # the first and the last blocks are never deepened, nor is the stem widened
    soon: int = 0  # by how many blocks the fourth map is seen before the next size begins
    late: bool = False  # the first map is seen after a block, the last after one more convolution
    eps: float = 1e-5
    momentum: float = 0.1

    def width(self, meant: int) -> int:
        """Return a multiple of eight, never less than nine tenths of what is meant."""
        near = max(8, int(meant * self.wide + 4) // 8 * 8)
        return near + 8 if near < 0.9 * meant * self.wide else near

    def blocks(self) -> Iterator[tuple[int, int, int, int, int, int]]:
        """Yield each block's stage, and the side, stride, widening, inputs and outputs of it."""
        inputs = self.width(32) if not self.fixed else 32
        rows = [tuple(map(int, row.split())) for row in self.table.split(", ")]
        for stage, (repeats, side, stride, ratio, meant) in enumerate(rows):
            fixed, outputs = self.fixed and stage in (0, len(rows) - 1), self.width(meant)
            for again in range(repeats if fixed else ceil(self.deep * repeats)):
                yield stage, side, 1 if again else stride, ratio, inputs, outputs
                inputs = outputs


# fmt: off
_SCALES = {
    "b0": (1.0, 1.0, 224), "b1": (1.0, 1.1, 240), "b2": (1.1, 1.2, 260), "b3": (1.2, 1.4, 300),
    "b4": (1.4, 1.8, 380), "b5": (1.6, 2.2, 456), "b6": (1.8, 2.6, 528), "b7": (2.0, 3.1, 600),
    "b8": (2.2, 3.6, 0), "l2": (4.3, 5.3, 0),
}
# fmt: on
SIZES = {"mobilenet_v2": _Size(_MOBILE, "relu6", squeeze=False, late=True)}
for _name, (_wide, _deep, _side) in _SCALES.items():
    SIZES[f"timm-efficientnet-{_name}"] = _Size(wide=_wide, deep=_deep)
    if _side:
        _padded = {"side": _side, "eps": 1e-3, "momentum": 0.01, "soon": 2 * (_name == "b0")}
        SIZES[f"efficientnet-{_name}"] = _Size(wide=_wide, deep=_deep, **_padded)
    if _name in ("b0", "b1", "b2", "b3", "b4"):
        _light = {"act": "relu6", "squeeze": False, "fixed": True}
        _light_name = f"timm-tf_efficientnet_lite{_name[1]}"
        SIZES[_light_name] = _Size(wide=_wide, deep=_deep, **_light)


def encoder(name: str, channels: int) -> Any:
    """Build it."""
    from torch import nn

    from armature.layers.conv import Excitation, PaddedConvNorm, Residual, Straight
    from armature.model.conv_encoder import ConvEncoder

    size, reached = SIZES[name], SIZES[name].side

    def conv(inputs: int, outputs: int, side: int = 1, stride: int = 1, **how: Any) -> Any:
        pads = (side // 2, side // 2)
        if size.side:
            total = max((ceil(reached / stride) - 1) * stride + side - reached, 0)
            pads = (total // 2, total - total // 2)
        how = {"act": size.act, "eps": size.eps, "stride": stride} | how
        made = PaddedConvNorm(inputs, outputs, side, pads, **how)
        made.norm.momentum = size.momentum
        return made

    blocks = list(size.blocks())
    steps: list[Any] = [conv(channels, blocks[0][4], 3, 2)]
    reached = ceil(reached / 2)
    for index, (_, side, stride, ratio, inputs, outputs) in enumerate(blocks):
        wide = inputs * ratio
        parts = [
            conv(inputs, wide) if ratio > 1 else nn.Identity(),
            conv(wide, wide, side, stride, groups=wide),
            Excitation(wide, inputs // 4, size.act) if size.squeeze else nn.Identity(),
            conv(wide, outputs, act="linear"),
        ]
        reached = ceil(reached / stride)
        block = (Residual if stride == 1 and inputs == outputs else Straight)(outputs, parts)
        block.path = 0.0 if size.late else 0.2 * index / len(blocks)
        steps.append(block)
    steps.append(conv(blocks[-1][5], 1280 if size.fixed else size.width(1280)))
    halved = [index for index, block in enumerate(blocks, 1) if block[2] == 2]
    cuts = [halved[0] if size.late else 1, *halved[1:], len(blocks) + size.late + 1]
    cuts[3] -= size.soon
    return ConvEncoder(steps, [0, *cuts], [channels, *(steps[end - 1].width for end in cuts)])


def rows(name: str) -> dict[str, str]:
    """Return our names → the disk's: each package has its own."""
    blocks = [(stage, ratio > 1) for stage, _, _, ratio, _, _ in SIZES[name].blocks()]
    if name.startswith("mobilenet"):
        return dict(_numbered(blocks))
    return dict(_staged(blocks) if name.startswith("timm-") else _counted(blocks))


Rows = Iterator[tuple[str, str]]


def _numbered(blocks: list[tuple[int, bool]]) -> Rows:
    """torchvision's: `features.1.conv.0.0` onwards."""
    for at in (0, len(blocks) + 1):
        yield f"steps.{at}.conv", f"features.{at}.0"
        yield f"steps.{at}.norm", f"features.{at}.1"
    for at, (_, widened) in enumerate(blocks, 1):
        ours, theirs = f"steps.{at}.steps", f"features.{at}.conv"
        for place, step in enumerate((0, 1) if widened else (1,)):
            yield f"{ours}.{step}.conv", f"{theirs}.{place}.0"
            yield f"{ours}.{step}.norm", f"{theirs}.{place}.1"
        yield f"{ours}.3.conv", f"{theirs}.{1 + widened}"
        yield f"{ours}.3.norm", f"{theirs}.{2 + widened}"


def _counted(blocks: list[tuple[int, bool]]) -> Rows:
    """Those that count blocks in one row: `_blocks.0._depthwise_conv` onwards."""
    for at, conv, norm in ((0, "stem", 0), (len(blocks) + 1, "head", 1)):
        yield f"steps.{at}.conv", f"_conv_{conv}"
        yield f"steps.{at}.norm", f"_bn{norm}"
    for at in range(1, len(blocks) + 1):
        ours, theirs = f"steps.{at}.steps", f"_blocks.{at - 1}"
        for norm, (step, conv) in enumerate({0: "expand", 1: "depthwise", 3: "project"}.items()):
            yield f"{ours}.{step}.conv", f"{theirs}._{conv}_conv"
            yield f"{ours}.{step}.norm", f"{theirs}._bn{norm}"
        yield f"{ours}.2.down", f"{theirs}._se_reduce"
        yield f"{ours}.2.up", f"{theirs}._se_expand"


def _staged(blocks: list[tuple[int, bool]]) -> Rows:
    """timm's, which count them in each stage: `blocks.0.0.conv_dw` onwards."""
    for at, conv, norm in ((0, "stem", 1), (len(blocks) + 1, "head", 2)):
        yield f"steps.{at}.conv", f"conv_{conv}"
        yield f"steps.{at}.norm", f"bn{norm}"
    stages = [stage for stage, _ in blocks]
    for at, (stage, widened) in enumerate(blocks, 1):
        theirs = f"blocks.{stage}.{at - 1 - stages.index(stage)}"
        convs = {0: "pw", 1: "dw", 3: "pwl"} if widened else {1: "dw", 3: "pw"}
        for norm, (step, conv) in enumerate(convs.items(), 1):
            yield f"steps.{at}.steps.{step}.conv", f"{theirs}.conv_{conv}"
            yield f"steps.{at}.steps.{step}.norm", f"{theirs}.bn{norm}"
        yield f"steps.{at}.steps.2.down", f"{theirs}.se.conv_reduce"
        yield f"steps.{at}.steps.2.up", f"{theirs}.se.conv_expand"
