"""Pages: a picture of each, its words and where these stand → what a model of documents reads."""

from __future__ import annotations

from typing import Any

from armature.errors import ArgumentError
from armature.inputs.encoding import BatchEncoding


def read_pages(
    processor: Any, images: Any, text: Any, options: dict[str, Any], *, name: str
) -> BatchEncoding:
    """Make of pages what a model of documents reads.

    Args:
        processor: An image processor (`senses`) and a tokenizer.
        images: One page, or several.
        text: The words of each page, where they are known; or a question, if `options` has them as
            `text_pair`, or the image processor finds them (`apply_ocr`).
        options: Of the tokenizer: `boxes`, `word_labels`, `padding`, `return_tensors`…
        name: What the model calls the pictures.

    Raises:
        ArgumentError: words are given with boxes, though they are to be found; or have none.
    """
    reads = processor.senses.apply_ocr
    given = [one for one in ("boxes", "word_labels") if options.get(one) is not None]
    if reads and given:
        raise ArgumentError(
            f"`{given[0]}` belongs to words that you give, but the image processor finds words "
            "itself (apply_ocr=True).\n  → open the processor with apply_ocr=False"
        )
    kind = options.get("return_tensors")
    seen = processor.senses(images, return_tensors=kind)
    if reads:
        text, options = _found(text, seen, options)
    made = processor.tokenizer(text, **options)
    pictures = seen["pixel_values"]
    if options.get("return_overflowing_tokens"):
        pictures = [pictures[int(owner)] for owner in made["overflow_to_sample_mapping"]]
        if kind == "pt":
            import torch

            pictures = torch.stack(pictures)
        elif kind == "np":
            import numpy as np

            pictures = np.stack(pictures)
    made[name] = pictures
    return made


def _found(text: Any, seen: Any, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Put what was found on the pages where the tokenizer expects it."""
    found = {**options, "boxes": seen["boxes"]}
    if text is None:
        return seen["words"], found
    if found.get("text_pair") is None:
        text = [text] if isinstance(text, str) else text
        found["text_pair"] = seen["words"]
    return text, found
