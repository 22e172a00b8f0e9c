"""Rows of tokens are made to fit: truncated, cut into overlapping parts, padded.

A tokenized text or pair is complete, its special tokens included. To truncate it means to choose
which columns stay: all special tokens, and so many of each text as there is room for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from armature.errors import ArgumentError
from armature.inputs.row import Encoding, Padding, Tokens


@dataclass(frozen=True)
class Truncation:
    """How long a row may be and which text gives way."""

    max_length: int
    strategy: str = "longest_first"
    """"longest_first", "only_first" or "only_second"."""
    side: str = "right"
    """Where tokens are cut off."""
    stride: int = 0
    """How many tokens two neighbouring parts of a text share."""
    gives_first: bool = False
    """HF: whether of two equally long texts the first keeps the odd token, and a text that is too
    short to give way disappears, where others refuse."""
    overflow: bool = False
    """Whether the parts that were cut off are wanted, each as a row of its own."""


def rows_of(source: Tokens, truncation: Truncation | None) -> list[Encoding]:
    """Return the row that fits, then, if wanted, the rows of what was cut off.

    Raises:
        ArgumentError: there is no room for the special tokens, or for the text that must stay.
    """
    if truncation is None or len(source) <= truncation.max_length:
        return [Encoding(source)]
    sequence_ids = source.sequence_ids
    texts = [[i for i, s in enumerate(sequence_ids) if s == number] for number in (0, 1)]
    special = [i for i, s in enumerate(sequence_ids) if s is None]
    room = truncation.max_length - len(special)
    if room < 0:
        raise ArgumentError(
            f"max_length={truncation.max_length} leaves no room for the {len(special)} special "
            "tokens. Raise max_length or pass add_special_tokens=False."
        )
    first, second = _lengths(len(texts[0]), len(texts[1]), room, truncation)
    parts = [
        list(_parts(columns, length, truncation))
        for columns, length in zip(texts, (first, second), strict=True)
    ]
    rows = [Encoding(source, sorted([*special, *a, *b])) for a, b in _pairs(*parts)]
    rows[0].overflowing.extend(rows[1:])
    return rows


def _lengths(first: int, second: int, room: int, truncation: Truncation) -> tuple[int, int]:
    """Return how many tokens of each text stay."""
    if first + second <= room or not room:
        return (first, second) if room else (0, 0)
    if truncation.strategy == "longest_first":
        return _share(first, second, room, odd_first=truncation.gives_first)
    if truncation.strategy == "only_first":
        left, other = room - second, "second"
    elif second:
        left, other = room - first, "first"
    else:
        raise ArgumentError(
            "truncation='only_second' needs a pair of texts, but there is only one text. "
            "Pass truncation='only_first' or True."
        )
    if left <= 0 and truncation.gives_first:
        left = 0
    elif left <= 0:
        raise ArgumentError(
            f"truncation={truncation.strategy!r} cannot reach max_length={truncation.max_length}: "
            f"the {other} text alone takes it all. Raise max_length or pass truncation=True."
        )
    return (left, second) if truncation.strategy == "only_first" else (first, left)


def _share(first: int, second: int, room: int, *, odd_first: bool) -> tuple[int, int]:
    """Divide the room between two texts: the shorter stays whole where it takes at most half."""
    if not second:
        return min(first, room), 0
    short, long = sorted((first, second))
    if short + short > room:
        short, long = room // 2, room - room // 2
        if odd_first:
            return long, short
    else:
        long = room - short
    # HF: of two texts that are equally long the second keeps the odd token.
    return (long, short) if first > second else (short, long)


def _parts(columns: list[int], length: int, truncation: Truncation) -> Iterator[list[int]]:
    """Yield the columns that stay, then, if wanted, each further part of the text."""
    left = truncation.side == "left"
    if length >= len(columns) or not truncation.overflow:
        yield columns[len(columns) - min(length, len(columns)) :] if left else columns[:length]
        return
    step = length - truncation.stride
    if step <= 0:
        raise ArgumentError(
            f"stride={truncation.stride} must be smaller than the {length} tokens that max_length="
            f"{truncation.max_length} leaves for the text."
        )
    for start in range(0, len(columns), step):
        stop = min(start + length, len(columns))
        yield columns[len(columns) - stop : len(columns) - start] if left else columns[start:stop]
        if stop == len(columns):
            return


def _pairs(
    first: list[list[int]], second: list[list[int]]
) -> Iterator[tuple[list[int], list[int]]]:
    """Combine the parts of two texts; the order is that of the tokenizers library."""
    yield first[0], second[0]
    for part in first[1:]:
        for other in second:
            yield part, other
    for other in second[1:]:
        yield first[0], other


def padded_length(lengths: Sequence[int], fixed: int | None, multiple: int | None) -> int:
    """Return how long the rows of a batch become.

    Args:
        lengths: Of the rows.
        fixed: The length to reach; None for that of the longest row.
        multiple: The result is rounded up to a multiple of this.
    """
    length = max(lengths, default=0) if fixed is None else fixed
    return -(-length // multiple) * multiple if multiple else length


def pad_row(row: Encoding, length: int, side: str, filler: Padding) -> Encoding:
    """Return `row` with padding on one side up to `length`; a longer row stays as it is."""
    missing = max(length - len(row), 0)
    left, right = (missing, 0) if side == "left" else (0, missing)
    return Encoding(row.source, row.kept, filler._replace(left=left, right=right), row.overflowing)
