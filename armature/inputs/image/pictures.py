"""Pictures: paths, bytes, data URLs, PIL images, arrays and tensors → arrays (C, height, width)."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from armature.errors import ArgumentError

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM")  # none of them runs a program
MOST_PIXELS = 89_478_485  # a quarter of a gigabyte in RGB; more is a decompression bomb
_CHANNELS = (1, 3, 4)

Picture = Any
"""A path, bytes, a data URL, a PIL image, or an array or tensor with its channels first or last."""


def pillow() -> Any:
    """Return the package that opens and resizes pictures.

    Raises:
        ArgumentError: it is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ArgumentError(
            "Pictures are opened and resized by Pillow, which is not installed.\n"
            '  → pip install "armature-models[vision]"'
        ) from error
    return Image


def photo(source: Picture) -> Image:
    """Open a picture as people see it: turned the way its camera was held, in RGB.

    Raises:
        ArgumentError: it is none, is damaged, or is larger than MOST_PIXELS.
    """
    image = _opened(source)
    if isinstance(image, np.ndarray):
        image = to_image(channels_first(image))[0]
    from PIL import ImageOps

    return ImageOps.exif_transpose(image).convert("RGB")


def pixels(source: Picture, *, rgb: bool, first: bool | None = None) -> np.ndarray:
    """Return the numbers of a picture, (C, height, width).

    Args:
        source: the picture.
        rgb: whether to make it RGB; what shines through is white then.
        first: whether an array's channels come first; None: see by its shape.

    Raises:
        ArgumentError: it is none, is damaged, or holds no or too many pixels.
    """
    image = _opened(source)
    if isinstance(image, np.ndarray):
        array = channels_first(image, first=first)
        return _rgb_array(array) if rgb else array
    array = np.array(_rgb_image(image) if rgb else image)
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


def many(sources: Any) -> list[Picture]:
    """Return a list of pictures: of one, of several, or of an array or tensor (B, …) of them.

    A list of lists is one of all their pictures.

    Raises:
        ArgumentError: there is none.
    """
    if isinstance(sources, list | tuple) or getattr(sources, "ndim", 0) == 4:
        found = list(sources)
        if all(isinstance(one, list | tuple) for one in found):
            found = [picture for some in found for picture in some]
    else:
        found = [sources]
    if not found:
        raise ArgumentError("There is no picture in the list: give one or more.")
    return found


def channels_first(array: np.ndarray, *, first: bool | None = None) -> np.ndarray:
    """Return an array (C, height, width) of one whose channels come first, last, or not at all.

    Raises:
        ArgumentError: its shape is not a picture's.
    """
    if array.ndim == 2:
        array, first = array[None], True
    if array.ndim != 3 or not array.size:
        raise _shapeless(array.shape)
    if first is None:
        if array.shape[0] not in _CHANNELS and array.shape[-1] not in _CHANNELS:
            raise _shapeless(array.shape)
        first = array.shape[0] in _CHANNELS
    array = array if first else np.moveaxis(array, -1, 0)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ArgumentError("A picture holds NaN or infinite numbers.")
    return array


def to_image(array: np.ndarray) -> tuple[Image, bool]:
    """Return an array (C, height, width) as a PIL image, and whether it went from 0 to 1.

    Raises:
        ArgumentError: its numbers are neither from 0 to 255 nor from 0 to 1.
    """
    small = False
    if array.dtype != np.uint8:
        low, high = float(array.min()), float(array.max())
        whole = np.allclose(array, array.astype(int))
        small = not whole
        if low < 0 or high > (255 if whole else 1):
            raise ArgumentError(
                f"A picture's numbers go from {low:g} to {high:g}, but should be whole ones from 0 "
                "to 255, or go from 0 to 1.\n  → give it as it was opened; or pass do_resize=False"
            )
        array = (array.astype(np.float64) * 255).astype(np.float32) if small else array
    array = np.moveaxis(array.astype(np.uint8), 0, -1)
    return pillow().fromarray(array[..., 0] if array.shape[-1] == 1 else array), small


# -------------------------------------------------------------------- opening


def _opened(source: Picture) -> Image | np.ndarray:
    """Return a PIL image with its pixels read, or an array."""
    if isinstance(source, np.ndarray):
        return source
    if hasattr(source, "numpy"):  # a tensor
        return source.detach().cpu().numpy()
    if isinstance(source, Sequence) and not isinstance(source, str | bytes):
        raise ArgumentError("A picture was expected, but there is a list of something.")
    image: Any = source
    name = "a picture"
    if isinstance(source, str | bytes | bytearray | Path) or hasattr(source, "read"):
        file, name = _file(source)
        image = _read(file, name)
    if not hasattr(image, "getbands"):
        raise ArgumentError(
            f"{type(source).__name__} is no picture: give a path, bytes, a PIL image, an array or "
            "a tensor"
        )
    _check_size(image, name)
    _load(image, name)
    return image


def _file(source: Any) -> tuple[Any, str]:
    """Return what Pillow can open, and what to call it."""
    if isinstance(source, bytes | bytearray):
        return io.BytesIO(source), f"a picture of {len(source)} bytes"
    if hasattr(source, "read"):
        return source, str(getattr(source, "name", "a picture"))
    text = str(source)
    if text.startswith(("http://", "https://")):
        raise ArgumentError(f"{text}: download the picture first, and give its path or bytes")
    if not text.startswith("data:"):
        path = Path(text)
        try:
            found = path.is_file()
        except (OSError, ValueError):  # a name that no file can have
            found = False
        if found:
            return path, text
    body = text.partition(",")[2] if text.startswith("data:") else text
    try:
        return io.BytesIO(base64.b64decode(body, validate=True)), "a picture in base64"
    except (binascii.Error, ValueError):
        shown = text if len(text) < 200 else f"{text[:100]}…"
        raise ArgumentError(f"{shown}: there is no such file, nor is it a data URL") from None


def _read(file: Any, name: str) -> Image:
    library = pillow()
    try:
        return library.open(file, formats=FORMATS)
    except library.DecompressionBombError as error:
        raise ArgumentError(f"{name}: {error}") from None
    except (OSError, ValueError, SyntaxError) as error:
        raise ArgumentError(
            f"{name}: this is no picture that can be read ({', '.join(FORMATS)})"
        ) from error


def _check_size(image: Image, name: str) -> None:
    width, height = image.size
    if not width * height:
        raise ArgumentError(f"{name}: it has no pixels ({width} × {height})")
    if width * height > MOST_PIXELS:
        raise ArgumentError(
            f"{name}: it has {width} × {height} pixels, more than {MOST_PIXELS:,}.\n"
            "  → make it smaller first"
        )


def _load(image: Image, name: str) -> None:
    try:
        image.load()
    except (OSError, ValueError, SyntaxError) as error:
        raise ArgumentError(f"{name}: the picture is cut short or damaged ({error})") from error


def _rgb_image(image: Image) -> Image:
    if "A" not in image.getbands() and image.info.get("transparency") is None:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = pillow().new("RGBA", image.size, (255, 255, 255, 255))
    return pillow().alpha_composite(white, image).convert("RGB")


def _rgb_array(array: np.ndarray) -> np.ndarray:
    if len(array) == 1:
        return np.repeat(array, 3, axis=0)
    if len(array) != 4:
        return array
    white = 255 if array.dtype.kind in "ui" else 1.0
    share = array[3:] / white
    mixed = share * array[:3] + (1 - share) * white
    return (np.round(mixed) if white == 255 else mixed).astype(array.dtype)


def _shapeless(shape: tuple[int, ...]) -> ArgumentError:
    return ArgumentError(
        f"An array of the shape {shape} is no picture: give (height, width), (height, width, C) or "
        "(C, height, width) with 1, 3 or 4 channels"
    )
