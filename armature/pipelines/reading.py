"""Reading: texts and pairs → rows of tokens, none longer than the model can take."""

from __future__ import annotations

import functools
import logging
from collections.abc import Sequence
from typing import Any

from armature.errors import ArgumentError
from armature.pipelines.options import ReadingOptions

log = logging.getLogger("armature")

Columns = dict[str, Any]  # one row as a tokenizer returns it: `input_ids`, …

_ENDLESS = 10**9  # a tokenizer's greatest length above this means none


@functools.cache
def note(text: str) -> None:
    """Say something once in a process."""
    log.warning(text)


class Reader:
    """A tokenizer, and how many tokens the model behind it takes."""

    def __init__(self, tokenizer: Any, positions: int | None, where: str, *, heeds: bool) -> None:
        """Find out how long a row may be.

        Args:
            tokenizer: May know a greatest length, which is often lower than it need be.
            positions: How many tokens the model has positions for; None for any number.
            where: What messages begin with.
            heeds: Whether the tokenizer's greatest length counts when nobody asks for truncation.
        """
        self.tokenizer, self.where = tokenizer, where
        longest = getattr(tokenizer, "model_max_length", None) or _ENDLESS
        limits = [positions or _ENDLESS, longest]
        self.asked = min(limits) if min(limits) < _ENDLESS else None
        """Tokens of a row where the caller asks for truncation; None for any number."""
        self.limit = self.asked if heeds else positions
        """Tokens of a row where the caller says nothing; None for any number."""

    def read(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str | None] | None = None,
        *,
        options: ReadingOptions,
        cut: str = "longest_first",
        also: Sequence[str] = (),
        **wanted: Any,
    ) -> list[Columns]:
        """Return one row for each text.

        Args:
            texts: Texts, or their words.
            pairs: For each text a second one that goes with it, or None.
            options: How the caller wants texts to be read.
            cut: Which of two texts gives way, where the caller does not say.
            also: Columns that the tokenizer gives on request: "word_ids", "sequence_ids".
            **wanted: Further arguments of the tokenizer.

        Raises:
            ArgumentError: a text is too long, and the caller forbade to cut it.
        """
        wanted["also"] = also
        if options.add_special_tokens is not None:
            wanted["add_special_tokens"] = options.add_special_tokens
        limit = options.max_length or self.asked
        asked = options.truncation or (options.truncation is None and options.max_length)
        if asked and limit:
            how = options.truncation if isinstance(options.truncation, str) else cut
            return self._rows(texts, pairs, truncation=how, max_length=limit, **wanted)
        rows = self._rows(texts, pairs, verbose=False, **wanted)
        long = [
            i for i, row in enumerate(rows) if self.limit and len(row["input_ids"]) > self.limit
        ]
        if not long:
            return rows
        length = len(rows[long[0]]["input_ids"])
        self.say_too_long(length, options, "what is beyond them is cut off")
        some = [texts[i] for i in long]
        others = None if pairs is None else [pairs[i] for i in long]
        shorter = self._rows(some, others, truncation=cut, max_length=self.limit, **wanted)
        for index, row in zip(long, shorter, strict=True):
            rows[index] = row
        return rows

    def windows(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str] | None = None,
        *,
        limit: int | None,
        stride: int,
        also: Sequence[str] = (),
        **wanted: Any,
    ) -> list[Columns]:
        """Return as many rows for each text as it needs, each overlapping the one before it.

        Args:
            texts: Texts, or their words.
            pairs: For each text a second one, or None.
            limit: Tokens of a row at most; None for no limit.
            stride: Tokens that neighbouring rows share.
            also: Columns that the tokenizer gives on request.
            **wanted: Further arguments of the tokenizer.

        Returns:
            The rows, in order; the column `item` says of which text each is.
        """
        second = None if pairs is None else list(pairs)
        wanted = {"truncation": True, "return_overflowing_tokens": True} | wanted
        encoded = self.tokenizer(list(texts), second, max_length=limit, stride=stride, **wanted)
        encoded["item"] = encoded.pop("overflow_to_sample_mapping", range(len(texts)))
        return rows_of(encoded, also)

    def _rows(
        self,
        texts: Sequence[Any],
        pairs: Sequence[str | None] | None,
        also: Sequence[str],
        **given: Any,
    ) -> list[Columns]:
        """Tokenize texts all at once; those with a second text apart from those without."""
        if pairs is None or all(pair is None for pair in pairs):
            return rows_of(self.tokenizer(list(texts), **given), also)
        if all(pair is not None for pair in pairs):
            return rows_of(self.tokenizer(list(texts), list(pairs), **given), also)
        rows: list[Columns] = [{} for _ in texts]
        for alone in (True, False):
            group = [i for i, pair in enumerate(pairs) if (pair is None) == alone]
            some, others = [texts[i] for i in group], [pairs[i] for i in group]
            for index, row in zip(group, self._rows(some, others, also, **given), strict=True):
                rows[index] = row
        return rows

    def say_too_long(self, length: int, options: ReadingOptions, done: str) -> None:
        """Say once that a text is too long, and what is done about it.

        Raises:
            ArgumentError: the caller forbade to cut it.
        """
        if options.truncation is False:
            raise ArgumentError(
                f"{self.where}: a text has {length} tokens, but the model takes {self.limit}.\n"
                "  → shorten it, or leave `truncation=False` out: then it is cut"
            )
        most = f"more than the {self.limit} tokens that the model takes"
        note(f"{self.where}: a text has {most}; {done}")


def rows_of(encoded: Any, also: Sequence[str] = ()) -> list[Columns]:
    """Turn a tokenizer's columns of many rows into rows."""
    names = list(encoded.keys())
    rows = [dict(zip(names, row, strict=True)) for row in zip(*encoded.values(), strict=True)]
    for name in also:
        for index, row in enumerate(rows):
            row[name] = getattr(encoded, name)(index)
    return rows
