"""One call of a tokenizer: its options, read and checked, and its inputs, brought into one form."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from armature.errors import ArgumentError, nearest
from armature.inputs.text.fit import Truncation

if TYPE_CHECKING:
    from armature.inputs.text.family import Family

log = logging.getLogger(__name__)
_HALVES = re.compile("[\ud800-\udfff]")
ENDLESS = 10**20  # a model_max_length above this means: no limit

_PADDINGS = {True: "longest", False: "do_not_pad", None: "do_not_pad"}
_PADDINGS |= {name: name for name in ("longest", "max_length", "do_not_pad")}
_TRUNCATIONS = {True: "longest_first", False: "do_not_truncate", None: "do_not_truncate"}
_TRUNCATIONS |= {
    name: name for name in ("longest_first", "only_first", "only_second", "do_not_truncate")
}


class Limits(Protocol):
    """What a tokenizer says where a call is silent."""

    model_max_length: int
    padding_side: str
    truncation_side: str

    @property
    def family(self) -> Family: ...  # noqa: D102


@dataclass(frozen=True)
class Call:
    """The options of one call, as the caller gave them."""

    add_special_tokens: bool = True
    padding: Any = False
    truncation: Any = None
    max_length: int | None = None
    stride: int = 0
    is_split_into_words: bool = False
    pad_to_multiple_of: int | None = None
    padding_side: str | None = None
    return_tensors: str | None = None
    return_token_type_ids: bool | None = None
    return_attention_mask: bool | None = None
    return_overflowing_tokens: bool = False
    return_special_tokens_mask: bool = False
    return_offsets_mapping: bool = False
    return_length: bool = False
    verbose: bool = True
    split_special_tokens: bool | None = None
    src_lang: str | None = None
    target: bool = False
    """Whether these are texts that the model shall produce."""

    def fit(self, tokenizer: Limits) -> tuple[Truncation | None, Fit | None]:
        """Return how rows are truncated and how they are padded; None where they are not.

        Raises:
            ArgumentError: an option has a value that does not exist, or two do not go together.
        """
        padding = _choice("padding", self.padding, _PADDINGS)
        truncation = _choice("truncation", self.truncation, _TRUNCATIONS)
        if self.max_length is not None and self.truncation is None and self.padding is False:
            truncation = "longest_first"
        limit = self._limit(tokenizer, padding, truncation)
        cut = None
        if truncation != "do_not_truncate" and limit is not None:
            cut = Truncation(
                limit,
                truncation,
                tokenizer.truncation_side,
                self.stride,
                tokenizer.family.plain,
                self.return_overflowing_tokens,
            )
        if (padding == "max_length" and limit is None) or padding == "do_not_pad":
            return cut, None
        multiple = self.pad_to_multiple_of
        if cut and multiple and limit is not None and limit % multiple:
            raise ArgumentError(
                f"max_length={limit} is no multiple of pad_to_multiple_of={multiple}, so rows "
                "would become longer than they may. Change one of them."
            )
        fixed = limit if padding == "max_length" else None
        return cut, Fit(fixed, multiple, side_of(self.padding_side or tokenizer.padding_side))

    def _limit(self, tokenizer: Limits, padding: str, truncation: str) -> int | None:
        if self.max_length is not None:
            if isinstance(self.max_length, bool) or self.max_length < 0:
                raise ArgumentError(f"max_length={self.max_length!r} is no length.")
            return int(self.max_length)
        if tokenizer.model_max_length <= ENDLESS:
            return int(tokenizer.model_max_length)
        if self.verbose and (truncation != "do_not_truncate" or padding == "max_length"):
            log.warning(
                "The tokenizer knows no greatest length, so nothing is truncated or padded to it. "
                "Pass max_length=…"
            )
        return None


@dataclass(frozen=True)
class Fit:
    """How the rows of a batch come to one length."""

    length: int | None
    """The length to reach; None for that of the longest row."""
    multiple: int | None
    side: str


def _choice(name: str, value: Any, known: dict[Any, str]) -> str:
    value = getattr(value, "value", value)
    try:
        return known[value]
    except (KeyError, TypeError):
        choices = ", ".join(repr(key) for key in known if key is not None)
        near = nearest(str(value), [key for key in known if isinstance(key, str)])
        raise ArgumentError(f"{name}={value!r} is not known.{near} Use {choices}.") from None


def side_of(value: Any) -> str:
    """Return "left" or "right".

    Raises:
        ArgumentError: the value is neither.
    """
    if value not in ("left", "right"):
        raise ArgumentError(f"padding_side={value!r} should be 'left' or 'right'.")
    return value


def read_inputs(
    text: Any, pair: Any, *, words: bool, plain: bool = False
) -> tuple[list[Any], bool]:
    """Bring one text, a pair, or a batch of either into a list of inputs.

    Args:
        text: A text, its words, or a list of such; a list may also hold (text, pair).
        pair: As `text`, or None.
        words: Whether texts are lists of words.
        plain: Whether an empty second text is a text.

    Returns:
        The list, and whether it was a batch.

    Raises:
        ArgumentError: a text is not a text, or the two lists are not equally long.
    """
    batched = isinstance(text, list | tuple)
    if words:
        batched = batched and bool(text) and isinstance(text[0], list | tuple)
    if not batched:
        # HF: an empty second text counts as none, but not for classes without a tokenizer.json.
        inputs = [(text, pair)] if pair or (plain and pair is not None) else [text]
    elif pair is None:
        inputs = list(text)
    elif isinstance(pair, str) or len(pair) != len(text):
        count = "one text" if isinstance(pair, str) else f"{len(pair)} texts"
        raise ArgumentError(f"text is a list of {len(text)}, but text_pair is {count}.")
    else:
        inputs = list(zip(text, pair, strict=True))
    for position, value in enumerate(inputs):
        if not _is_input(value, words=words):
            raise ArgumentError(_complaint(value, position if batched else None, words=words))
        refuse_halves(value)
    return inputs, batched


def refuse_halves(value: Any) -> None:
    """Refuse texts that hold half a character, which no encoding can write.

    Raises:
        ArgumentError: a str, or one in the lists, holds a lone surrogate.
    """
    if not isinstance(value, str):
        for part in value:
            refuse_halves(part)
    elif not value.isascii() and (found := _HALVES.search(value)):
        raise ArgumentError(
            f"The text has half a character (U+{ord(found[0]):04X}) at position {found.start()}: "
            f"...{value[max(0, found.start() - 10) : found.end() + 10]!a}... Read its file "
            'with the right encoding, or repair it: text.encode("utf-16", "surrogatepass")'
            '.decode("utf-16", "replace")'
        )


def _is_input(value: Any, *, words: bool) -> bool:
    if words:
        return _are_words(value) or (_is_pair(value) and all(map(_are_words, value)))
    return isinstance(value, str) or (_is_pair(value) and all(isinstance(x, str) for x in value))


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2


def _are_words(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(word, str) for word in value)


def _complaint(value: Any, position: int | None, *, words: bool) -> str:
    place = "The text" if position is None else f"Text {position} of the batch"
    kind = type(value).__name__
    if words:
        return f"{place} should be a list of words (is_split_into_words=True), not {kind}."
    if _are_words(value):
        hint = "For texts that are split into words pass is_split_into_words=True."
        return f"{place} is a list of {len(value)} texts. {hint}"
    return f"{place} should be a str or a pair of str, not {kind} ({str(value)[:40]!r})."


def as_lists(value: Any) -> Any:
    """Return ids as plain numbers and lists, whether they came as tensor, array or lists."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [as_lists(part) for part in value]
    return value
