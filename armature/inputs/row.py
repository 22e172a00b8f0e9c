"""Encoding: the tokens of one text or pair as they fit, with ways back to the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol


class Tokens(Protocol):
    """A tokenized text or pair; `tokenizers.Encoding` is one such thing."""

    @property
    def ids(self) -> list[int]: ...  # noqa: D102
    @property
    def sequence_ids(self) -> list[int | None]: ...  # noqa: D102
    def __len__(self) -> int: ...


class Padding(NamedTuple):
    """What stands left and right of a row's tokens, and how often."""

    left: int = 0
    right: int = 0
    token: str = ""
    token_id: int = 0
    type_id: int = 0


NO_PADDING = Padding()


@dataclass(frozen=True)
class Encoding:
    """The tokens of one text or pair: a choice of columns of `source`, with padding around.

    Truncation keeps some columns of what was tokenized and drops the others, so nothing has to be
    tokenized or assembled again, and all columns always agree.
    """

    source: Tokens
    kept: list[int] | None = None
    """Which columns of `source` are left; None for all."""
    padding: Padding = NO_PADDING
    overflowing: list[Encoding] = field(default_factory=list)
    """The parts of the text that truncation cut off, when they were asked for."""

    def _column(self, name: str, filler: Any) -> list[Any]:
        values = getattr(self.source, name)
        if self.kept is not None:
            values = [values[index] for index in self.kept]
        left, right = self.padding[:2]
        return [filler] * left + values + [filler] * right if left or right else values

    @property
    def ids(self) -> list[int]:
        """Return the token ids."""
        return self._column("ids", self.padding.token_id)

    @property
    def type_ids(self) -> list[int]:
        """Return which text each token belongs to, as the model is told."""
        return self._column("type_ids", self.padding.type_id)

    @property
    def tokens(self) -> list[str]:
        """Return the tokens as the vocabulary spells them."""
        return self._column("tokens", self.padding.token)

    @property
    def offsets(self) -> list[tuple[int, int]]:
        """Return where in its text each token begins and ends, in characters."""
        return self._column("offsets", (0, 0))

    @property
    def word_ids(self) -> list[int | None]:
        """Return the index of each token's word in its text; None for added tokens."""
        return self._column("word_ids", None)

    @property
    def words(self) -> list[int | None]:
        """Return `word_ids`, under its older name."""
        return self.word_ids

    @property
    def sequence_ids(self) -> list[int | None]:
        """Return 0 for tokens of the text, 1 for tokens of its pair, None for added tokens."""
        return self._column("sequence_ids", None)

    @property
    def special_tokens_mask(self) -> list[int]:
        """Return 1 for added tokens and padding, 0 for tokens of the texts."""
        return self._column("special_tokens_mask", 1)

    @property
    def attention_mask(self) -> list[int]:
        """Return 1 for tokens, 0 for padding."""
        left, right = self.padding[:2]
        return [0] * left + [1] * (len(self) - left - right) + [0] * right

    @property
    def n_sequences(self) -> int:
        """Return 2 for a pair, else 1."""
        return 2 if 1 in self.source.sequence_ids else 1

    def __len__(self) -> int:
        count = len(self.source) if self.kept is None else len(self.kept)
        return count + self.padding.left + self.padding.right

    def token_to_sequence(self, token_index: int) -> int | None:
        """Return 0 or 1, the text that a token belongs to, or None."""
        return _at(self.sequence_ids, token_index)

    def token_to_word(self, token_index: int) -> int | None:
        """Return the index of the word that a token belongs to, or None."""
        return _at(self.word_ids, token_index)

    def token_to_chars(self, token_index: int) -> tuple[int, int] | None:
        """Return where a token's characters begin and end, or None for an added token."""
        if self.token_to_sequence(token_index) is None:
            return None
        return _at(self.offsets, token_index)

    def word_to_tokens(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None:
        """Return the first token of a word and the one after its last, or None."""
        pairs = enumerate(zip(self.sequence_ids, self.word_ids, strict=True))
        found = [index for index, pair in pairs if pair == (sequence_index, word_index)]
        return (found[0], found[-1] + 1) if found else None

    def word_to_chars(self, word_index: int, sequence_index: int = 0) -> tuple[int, int] | None:
        """Return where a word begins and ends in its text, or None."""
        span = self.word_to_tokens(word_index, sequence_index)
        if span is None:
            return None
        offsets = self.offsets
        return offsets[span[0]][0], offsets[span[1] - 1][1]

    def char_to_token(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """Return the token that a character of a text is in, or None for white space."""
        sequences = self.sequence_ids
        for index, (start, end) in enumerate(self.offsets):
            if start <= char_pos < end and sequences[index] == sequence_index:
                return index
        return None

    def char_to_word(self, char_pos: int, sequence_index: int = 0) -> int | None:
        """Return the word that a character of a text is in, or None."""
        token = self.char_to_token(char_pos, sequence_index)
        return None if token is None else self.token_to_word(token)

    def __repr__(self) -> str:
        return f"Encoding(num_tokens={len(self)}, tokens={self.tokens})"


def _at(values: Sequence[Any], index: int) -> Any:
    return values[index] if 0 <= index < len(values) else None
