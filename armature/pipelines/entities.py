"""Entities: labelled tokens → words → stretches of text that carry one label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

Joined = Callable[[list[str]], str]  # tokens → the text they stand for

STRATEGIES = ("none", "simple", "first", "average", "max")


@dataclass(slots=True)
class Token:
    """A token of a text with a score for each label; or, once joined, a word."""

    word: str
    start: int | None
    """Where it begins in the text; None where that is not known, like its end."""
    end: int | None
    scores: Sequence[float]
    index: int = 0
    """Its column, special tokens counted."""
    continues: bool = False
    """Whether it goes on with the word of the token before it."""

    @property
    def best(self) -> int:
        """Return the label with the highest score."""
        return max(range(len(self.scores)), key=self.scores.__getitem__)


@dataclass(slots=True)
class Entity:
    """A token or word with its label."""

    word: str
    start: int | None
    end: int | None
    label: str
    score: float

    @property
    def begins(self) -> bool:
        """Return whether its label says that it begins something new: "B-PER"."""
        return self.label.startswith("B-")

    @property
    def kind(self) -> str:
        """Return the label without B- and I-."""
        return self.label[2:] if self.label[:2] in ("B-", "I-") else self.label


def plain(tokens: Sequence[Token], labels: Any) -> list[dict[str, Any]]:
    """Return a result for each token."""
    return [
        {
            "entity": labels[token.best],
            "score": token.scores[token.best],
            "index": token.index,
            "word": token.word,
            "start": token.start,
            "end": token.end,
        }
        for token in tokens
    ]


def grouped(
    tokens: Sequence[Token], labels: Any, strategy: str, joined: Joined
) -> list[dict[str, Any]]:
    """Return a result for each stretch of tokens, or words, of one kind.

    Args:
        tokens: Of one text.
        labels: The name of each label.
        strategy: "simple": tokens may differ within a word. "first", "average", "max": a word has
            one label, that of its first token, of its tokens' average, of its surest token.
        joined: Makes a text of tokens.
    """
    if strategy == "simple":
        entities = [_entity(token, labels) for token in tokens]
    else:
        entities = [_word(word, labels, strategy, joined) for word in _words(tokens)]
    return [_group(stretch, joined) for stretch in _stretches(entities)]


def merged(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of results that overlap, from windows that do, keep the longer, then the surer."""
    kept: list[dict[str, Any]] = []
    for entity in sorted(found, key=lambda entity: entity["start"]):
        if not kept or not kept[-1]["start"] <= entity["start"] < kept[-1]["end"]:
            kept.append(entity)
        elif _weight(entity) > _weight(kept[-1]):
            kept[-1] = entity
    return kept


def _weight(entity: dict[str, Any]) -> tuple[int, float]:
    return entity["end"] - entity["start"], entity["score"]


def _entity(token: Token, labels: Any) -> Entity:
    best = token.best
    return Entity(token.word, token.start, token.end, labels[best], token.scores[best])


def _words(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    """Collect the tokens of each word."""
    word: list[Token] = []
    for token in tokens:
        if word and not token.continues:
            yield word
            word = []
        word.append(token)
    if word:
        yield word


def _word(tokens: list[Token], labels: Any, strategy: str, joined: Joined) -> Entity:
    """Give a word one label."""
    match strategy:
        case "first":
            scores = tokens[0].scores
        case "max":
            scores = max(tokens, key=lambda token: max(token.scores)).scores
        case _:
            columns = zip(*(token.scores for token in tokens), strict=True)
            scores = [sum(column) / len(tokens) for column in columns]
    text = joined([token.word for token in tokens])
    return _entity(Token(text, tokens[0].start, tokens[-1].end, scores), labels)


def _stretches(entities: Sequence[Entity]) -> Iterator[list[Entity]]:
    """Collect neighbours of one kind; a B- begins a new stretch."""
    stretch: list[Entity] = []
    for entity in entities:
        if stretch and (entity.begins or entity.kind != stretch[-1].kind):
            yield stretch
            stretch = []
        stretch.append(entity)
    if stretch:
        yield stretch


def _group(stretch: list[Entity], joined: Joined) -> dict[str, Any]:
    return {
        # HF: any label is cut at its first hyphen here, not only one that begins with B- or I-.
        "entity_group": stretch[0].label.split("-", 1)[-1],
        "score": sum(entity.score for entity in stretch) / len(stretch),
        "word": joined([entity.word for entity in stretch]),
        "start": stretch[0].start,
        "end": stretch[-1].end,
    }
