"""Drawing: boxes, masks, depths and bars on a picture, with Pillow."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_LEAST = 320  # pixels of the longer side, below which a picture is shown larger
_CJK = ("NotoSansCJK-Regular.ttc", "msyh.ttc", "PingFang.ttc", "wqy-microhei.ttc", "simsun.ttc")
# Stops of a scale from far to near that is read in grey, too.
_HEAT = np.array([(13, 8, 135), (126, 3, 168), (204, 71, 120), (248, 149, 64), (240, 249, 33)])


def boxes(picture: Image, found: Sequence[Mapping[str, Any]]) -> Image:
    """Draw boxes with their labels: `{"box": {"xmin": …}, "label": "cat", "score": 0.9}`."""
    from PIL import ImageDraw

    image, scale = _enlarged(picture)
    draw, colors = ImageDraw.Draw(image), _colors(found)
    line = max(2, max(image.size) // 250)
    for one, color in zip(found, colors, strict=True):
        box = one["box"]
        corners = [scale * box[side] for side in ("xmin", "ymin", "xmax", "ymax")]
        left, right = sorted(corners[::2])
        top, bottom = sorted(corners[1::2])
        draw.rectangle((left, top, right, bottom), outline=color, width=line)
        _tag(image, (left, top), _words(one), color)
    return image


def masks(picture: Image, found: Sequence[Mapping[str, Any]], share: float = 0.55) -> Image:
    """Draw masks in colours, each with its label in its middle: `{"mask": …, "label": "sky"}`."""
    pixels = np.asarray(picture, np.float32).copy()
    colors, places = _colors(found), []
    for one, color in zip(found, colors, strict=True):
        inside = _mask(one["mask"], picture)
        pixels[inside] = (1 - share) * pixels[inside] + share * np.array(color, np.float32)
        places.append(_middle(inside))
    image, scale = _enlarged(_image(pixels))
    for one, color, place in zip(found, colors, places, strict=True):
        if place is not None:
            _tag(image, (scale * place[0], scale * place[1]), _words(one), color)
    return image


def heat(picture: Image, values: np.ndarray, share: float = 1.0) -> Image:
    """Draw a map (height, width) in colours over a picture, of which 1 - `share` shines through."""
    spread = float(values.max() - values.min())
    level = (values - values.min()) / spread if spread else np.zeros_like(values)
    place = level * (len(_HEAT) - 1)
    below = np.minimum(place.astype(int), len(_HEAT) - 2)
    rest = (place - below)[..., None]
    colors = _image((1 - rest) * _HEAT[below] + rest * _HEAT[below + 1]).resize(picture.size)
    whole = (1 - share) * np.asarray(picture, np.float32) + share * np.asarray(colors, np.float32)
    return _enlarged(_image(whole))[0]


def looks(picture: Image, shares: np.ndarray, window: tuple[float, float, float, float]) -> Image:
    """Draw shares (down, across) of a window: top, left, bottom, right in shares of the sides."""
    from PIL import Image as Images

    top, left, bottom, right = window
    size = (round((right - left) * picture.width), round((bottom - top) * picture.height))
    seen = Images.fromarray(shares.astype(np.float32)).resize(size, Images.Resampling.BILINEAR)
    whole = Images.new("F", picture.size, float(shares.min()))
    whole.paste(seen, (round(left * picture.width), round(top * picture.height)))
    return heat(picture, np.asarray(whole), share=0.6)


def bars(picture: Image, found: Sequence[Mapping[str, Any]]) -> Image:
    """Draw a bar for each label beside the picture: `{"label": "cat", "score": 0.9}`."""
    from PIL import Image as Images
    from PIL import ImageDraw

    image, _ = _enlarged(picture)
    row, width = 28, 280
    height = max(image.height, row * len(found) + 8)
    whole = Images.new("RGB", (image.width + width, height), (255, 255, 255))
    whole.paste(image, (0, (height - image.height) // 2))
    draw = ImageDraw.Draw(whole)
    highest = max([1.0, *(abs(float(one["score"])) for one in found)])
    for index, (one, color) in enumerate(zip(found, _colors(found), strict=True)):
        left, top = image.width + 8, 4 + row * index
        length = (width - 16) * abs(float(one["score"])) / highest
        draw.rectangle((left, top + 18, left + max(1, length), top + 23), fill=color)
        words = _words(one)
        draw.text((left, top), words, fill=(20, 20, 20), font=_font(13, words))
    return whole


# ------------------------------------------------------------------------ parts


def _enlarged(picture: Image) -> tuple[Image, int]:
    """Return a picture large enough for words, and how many times it was enlarged."""
    scale = max(1, -(-_LEAST // max(picture.size)))
    if scale == 1:
        return picture.copy(), 1
    return picture.resize((scale * picture.width, scale * picture.height), 0), scale


def _image(pixels: np.ndarray) -> Image:
    from PIL import Image

    return Image.fromarray(np.clip(np.round(pixels), 0, 255).astype(np.uint8))


def _mask(mask: Image, picture: Image) -> np.ndarray:
    return np.asarray(mask if mask.size == picture.size else mask.resize(picture.size)) > 0


def _middle(inside: np.ndarray) -> tuple[int, int] | None:
    """Return a place (x, y) of the mask near its middle, where it has any pixel."""
    down, across = np.nonzero(inside)
    if not len(down):
        return None
    nearest = np.argmin((down - down.mean()) ** 2 + (across - across.mean()) ** 2)
    return int(across[nearest]), int(down[nearest])


def _colors(found: Sequence[Mapping[str, Any]]) -> list[tuple[int, int, int]]:
    """Return a colour for each: alike where labels are alike, unless masks lie side by side."""
    apart = any("mask" in one for one in found)
    keys = [index if apart else str(one.get("label")) for index, one in enumerate(found)]
    known = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return [_color(known[key]) for key in keys]


def _color(number: int) -> tuple[int, int, int]:
    """Return the colour of a number: hues a golden angle apart."""
    red, green, blue = colorsys.hsv_to_rgb((0.58 + number * 0.381966) % 1, 0.75, 0.92)
    return int(255 * red), int(255 * green), int(255 * blue)


def _words(one: Mapping[str, Any]) -> str:
    score = one.get("score")
    return str(one["label"]) if score is None else f"{one['label']} {score:.2f}"


def _tag(image: Image, place: tuple[float, float], words: str, color: tuple[int, int, int]) -> None:
    """Write words on a ground of their own, inside the picture."""
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image)
    font = _font(max(12, max(image.size) // 50), words)
    left, top, right, bottom = draw.textbbox((0, 0), words, font=font)
    width, height = right - left + 6, bottom - top + 4
    x = max(0, min(place[0], image.width - width))
    y = max(0, min(place[1], image.height - height))
    draw.rectangle((x, y, x + width, y + height), fill=color)
    dark = sum(color) > 3 * 140
    ink = (0, 0, 0) if dark else (255, 255, 255)
    draw.text((x + 3 - left, y + 2 - top), words, fill=ink, font=font)


def _font(size: int, words: str) -> Any:
    """Return a font that has the letters of these words, if the machine has one."""
    from PIL import ImageFont

    for name in () if all(ord(letter) < 0x2E80 for letter in words) else _CJK:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
