"""OCR: the words in a picture and where they stand, as Tesseract finds them."""

from __future__ import annotations

from typing import Any

import numpy as np

from armature.errors import ArgumentError
from armature.inputs.image.transforms import to_image

Box = list[int]
"""Left, top, right, bottom, from 0 to 1000."""


def words_of(
    image: np.ndarray, language: str | None, options: str | None
) -> tuple[list[str], list[Box]]:
    """Return the words of a picture (C, height, width), and the box of each.

    Raises:
        ArgumentError: Tesseract, or the package that calls it, is not installed.
    """
    picture, _ = to_image(image)
    found = _read(picture, language, options or "")
    words, boxes = [], []
    for index, word in enumerate(found["text"]):
        if word.strip():
            left, top = found["left"][index], found["top"][index]
            corners = (left, top, left + found["width"][index], top + found["height"][index])
            words.append(word)
            boxes.append(in_thousandths(corners, *picture.size))
    return words, boxes


def in_thousandths(corners: tuple[float, ...], width: int, height: int) -> Box:
    """Return a box (left, top, right, bottom) in thousandths of a page's width and height."""
    sides = (width, height, width, height)
    return [int(1000 * (place / side)) for place, side in zip(corners, sides, strict=True)]


def _read(picture: Any, language: str | None, options: str) -> dict[str, list[Any]]:
    try:
        import pytesseract  # type: ignore[import-not-found]
    except ImportError as error:
        raise ArgumentError(
            "apply_ocr=True finds words with Tesseract, for which pytesseract is not installed.\n"
            "  → pip install 'armature-models[documents]' and Tesseract itself; or pass "
            "apply_ocr=False, and the words and boxes yourself"
        ) from error
    try:
        return pytesseract.image_to_data(picture, lang=language, output_type="dict", config=options)
    except (OSError, RuntimeError) as error:
        raise ArgumentError(f"Tesseract does not read this picture: {error}") from error
