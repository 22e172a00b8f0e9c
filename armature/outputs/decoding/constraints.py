"""Constraints: words that must be said, and how near a text is to having said them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from armature.errors import ArgumentError


class Constraint:
    """Base of what a text must say: one of several phrases."""

    phrases: tuple[tuple[int, ...], ...]

    def __init__(self, phrases: Sequence[Sequence[int]], name: str) -> None:
        self.phrases = tuple(_phrase(phrase, name) for phrase in phrases)
        for one in self.phrases:
            longer = [two for two in self.phrases if two != one and two[: len(one)] == one]
            if longer or self.phrases.count(one) > 1:
                raise ArgumentError(
                    f"`{name}` holds {list(one)} and {list((longer or [one])[0])}: whoever says "
                    "one has begun the other.\n  → keep one of the two"
                )

    @property
    def length(self) -> int:
        """Return how many tokens the longest phrase has."""
        return max(map(len, self.phrases))

    def following(self, said: tuple[int, ...]) -> list[int]:
        """Return the tokens that go on with a phrase of which `said` is there."""
        found = [
            p[len(said)] for p in self.phrases if len(p) > len(said) and p[: len(said)] == said
        ]
        return list(dict.fromkeys(found))


class PhrasalConstraint(Constraint):
    """A phrase that must be said.

    Args:
        token_ids: Its tokens.
    """

    def __init__(self, token_ids: list[int]) -> None:
        super().__init__([token_ids], "token_ids")
        self.token_ids = token_ids


class DisjunctiveConstraint(Constraint):
    """Phrases of which one must be said.

    Args:
        nested_token_ids: The tokens of each.
    """

    def __init__(self, nested_token_ids: list[list[int]]) -> None:
        if not isinstance(nested_token_ids, list | tuple) or not nested_token_ids:
            raise ArgumentError(
                f"`nested_token_ids` should be lists of token ids, but is {nested_token_ids!r}"
            )
        super().__init__(nested_token_ids, "nested_token_ids")
        self.token_ids = nested_token_ids


def _phrase(tokens: Any, name: str) -> tuple[int, ...]:
    good = isinstance(tokens, list | tuple) and len(tokens) > 0
    if not good or not all(isinstance(token, int) and token >= 0 for token in tokens):
        raise ArgumentError(f"`{name}` should hold token ids, 0 or more, but is {tokens!r}")
    return tuple(tokens)


def constraints_of(force_words_ids: Any, constraints: Any) -> list[Constraint]:
    """Return what two settings demand: `constraints`, then `force_words_ids`.

    Raises:
        ArgumentError: they do not hold what they should.
    """
    found: list[Any] = list(constraints or ())
    for one in found:
        if not isinstance(one, Constraint):
            raise ArgumentError(
                "`constraints` should hold PhrasalConstraint([…]) or DisjunctiveConstraint([[…]]), "
                f"but holds {one!r}"
            )
    if force_words_ids is not None and (
        not isinstance(force_words_ids, list | tuple) or not force_words_ids
    ):
        raise ArgumentError(
            "`force_words_ids` should hold phrases [[5, 6], …], or lists of phrases of which one "
            f"is to be said [[[5, 6], [7]], …], but is {force_words_ids!r}"
        )
    for word in force_words_ids or ():
        nested = isinstance(word, list | tuple) and bool(word) and isinstance(word[0], list | tuple)
        found.append(Constraint(word if nested else [word], "force_words_ids"))
    return found


@dataclass
class Going:
    """Texts that go on: the sum, the row and the new token of each."""

    scores: list[float]
    rows: list[int]
    tokens: list[int]

    def __iter__(self) -> Iterator[tuple[float, int, int]]:
        return zip(self.scores, self.rows, self.tokens, strict=True)

    def add(self, score: float, row: int, token: int) -> None:
        """Add one text."""
        self.extend(Going([score], [row], [token]))

    def extend(self, other: Going) -> None:
        """Add other texts."""
        self.scores += other.scores
        self.rows += other.rows
        self.tokens += other.tokens


@dataclass(frozen=True)
class Progress:
    """How far one text is: what it has yet to say, and the phrase that it is in."""

    pending: tuple[Constraint, ...]
    current: Constraint | None = None
    said: tuple[int, ...] = ()
    """Of the current one."""
    met: int = 0

    @property
    def whole(self) -> bool:
        """Return whether everything was said."""
        return not self.pending and self.current is None

    def following(self) -> list[int]:
        """Return the tokens that bring the text nearer."""
        if self.current is not None:
            return self.current.following(self.said)
        return [token for one in self.pending for token in one.following(())]

    def after(self, token: int) -> Progress:
        """Return the progress after one more token."""
        if self.whole:
            return self
        if self.current is not None:
            if token not in self.current.following(self.said):  # broken off: from the start again
                return Progress((*self.pending, self.current), met=self.met)
            return self._within(self.current, self.pending, (*self.said, token))
        for i, one in enumerate(self.pending):
            if token in one.following(()):
                return self._within(one, self.pending[:i] + self.pending[i + 1 :], (token,))
        return self

    def _within(
        self, one: Constraint, others: tuple[Constraint, ...], said: tuple[int, ...]
    ) -> Progress:
        if one.following(said):
            return Progress(others, one, said, self.met)
        return Progress(others, met=self.met + 1)

    def bank(self, longest: int) -> int:
        """Return how many tokens are said, counting each phrase as long as the longest."""
        if self.current is None:
            return self.met * longest
        return self.met * longest + longest - (self.current.length - len(self.said))


class Demands:
    """All the constraints of one call."""

    def __init__(self, constraints: list[Constraint]) -> None:
        self.constraints = tuple(constraints)
        self.longest = max(one.length for one in constraints)

    def progress(self, text: list[int]) -> Progress:
        """Return how far a text is; its prompt counts."""
        progress = Progress(self.constraints)
        for token in text:
            progress = progress.after(token)
        return progress

    def met(self, text: list[int]) -> bool:
        """Return whether a text has said everything."""
        return self.progress(text).whole

    def advance(
        self, going: Going, rows: list[int], texts: dict[int, list[int]], scores: Tensor
    ) -> Going:
        """Choose anew, among what goes on and what would bring each text nearer.

        The best of each bank, those that have said as much, take turns, the fullest bank first.

        Args:
            going: What the search would go on with.
            rows: The rows of one prompt.
            texts: Their tokens.
            scores: (W, V) sums of each row and token.
        """
        known = [[*texts[row], token] for _, row, token in going]
        progress = [self.progress(text) for text in known]
        found = Going(list(going.scores), list(going.rows), list(going.tokens))
        for place, row in enumerate(rows):
            far = self.progress(texts[row])
            for token in [] if far.whole else far.following():
                text = [*texts[row], token]
                if text not in known:
                    known.append(text)
                    progress.append(far.after(token))
                    found.add(float(scores[place, token]), row, token)
        if len(found.rows) == len(going.rows):
            return going
        banks = torch.tensor([one.bank(self.longest) for one in progress])
        order = (banks * 100 + torch.tensor(found.scores)).argsort(descending=True, stable=True)
        turn, before, ranks = 0, None, []
        for i in order.tolist():  # HF: what is forbidden comes last, and its banks count anew
            turn = turn + 1 if int(banks[i]) == before else 0
            before = int(banks[i])
            ranks.append((turn, i))
        chosen = [i for _, i in sorted(ranks, key=lambda pair: pair[0])][: len(going.rows)]
        return Going(
            [found.scores[i] for i in chosen],
            [found.rows[i] for i in chosen],
            [found.tokens[i] for i in chosen],
        )
