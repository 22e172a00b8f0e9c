"""Transcripts: what a model wrote for overlapping windows of a sound → one text, with its times."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from armature.inputs.text.spoken_languages import NAMES, UNSPACED
from armature.inputs.text.transcribed import UNTIMED, WINDOW
from armature.pipelines.reading import note

Moments = list[tuple[float, float]]  # when each token begins and ends
_BEFORE = "\"'“¡¿([{-"
_AFTER = "\"'.。,，!！?？:：”)]}、"
_SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"


@dataclass
class Written:
    """What a model wrote for one window."""

    tokens: list[int]
    times: list[float] | None = None
    """When each token ends, in seconds, where that was asked for."""
    stride: tuple[float, float, float] | None = None
    """Seconds: the window's length, and what it shares with its neighbours left and right."""


@dataclass
class _Clock:
    """The times of one window: a model that went on by itself begins at 0 again and again."""

    latest: float = 0.0
    before: float = 0.0
    passed: float = 0.0

    def tick(self, time: float, *, alone: bool, span: float) -> float:
        """Return how much time has passed before this one is counted from 0."""
        if time < self.latest:
            if alone:
                self.passed += span
            else:
                self.latest = self.before
                self.passed += self.before
        self.before, self.latest = self.latest, time
        return self.passed


@dataclass
class Transcript:
    """Windows as they come in → parts between two times, and the text of all."""

    tokenizer: Any
    timestamps: bool | str
    """Whether the model writes times; "word": whether each word gets its own."""
    precision: float
    """Seconds of one time token."""
    parts: list[dict[str, Any]] = field(default_factory=list)
    language: str | None = None
    offset: float = 0.0
    skip: bool = False
    """Whether the next time belongs to one that was passed over."""

    def __post_init__(self) -> None:
        self.first_time = self.tokenizer.convert_tokens_to_ids(UNTIMED) + 1
        self.special = {*self.tokenizer.all_special_ids}
        self._begin()
        self.now: list[int] = []
        self.now_times: Moments = []

    def _begin(self) -> None:
        """Begin a new part."""
        self.part: dict[str, Any] = {"language": self.language, "timestamp": [None, None]}
        self.heard: list[list[int]] = []
        self.heard_times: list[Moments] = []

    # ---------------------------------------------------------------- windows

    def add(self, window: Written) -> None:
        """Read the next window."""
        tokens = list(self.tokenizer._unprompted(window.tokens))
        first, last = float(self.first_time), None
        length, left, right = window.stride or (0.0, 0.0, 0.0)
        self.offset -= left
        first += left / self.precision
        if right:
            last = self._last(tokens, length - right)
        clock, self.now, self.now_times = _Clock(), [], []
        for place, token in enumerate(tokens):
            if token in self.special:
                self._hear_language(token)
            elif token >= self.first_time:
                alone = place >= 2 and min(tokens[place - 2 : place]) < self.first_time
                self._take_time(token, clock, alone=alone, first=first, last=last)
            else:
                self._take_word(place, token, window.times)
        self.offset += length - right
        if self.now:
            self._keep_now()
        elif not any(self.heard):
            self._begin()

    def _take_word(self, place: int, token: int, times: list[float] | None) -> None:
        self.now.append(token)
        if times is not None:
            start, end = times[place - 1] if place else 0.0, times[place]
            moments = round(start + self.offset, 2), round(end + self.offset, 2)
            self.now_times.append(moments)

    def _last(self, tokens: Sequence[int], end: float) -> int | None:
        """Return the first of the times that the next window will tell better."""
        found = None
        for token in reversed(tokens):
            if token >= self.first_time:
                if found is not None and (token - self.first_time) * self.precision < end:
                    break
                found = token
        return found

    def _hear_language(self, token: int) -> None:
        language = NAMES.get(self.tokenizer.decode([token])[2:-2])
        if language is None:
            return
        if self.language and language != self.language and not self.timestamps:
            self._end()
        self.part["language"] = self.language = language

    def _take_time(
        self, token: int, clock: _Clock, *, alone: bool, first: float, last: int | None
    ) -> None:
        """Begin or end a part at a time, unless a neighbouring window tells it better."""
        seconds = float((token - self.first_time) * self.precision)
        passed = clock.tick(seconds, alone=alone, span=self.precision * WINDOW)
        time = round(seconds + self.offset + passed, 2)
        if last and token >= last:
            self.skip = True
        elif self.skip or (self.heard and token < first):
            self.skip = False
        elif self.part["timestamp"][0] is None:
            self.part["timestamp"][0] = time
        elif time != self.part["timestamp"][0]:  # or else a time was written twice
            self.part["timestamp"][1] = time
            self._end()

    def _keep_now(self) -> None:
        self.heard.append(self.now)
        if self.timestamps == "word":
            self.heard_times.append(self.now_times)

    def _end(self) -> None:
        """End a part: what the windows have in common is said once."""
        self._keep_now()
        self._finish_part()
        self.now, self.now_times = [], []

    def _finish_part(self) -> None:
        tokens, times = merged(self.heard, self.heard_times)
        self.part["text"] = self.tokenizer.decode(tokens)
        if self.timestamps == "word":
            self.part["words"] = [
                {"text": word, "timestamp": (times[places[0]][0], times[places[-1]][1])}
                for word, places in words_of(self.tokenizer, tokens, self.language)
            ]
        self.parts.append(self.part)
        self._begin()

    # ---------------------------------------------------------------- result

    def result(self, *, languages: bool) -> dict[str, Any]:
        """Return the text, and its parts where times or languages were asked for."""
        if self.heard:
            if self.timestamps:
                note("speech: a text has no time at its end, as where a sound ends within a word")
            self._finish_part()
        found: dict[str, Any] = {"text": "".join(part["text"] for part in self.parts)}
        if self.timestamps == "word":
            found["chunks"] = [
                word | ({"language": part["language"]} if languages else {})
                for part in self.parts
                for word in part["words"]
            ]
        elif self.timestamps or languages:
            found["chunks"] = [self._chunk(part, languages=languages) for part in self.parts]
        return found

    def _chunk(self, part: dict[str, Any], *, languages: bool) -> dict[str, Any]:
        found = {"language": part["language"]} if languages else {}
        if self.timestamps:
            found["timestamp"] = tuple(part["timestamp"])
        return {**found, "text": part["text"]}


# -------------------------------------------------------------------- what windows share


def merged(
    sequences: Sequence[list[int]], times: Sequence[Moments] = ()
) -> tuple[list[int], Moments]:
    """Join sequences of tokens where the end of one is like the beginning of the next.

    Args:
        sequences: Of windows that overlap, in order.
        times: When each token was said, in the same shape; or nothing.

    Returns:
        The tokens of all, and when each was said.
    """
    left, left_times = sequences[0], times[0] if times else []
    found: list[int] = []
    found_times: Moments = []
    for place, right in enumerate(sequences[1:], 1):
        right_times = times[place] if times else []
        cut_left, cut_right = _joint(left, right, left_times, right_times)
        found += left[:cut_left]
        found_times += left_times[:cut_left]
        left, left_times = right[cut_right:], right_times[cut_right:]
    return found + left, found_times + left_times


def _joint(
    left: list[int], right: list[int], left_times: Moments, right_times: Moments
) -> tuple[int, int]:
    """Return where to leave the left sequence, and where to enter the right one.

    They are slid past each other; where most tokens agree, the middle of the overlap is the joint.
    """
    best, found = 0.0, (len(left), 0)
    for shift in range(1, len(left) + len(right)):
        start, stop = max(0, len(left) - shift), min(len(left), len(left) + len(right) - shift)
        begin, end = max(0, shift - len(left)), min(len(right), shift)
        alike = [a == b for a, b in zip(left[start:stop], right[begin:end], strict=True)]
        if left_times:
            pairs = zip(left_times[start:stop], right_times[begin:end], strict=True)
            alike = [same and a <= b for same, (a, b) in zip(alike, pairs, strict=True)]
        share = sum(alike) / shift + shift / 10000.0  # long agreements are worth a little more
        if sum(alike) > 1 and share > best:
            best, found = share, ((start + stop) // 2, (begin + end) // 2)
    return found


def appended(sequences: Sequence[Sequence[int]], special: set[int]) -> list[int]:
    """Join sequences of tokens, each without the beginning that repeats the end of the last."""
    rows = [[token for token in row if token not in special] for row in sequences]
    found = rows[0]
    for row in rows[1:]:
        best, cut = 0.0, 0
        for length in range(1, len(row) + 1):
            tail = found[-length:]
            alike = sum(a == b for a, b in zip(tail, row[:length], strict=False))
            alike = alike if len(tail) == length else 0
            share = alike / length + length / 10000.0
            if alike > 1 and share > best:
                best, cut = share, length
        found = found + row[cut:]
    return found


# -------------------------------------------------------------------- words


def words_of(
    tokenizer: Any, tokens: Sequence[int], language: str | None
) -> list[tuple[str, list[int]]]:
    """Return the words of tokens, with punctuation, and the places of each one's tokens."""
    language = language or tokenizer.options.get("language") or "english"
    words = _letters(tokenizer, tokens)
    if language not in UNSPACED:
        words = _at_spaces(words, tokens, tokenizer.eos_token_id)
    return _with_signs(words)


def _letters(tokenizer: Any, tokens: Sequence[int]) -> list[tuple[str, list[int]]]:
    """Group tokens that only together are whole letters."""
    whole, lost = tokenizer.decode(tokens, decode_with_timestamps=True), "\ufffd"
    found: list[tuple[str, list[int]]] = []
    places: list[int] = []
    done = 0
    for place in range(len(tokens)):
        places = [*places, place]
        text = tokenizer.decode([tokens[i] for i in places], decode_with_timestamps=True)
        broken = done + text.index(lost) if lost in text else len(whole)
        if broken >= len(whole) or whole[broken] == lost:
            found.append((text, places))
            done, places = done + len(text), []
    return found


def _at_spaces(
    pieces: list[tuple[str, list[int]]], tokens: Sequence[int], end: int
) -> list[tuple[str, list[int]]]:
    """Join pieces of words, which have no space before them."""
    found: list[tuple[str, list[int]]] = []
    for text, places in pieces:
        begins = tokens[places[0]] >= end or text.startswith(" ") or text.strip() in _SIGNS
        if begins or not found:
            found.append((text, places))
        else:
            found[-1] = (found[-1][0] + text, found[-1][1] + places)
    return found


def _with_signs(words: list[tuple[str, list[int]]]) -> list[tuple[str, list[int]]]:
    """Join signs with the words that they stand at."""
    found: list[tuple[str, list[int]]] = []
    for text, places in reversed(words):
        if found and text.startswith(" ") and text.strip() in _BEFORE:
            found[-1] = (text + found[-1][0], places + found[-1][1])
        else:
            found.append((text, places))
    words, found = found[::-1], []
    for text, places in words:
        if found and not found[-1][0].endswith(" ") and text in _AFTER:
            found[-1] = (found[-1][0] + text, found[-1][1] + places)
        else:
            found.append((text, places))
    return found
