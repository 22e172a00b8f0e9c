"""MobileNetV3 (Howard et al., 2019): widening blocks, most of which weigh their channels."""

from __future__ import annotations

from typing import Any

# Blocks: the side of their kernel, inner and outer width, whether they weigh, activation, stride.
# fmt: off
_LARGE = (
    (3, 16, 16, False, "relu", 1), (3, 64, 24, False, "relu", 2), (3, 72, 24, False, "relu", 1),
    (5, 72, 40, True, "relu", 2), (5, 120, 40, True, "relu", 1), (5, 120, 40, True, "relu", 1),
    (3, 240, 80, False, "hardswish", 2), (3, 200, 80, False, "hardswish", 1),
    (3, 184, 80, False, "hardswish", 1), (3, 184, 80, False, "hardswish", 1),
    (3, 480, 112, True, "hardswish", 1), (3, 672, 112, True, "hardswish", 1),
    (5, 672, 160, True, "hardswish", 2),
    (5, 960, 160, True, "hardswish", 1), (5, 960, 160, True, "hardswish", 1),
)
# fmt: on
SIZES = {"mobilenet_v3_large": _LARGE}
_FIRST = 16


def encoder(name: str, channels: int) -> Any:
    """Build it; maps are seen behind every block that shrinks them, and at the end."""
    from torch import nn

    from armature.layers.conv import ConvNorm, HardExcitation, Residual, Straight
    from armature.model.conv_encoder import ConvEncoder

    steps: list[Any] = [ConvNorm(channels, _FIRST, 3, stride=2, act="hardswish")]
    cuts, inputs = [0, 1], _FIRST
    for side, wide, width, weighs, act, stride in SIZES[name]:
        inner = max(8, (wide // 4 + 4) // 8 * 8)
        inner += 8 if inner < 0.9 * (wide // 4) else 0
        parts = [
            ConvNorm(inputs, wide, act=act) if wide != inputs else nn.Identity(),
            ConvNorm(wide, wide, side, stride=stride, groups=wide, act=act),
            HardExcitation(wide, inner) if weighs else nn.Identity(),
            ConvNorm(wide, width),
        ]
        kind = Residual if stride == 1 and inputs == width else Straight
        steps.append(kind(width, parts))
        inputs = width
        if stride > 1:
            cuts.append(len(steps))
    steps.append(ConvNorm(inputs, 6 * inputs, act="hardswish"))
    cuts.append(len(steps))
    return ConvEncoder(steps, cuts, [channels, *(steps[end - 1].width for end in cuts[1:])])


def rows(name: str) -> dict[str, str]:
    """Return our names → torchvision's."""
    found, inputs = {}, _FIRST
    for at in (0, len(SIZES[name]) + 1):
        found |= {f"steps.{at}.conv": f"{at}.0", f"steps.{at}.norm": f"{at}.1"}
    for at, (_, wide, width, weighs, _, _) in enumerate(SIZES[name], 1):
        there = (wide != inputs, True, weighs, True)
        for place, step in enumerate(step for step, is_there in enumerate(there) if is_there):
            ours, theirs = f"steps.{at}.steps.{step}", f"{at}.block.{place}"
            ends = {"down": "fc1", "up": "fc2"} if step == 2 else {"conv": "0", "norm": "1"}
            found |= {f"{ours}.{end}": f"{theirs}.{their}" for end, their in ends.items()}
        inputs = width
    return found
