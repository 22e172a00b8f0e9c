"""Steps: the words of `Kind.steps` → what each does to a picture, told by the settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from armature.errors import ConfigError
from armature.inputs.image import sizes
from armature.inputs.image import transforms as t
from armature.inputs.image.kinds import BICUBIC, BILINEAR

Settings = Mapping[str, Any]
Step = Callable[[np.ndarray, Settings], np.ndarray]


def _sides(image: np.ndarray) -> tuple[int, int]:
    return image.shape[-2], image.shape[-1]


def _resize(image: np.ndarray, s: Settings, size: tuple[int, int] | None = None) -> np.ndarray:
    size = sizes.target(*_sides(image), s["size"]) if size is None else size
    return t.resize(image, size, BILINEAR if s["resample"] is None else s["resample"])


def _whole(image: np.ndarray, s: Settings) -> np.ndarray:
    """ConvNeXt: a small picture is the middle of a larger one, a large one is all of it."""
    edge = _edge(s)
    if edge >= 384:
        return _resize(image, s, (edge, edge))
    larger = sizes.by_shortest(*_sides(image), int(edge / s["crop_pct"]))
    return t.crop(_resize(image, s, larger), (edge, edge))


def _larger(image: np.ndarray, s: Settings) -> np.ndarray:
    """PoolFormer: the size is a share of what is resized to."""
    share, size = s["crop_pct"], s["size"]
    if share is None:
        return _resize(image, s)
    if "shortest_edge" not in size and not {"height", "width"} <= set(size):
        raise ConfigError(f"`size` is {dict(size)}: give it shortest_edge, or height and width")
    edge = size.get("shortest_edge")
    sides = [int(side / share) for side in (size.values() if edge is None else [edge])]
    if len(set(sides)) == 1:
        return _resize(image, s, sizes.by_shortest(*_sides(image), sides[0]))
    return _resize(image, s, (int(size["height"] / share), int(size["width"] / share)))


def _eighth(image: np.ndarray, s: Settings) -> np.ndarray:
    """LeViT: the shorter side is an eighth longer than the size says."""
    if "shortest_edge" not in s["size"]:
        return _resize(image, s)
    edge = int((256 / 224) * s["size"]["shortest_edge"])
    return _resize(image, s, sizes.by_shortest(*_sides(image), edge))


def _fitted(image: np.ndarray, s: Settings) -> np.ndarray:
    keep, multiple = s["keep_aspect_ratio"], s["ensure_multiple_of"]
    size = sizes.fitted(*_sides(image), s["size"], keep=keep, multiple=multiple)
    return _resize(image, s, size)


def _down(image: np.ndarray, s: Settings) -> np.ndarray:
    height, width = (side // s["size_divisor"] * s["size_divisor"] for side in _sides(image))
    return _resize(image, s, (height, width))


def _within(image: np.ndarray, s: Settings) -> np.ndarray:
    return _resize(image, s, sizes.within(*_sides(image), _edge(s), s["size_divisor"]))


def _floored(image: np.ndarray, s: Settings) -> np.ndarray:
    """YOLOS: both sides are rounded down to multiples of 16."""
    height, width = sizes.target(*_sides(image), s["size"])
    return _resize(image, s, (height // 16 * 16, width // 16 * 16))


def _raised(image: np.ndarray, s: Settings) -> np.ndarray:
    """MaskFormer: both sides are rounded up to multiples of a number."""
    size, number = sizes.target(*_sides(image), s["size"]), s["size_divisor"] or 1
    return _resize(image, s, (-(-size[0] // number) * number, -(-size[1] // number) * number))


def _aligned(image: np.ndarray, s: Settings) -> np.ndarray:
    """Turn a picture to the right whose longer side is not the longer one of the size."""
    (height, width), (tall, wide) = _sides(image), _page(s)
    across = (wide < tall and width > height) or (wide > tall and width < height)
    return np.rot90(image, 3, axes=(1, 2)) if across else image


def _shorter(image: np.ndarray, s: Settings) -> np.ndarray:
    """Donut: the shorter side becomes the shorter one of the size."""
    return _resize(image, s, sizes.by_shortest(*_sides(image), min(_page(s))))


def _shrunk(image: np.ndarray, s: Settings) -> np.ndarray:
    """Make what is larger than the size smaller, of the same shape."""
    height, width = _sides(image)
    tall, wide = (min(pair) for pair in zip((height, width), _page(s), strict=True))
    if (tall, wide) == (height, width):
        return image
    if height > width:
        wide = int(width * tall / height)
    elif width > height:
        tall = int(height * wide / width)
    return t.resize(image, (tall, wide), s["resample"] or BICUBIC)


def _page(s: Settings) -> tuple[int, int]:
    if not {"height", "width"} <= set(s["size"]):
        raise ConfigError(f"`size` is {dict(s['size'])}: give it height and width")
    return s["size"]["height"], s["size"]["width"]


def _edge(s: Settings) -> int:
    if "shortest_edge" not in s["size"]:
        raise ConfigError(f"`size` is {dict(s['size'])}, but this processor reads shortest_edge")
    return s["size"]["shortest_edge"]


def _crop(image: np.ndarray, s: Settings) -> np.ndarray:
    size = s["crop_size"] or {}
    if not {"height", "width"} <= set(size):
        raise ConfigError(f"`crop_size` is {s['crop_size']}: give it height and width")
    return t.crop(image, (size["height"], size["width"]))


def _rescale(image: np.ndarray, s: Settings) -> np.ndarray:
    return t.rescale(image, s["rescale_factor"], -1.0 if s.get("rescale_offset") else 0.0)


# step → the setting that asks for it (none: it is always done), what it does
STEPS: dict[str, tuple[str, Step]] = {
    "resize": ("do_resize", _resize),
    "resize_whole": ("do_resize", _whole),
    "resize_larger": ("do_resize", _larger),
    "resize_eighth": ("do_resize", _eighth),
    "resize_fitted": ("do_resize", _fitted),
    "resize_down": ("do_resize", _down),
    "resize_within": ("do_resize", _within),
    "resize_floored": ("do_resize", _floored),
    "resize_raised": ("do_resize", _raised),
    "resize_shorter": ("do_resize", _shorter),
    "align": ("do_align_long_axis", _aligned),
    "shrink": ("do_thumbnail", _shrunk),
    "crop": ("do_center_crop", _crop),
    "rescale": ("do_rescale", _rescale),
    "normalize": (
        "do_normalize",
        lambda image, s: t.normalize(image, s["image_mean"], s["image_std"]),
    ),
    "divide": ("include_top", lambda image, s: t.normalize(image, 0.0, s["image_std"])),
    "turn": ("", lambda image, _: t.flip(image)),
    "flip": ("do_flip_channel_order", lambda image, _: t.flip(image)),
    "pad_into": ("do_pad", lambda image, s: t.pad_into(image, _page(s))),
    "pad_around": (
        "do_pad",
        lambda image, s: t.pad_around(image, s["size_divisor"]) if s["size_divisor"] else image,
    ),
}
"""Steps of single pictures; `pad_batch` looks at all of them and is the processor's."""

MAP_STEPS = ("resize", "resize_fitted", "resize_raised", "crop")
"""Those that maps of classes go through, too."""
