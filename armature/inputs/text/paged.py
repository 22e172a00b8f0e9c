"""Tokenizers of pages: words, and where each stands on the page, become tokens with boxes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from armature.errors import ArgumentError
from armature.inputs.encoding import BatchEncoding
from armature.inputs.text.tokenizer import Tokenizer

Box = Sequence[int]
"""Left, top, right, bottom, from 0 to 1000."""


class PageTokenizer(Tokenizer):
    """A tokenizer of words that stand somewhere on a page, and of questions about it."""

    def __call__(  # type: ignore[override]
        self,
        text: Any = None,
        text_pair: Any = None,
        boxes: Any = None,
        word_labels: Any = None,
        *,
        return_tensors: str | None = None,
        return_offsets_mapping: bool = False,
        **options: Any,
    ) -> BatchEncoding:
        """Tokenize a page, or a batch of pages.

        Args:
            text: The words of a page, or of each of several; where `text_pair` has these, a
                question, or several.
            text_pair: The words, if there is a question.
            boxes: Of each word, left, top, right and bottom, from 0 to 1000.
            word_labels: Of each word, for a model that labels them.
            return_tensors: "pt", "np" or None for lists.
            return_offsets_mapping: Whether to return each token's (start, end) in its word.
            options: See `Tokenizer.__call__`.

        Returns:
            Besides the usual, `bbox` (B, T, 4), and `labels` (B, T) if there are any.

        Raises:
            ArgumentError: there are not as many boxes as words.
        """
        asked = text_pair is not None
        questions: Any
        batched = _is_batch(text, asked=asked)
        words, questions = (text_pair, text) if asked else (text, None)
        if not batched:
            words, boxes, questions = [words], None if boxes is None else [boxes], [questions]
            word_labels = None if word_labels is None else [word_labels]
        _check(words, boxes, word_labels)
        pairs: Any = list(words)
        if asked:
            split = [one.split() if isinstance(one, str) else list(one) for one in questions]
            if len(split) != len(words):
                raise ArgumentError(f"there are {len(split)} questions, but {len(words)} pages")
            pairs = list(zip(split, words, strict=True))
        options |= {"is_split_into_words": True, "return_offsets_mapping": True}
        found = super().__call__(pairs, **options)
        owners = found.get("overflow_to_sample_mapping") or range(len(words))
        rows = [
            (row, owner, self._places(found, row, asked=asked)) for row, owner in enumerate(owners)
        ]
        found["bbox"] = [
            self._boxes(found["input_ids"][row], places, boxes[owner])
            for row, owner, places in rows
        ]
        if word_labels is not None:
            found["labels"] = [
                self._labels(places, found["offset_mapping"][row], word_labels[owner])
                for row, owner, places in rows
            ]
        if not return_offsets_mapping:
            del found["offset_mapping"]
        if not batched and return_tensors is None and not options.get("return_overflowing_tokens"):
            single = {k: v[0] if isinstance(v[0], list) else v for k, v in found.items()}
            return BatchEncoding(single, found._rows)
        return found.convert_to_tensors(return_tensors)

    def _places(self, found: BatchEncoding, row: int, *, asked: bool) -> list[int | None]:
        """Return for each token of a row the place of its word; -1 for words of a question."""
        words, parts = found.word_ids(row), found.sequence_ids(row)
        return [
            -1 if word is not None and asked and part == 0 else word
            for word, part in zip(words, parts, strict=True)
        ]

    def _boxes(
        self, ids: Sequence[int], places: Sequence[int | None], boxes: Sequence[Box]
    ) -> list[Box]:
        special = {self.cls_token_id: self.cls_token_box, self.pad_token_id: self.pad_token_box}
        return [
            special.get(index, self.sep_token_box)
            if place is None
            else self.pad_token_box
            if place < 0
            else list(boxes[place])
            for index, place in zip(ids, places, strict=True)
        ]

    def _labels(
        self,
        places: Sequence[int | None],
        offsets: Sequence[tuple[int, int]],
        labels: Sequence[int],
    ) -> list[int]:
        """Return the label of each word at its first token, or at all of them."""
        found, before = [], None
        for place, offset in zip(places, offsets, strict=True):
            # HF: where a row begins within a word, byte pieces take it for the word's first.
            first = place != before if self.family.trims else offset[0] == 0
            counts = place is not None and (first or not self.only_label_first_subword)
            found.append(labels[place] if counts and place is not None else self.pad_token_label)
            before = place
        return found


def _is_batch(text: Any, *, asked: bool) -> bool:
    if asked:
        return isinstance(text, list | tuple)
    if not isinstance(text, list | tuple):
        raise ArgumentError(
            f"a page is a list of words with boxes, not {type(text).__name__}.\n"
            "  → pass a question as text, and the words as text_pair"
        )
    return bool(text) and isinstance(text[0], list | tuple)


def _check(words: Any, boxes: Any, labels: Any) -> None:
    if boxes is None:
        raise ArgumentError("every word needs a box: pass boxes=[[left, top, right, bottom], …]")
    for name, given in (("boxes", boxes), ("word_labels", labels)):
        if given is None:
            continue
        if len(given) != len(words):
            raise ArgumentError(f"there are {len(words)} pages, but `{name}` of {len(given)}")
        for page, (some, others) in enumerate(zip(words, given, strict=True)):
            if len(some) != len(others):
                raise ArgumentError(
                    f"page {page} has {len(some)} words, but {len(others)} of `{name}`"
                )
    if any(len(box) != 4 for page in boxes for box in page):
        raise ArgumentError("a box is [left, top, right, bottom], each from 0 to 1000")
