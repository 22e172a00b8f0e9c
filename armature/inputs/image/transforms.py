"""What is done to a picture: pure functions from arrays (C, height, width) to such arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from armature.errors import ArgumentError
from armature.inputs.image.kinds import BILINEAR
from armature.inputs.image.pictures import to_image


def resize(image: np.ndarray, size: tuple[int, int], filter: int = BILINEAR) -> np.ndarray:
    """Resize to (height, width), by Pillow: in 256 steps of brightness.

    Args:
        image: (C, height, width), whole numbers up to 255 or from 0 to 1.
        size: the new height and width.
        filter: Pillow's number of it: 0 nearest, 1 Lanczos, 2 bilinear, 3 bicubic, 4 box.

    Raises:
        ArgumentError: a side would be empty, or the numbers are no brightness.
    """
    height, width = size
    if height < 1 or width < 1:
        raise ArgumentError(
            f"a picture of {image.shape[1]} × {image.shape[2]} pixels would become {height} × "
            f"{width}: it is too small or too narrow"
        )
    picture, small = to_image(image)
    found = np.array(picture.resize((width, height), resample=filter))
    found = found[None] if found.ndim == 2 else np.moveaxis(found, -1, 0)
    return rescale(found, 1 / 255) if small else found


def crop(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Take the middle; what is missing at the edges is black."""
    height, width = image.shape[-2:]
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    if top >= 0 and left >= 0:
        return image[..., top : top + size[0], left : left + size[1]]
    tall, wide = max(size[0], height), max(size[1], width)
    above, before = math.ceil((tall - height) / 2), math.ceil((wide - width) / 2)
    found = np.zeros((*image.shape[:-2], tall, wide), image.dtype)
    found[..., above : above + height, before : before + width] = image
    top, left = max(top + above, 0), max(left + before, 0)
    return found[..., top : top + size[0], left : left + size[1]]


def rescale(image: np.ndarray, factor: float, offset: float = 0.0) -> np.ndarray:
    """Multiply, and add something."""
    found = (image.astype(np.float64) * factor).astype(np.float32)
    return found + np.float32(offset) if offset else found


def normalize(
    image: np.ndarray, mean: float | Sequence[float], std: float | Sequence[float]
) -> np.ndarray:
    """Subtract each channel's mean and divide by its deviation.

    Raises:
        ArgumentError: the picture has another number of channels.
    """
    image = image if image.dtype.kind == "f" else image.astype(np.float32)
    middle, spread = (_each(values, len(image), image.dtype) for values in (mean, std))
    return (image - middle) / spread


def flip(image: np.ndarray) -> np.ndarray:
    """Reverse the channels: RGB ↔ BGR."""
    return image[::-1]


def reduce_labels(image: np.ndarray) -> np.ndarray:
    """Make class 0 the one that counts for nothing (255), and move the others down by one."""
    found = image.copy()
    found[found == 0] = 255
    found = found - 1
    found[found == 254] = 255
    return found


def pad(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Add rows below and columns on the right up to (height, width)."""
    below, right = _room(image, size)
    return np.pad(image, ((0, 0), (0, below), (0, right)))


def pad_into(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Add black on all sides up to (height, width), half of it before."""
    gaps = _room(image, size)
    return np.pad(image, ((0, 0), *((gap // 2, gap - gap // 2) for gap in gaps)))


def _room(image: np.ndarray, size: tuple[int, int]) -> tuple[int, int]:
    below, right = size[0] - image.shape[-2], size[1] - image.shape[-1]
    if below < 0 or right < 0:
        raise ArgumentError(
            f"a picture of {image.shape[-2]} × {image.shape[-1]} pixels cannot be padded to "
            f"{size[0]} × {size[1]}: resize it first"
        )
    return below, right


def pad_around(image: np.ndarray, divisor: int) -> np.ndarray:
    """Add black on all sides, half of it before, until both sides are multiples of a number."""
    gaps = [-side % divisor for side in image.shape[-2:]]
    return np.pad(image, ((0, 0), *((gap // 2, gap - gap // 2) for gap in gaps)))


def _each(values: Any, channels: int, dtype: Any) -> np.ndarray:
    found = np.atleast_1d(np.array(values, dtype=dtype))
    if len(found) not in (1, channels):
        raise ArgumentError(
            f"a picture has {channels} channels, but the processor knows the mean and deviation of "
            f"{len(found)}.\n  → pass do_convert_rgb=True"
        )
    return found[:, None, None]
