"""Sizes: how large a picture becomes, by the words of preprocessor_config.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from armature.errors import ConfigError

Size = dict[str, int]
"""`height` and `width`; or one or both of `shortest_edge`, `longest_edge`; or both `max_…`."""

WORDS = ("height", "width", "shortest_edge", "longest_edge", "max_height", "max_width")
_MOST = 1 << 15


def size_of(value: Any, name: str, *, square: bool, longest: int | None = None) -> Size:
    """Read a size as configs of all years write it: a number, a pair, a mapping.

    Args:
        value: what the config says.
        name: the key, for errors.
        square: whether a number is both sides, or else the shorter one.
        longest: an older key for the longer side.

    Raises:
        ConfigError: it is no size.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        found = {"height": value, "width": value} if square else {"shortest_edge": value}
        if longest is not None and not square:
            found["longest_edge"] = longest
    elif isinstance(value, list | tuple) and len(value) == 2:
        found = {"height": value[0], "width": value[1]}
    elif isinstance(value, Mapping):
        found = {key: number for key, number in value.items() if number is not None}
    else:
        found = {}
    whole = all(isinstance(side, int) and 0 < side <= _MOST for side in found.values())
    if not found or not whole or set(found) - set(WORDS):
        raise ConfigError(
            f"`{name}` is {value!r}: give a number, (height, width), or a mapping with "
            f"{', '.join(WORDS)}, from 1 to {_MOST}"
        )
    return found


def target(height: int, width: int, size: Size) -> tuple[int, int]:
    """Return the height and width that a picture is resized to.

    Raises:
        ConfigError: the size does not say it.
    """
    if "shortest_edge" in size and "longest_edge" in size:
        return between(height, width, size["shortest_edge"], size["longest_edge"])
    if "shortest_edge" in size:
        return by_shortest(height, width, size["shortest_edge"])
    if "longest_edge" in size:
        share = size["longest_edge"] / max(height, width)
        return round(height * share), round(width * share)
    if "max_height" in size and "max_width" in size:
        share = min(size["max_height"] / height, size["max_width"] / width)
        return int(height * share), int(width * share)
    if "height" in size and "width" in size:
        return size["height"], size["width"]
    raise ConfigError(f"size={size} does not say how large a picture becomes")


def by_shortest(height: int, width: int, edge: int) -> tuple[int, int]:
    """Return the size whose shorter side is `edge`, of the same shape."""
    if width <= height:
        return int(edge * height / width), edge
    return edge, int(edge * width / height)


def between(height: int, width: int, shortest: int, longest: int) -> tuple[int, int]:
    """Return the size whose shorter side is `shortest`, unless the longer would pass `longest`."""
    low, high = min(height, width), max(height, width)
    edge = float(shortest)
    if high / low * shortest > longest:
        edge = longest * low / high
        shortest = round(edge)
    if low == shortest:
        return height, width
    if width < height:
        return int(edge * height / width), shortest
    return shortest, int(edge * width / height)


def fitted(height: int, width: int, size: Size, *, keep: bool, multiple: int) -> tuple[int, int]:
    """Return a size near the one asked for whose sides are multiples of a number.

    Args:
        height: the picture's.
        width: the picture's.
        size: the one asked for, with `height` and `width`.
        keep: whether the shape stays: then the side that changes less decides.
        multiple: the number.
    """
    tall, wide = size["height"] / height, size["width"] / width
    if keep:
        tall = wide = wide if abs(1 - wide) < abs(1 - tall) else tall

    def rounded(length: float) -> int:
        found = round(length / multiple) * multiple
        return found if found > 0 else math.ceil(length / multiple) * multiple

    return rounded(tall * height), rounded(wide * width)


def within(height: int, width: int, shortest: int, divisor: int) -> tuple[int, int]:
    """Return ViLT's size: the shorter side `shortest`, the longer at most 1333/800 of it.

    Both are rounded down to multiples of `divisor`.
    """
    longest = int(1333 / 800 * shortest)
    share = shortest / min(height, width)
    tall, wide = (shortest, share * width) if height < width else (share * height, shortest)
    if max(tall, wide) > longest:
        share = longest / max(tall, wide)
        tall, wide = share * tall, share * wide
    return int(tall + 0.5) // divisor * divisor, int(wide + 0.5) // divisor * divisor
