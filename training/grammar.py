"""A small grammar language: text files of rules that expand, at random, into sentences.

    greeting = {2: hello|hi} {friend} | good (morning|evening), {friend}
    friend   = Anna/she | Ben/he

Rules stand at the start of a line and go on over indented ones; `#` starts a comment line.
`|` separates alternatives, `(a|b|)` chooses in place, a leading `3:` makes an alternative three
times as likely. `{friend}` expands a rule; `{f=friend}` also remembers the result, so that a later
`{f}` repeats it and `{f.1}` gives its second field (fields are separated by `/`). `{!f=friend}`
draws anew and remembers without printing. A rule with `*` in its name is read once for every
`x_…` that there is: `x_food`, `x_film` turn `p_*` into `p_food`, `p_film`, each `*` replaced.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

Inventor = Callable[[Random], str]
"""A symbol made by code instead of a rule: numbers, dates, invented names."""


@dataclass(frozen=True)
class Reference:
    """`{key=symbol.field}`; `silent` where an exclamation mark comes first."""

    symbol: str
    key: str | None
    field: int
    silent: bool


@dataclass(frozen=True)
class Choice:
    """Alternatives, each a sequence of strings, references and choices, with running weights."""

    options: tuple[Option, ...]
    totals: tuple[int, ...]

    def pick(self, random: Random) -> Option:
        """Return one alternative, drawn by weight."""
        if len(self.options) == 1:
            return self.options[0]
        mark = random.random() * self.totals[-1]
        low, high = 0, len(self.totals) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if mark < self.totals[middle] else (middle + 1, high)
        return self.options[low]


Option = tuple[str | Reference | Choice, ...]
REFERENCE = re.compile(r"(!?)(?:(\w+)=)?(\w+)(?:\.(\d))?")
WEIGHT = re.compile(r"\s*(\d+):")


class Grammar:
    """Rules by name, and the inventors that stand beside them."""

    def __init__(self, inventors: Mapping[str, Inventor] | None = None) -> None:
        self.rules: dict[str, Choice] = {}
        self.inventors = dict(inventors or {})

    def read(self, *paths: Path) -> Grammar:
        """Add the rules of text files; a rule that was there before is replaced.

        Raises:
            ValueError: a line is not a rule, or a rule refers to a name that does not exist.
        """
        for path in paths:
            for line in _each_family(_logical_lines(path.read_text(encoding="utf-8"))):
                name, equals, body = line.partition("=")
                if not equals or not name.strip().isidentifier():
                    raise ValueError(f"{path}: not a rule: {line[:60]!r}")
                self.rules[name.strip()] = parse(body)
        self._check()
        return self

    def expand(self, symbol: str, random: Random, bound: dict[str, str] | None = None) -> str:
        """Return one random expansion; `bound` holds the remembered values and gains new ones."""
        return self.fill(self.rules[symbol], random, {} if bound is None else bound)

    def value(self, symbol: str, random: Random, bound: dict[str, str]) -> str:
        """Return a value with all its fields: remembered, invented or expanded."""
        if symbol in bound:
            return bound[symbol]
        if symbol in self.inventors:
            return self.inventors[symbol](random)
        option = self.rules[symbol].pick(random)
        if len(option) == 1 and isinstance(option[0], Reference) and option[0].key is None:
            return self.value(option[0].symbol, random, bound)
        return self._join(option, random, bound)

    def fill(self, choice: Choice, random: Random, bound: dict[str, str]) -> str:
        """Return a random reading of a parsed text."""
        return self._join(choice.pick(random), random, bound)

    def _join(self, option: Option, random: Random, bound: dict[str, str]) -> str:
        parts = []
        for part in option:
            if isinstance(part, str):
                parts.append(part)
            elif isinstance(part, Choice):
                parts.append(self.fill(part, random, bound))
            else:
                parts.append(self._refer(part, random, bound))
        return "".join(parts)

    def _refer(self, reference: Reference, random: Random, bound: dict[str, str]) -> str:
        key = reference.key
        if key is not None and key in bound and not reference.silent:
            value = bound[key]
        else:
            value = self.value(reference.symbol, random, bound)
            if key is not None:
                bound[key] = value
        if reference.silent:
            return ""
        return value.split("/")[reference.field] if "/" in value else value

    def _check(self) -> None:
        keys = {ref.key for rule in self.rules.values() for ref in references(rule) if ref.key}
        known = self.rules.keys() | self.inventors.keys() | keys
        for name, rule in self.rules.items():
            for reference in references(rule):
                if reference.symbol not in known:
                    raise ValueError(f"rule {name} refers to an unknown {reference.symbol!r}")


def references(choice: Choice) -> list[Reference]:
    """Return every reference inside a parsed text."""
    found = []
    for part in (part for option in choice.options for part in option):
        if isinstance(part, Choice):
            found += references(part)
        elif isinstance(part, Reference):
            found.append(part)
    return found


def parse(text: str) -> Choice:
    """Parse alternatives; spaces around each are dropped at the top level and kept in `( )`."""
    options, totals, running = [], [], 0
    for alternative in _split(text):
        weight = WEIGHT.match(alternative)
        running += int(weight[1]) if weight else 1
        options.append(_sequence(alternative[weight.end() :] if weight else alternative))
        totals.append(running)
    return Choice(tuple(options), tuple(totals))


def _sequence(text: str) -> Option:
    parts: list[str | Reference | Choice] = []
    for piece in re.split(r"(\{[^{}]*\})", text.strip()) if "(" not in text else _pieces(text):
        if piece.startswith("{"):
            match = REFERENCE.fullmatch(piece[1:-1])
            if match is None:
                raise ValueError(f"not a reference: {piece}")
            parts.append(Reference(match[3], match[2], int(match[4] or 0), bool(match[1])))
        elif piece.startswith("("):
            inner = [_inline(option) for option in _split(piece[1:-1])]
            parts.append(Choice(tuple(inner), tuple(range(1, len(inner) + 1))))
        elif piece:
            parts.append(piece)
    return tuple(parts)


def _inline(text: str) -> Option:
    """Parse one alternative of an inline choice, whose outer spaces count."""
    left, right = len(text) - len(text.lstrip()), len(text) - len(text.rstrip())
    if not text.strip():
        return (text,) if text else ()
    return (" " * left, *_sequence(text), " " * right)


def _pieces(text: str) -> list[str]:
    """Cut at top-level parentheses and at references."""
    pieces, start, depth = [], 0, 0
    text = text.strip()
    for index, character in enumerate(text):
        if character == "(":
            if depth == 0:
                pieces += re.split(r"(\{[^{}]*\})", text[start:index])
                start = index
            depth += 1
        elif character == ")":
            depth -= 1
            if depth == 0:
                pieces.append(text[start : index + 1])
                start = index + 1
    if depth:
        raise ValueError(f"unbalanced parentheses: {text[:60]!r}")
    return pieces + re.split(r"(\{[^{}]*\})", text[start:])


def _split(text: str) -> list[str]:
    """Split at the `|` that stand outside parentheses."""
    options, start, depth = [], 0, 0
    for index, character in enumerate(text):
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            options.append(text[start:index])
            start = index + 1
    return [*options, text[start:]]


def _logical_lines(text: str) -> list[str]:
    lines: list[str] = []
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        if line[0].isspace():
            lines[-1] += line
        else:
            lines.append(line)
    return lines


def _each_family(lines: list[str]) -> list[str]:
    """Repeat every rule with a star in its name for each family, a rule named `x_…`."""
    families = [match[1] for line in lines if (match := re.match(r"x_(\w+) *=", line))]
    return [
        copy
        for line in lines
        for copy in (
            [line.replace("*", family) for family in families]
            if "*" in line.partition("=")[0]
            else [line]
        )
    ]


SOUNDS_LIKE_A_CONSONANT = "uni(?!n|m)|use|usu|euro|one\\b|once|ufo"
SOUNDS_LIKE_A_VOWEL = "hour|honest|heir|honou?r"
VOWEL = rf"(?:(?!{SOUNDS_LIKE_A_CONSONANT})[aeiou]|{SOUNDS_LIKE_A_VOWEL})"


def tidy(text: str) -> str:
    """Mend English spelling after expansion: spaces, `a` or `an`, capitals at sentence starts."""
    text = re.sub(r"\s+([,.!?;:])", r"\1", re.sub(r"\s+", " ", text)).strip()
    text = re.sub(rf"\b(a)n? (?={VOWEL})", r"\1n ", text, flags=re.IGNORECASE)
    text = re.sub(rf"\b(a)n (?!{VOWEL})", r"\1 ", text, flags=re.IGNORECASE)
    return re.sub(r"(^[\"“']?|[.!?] [\"“']?|[.][\"”] )([a-z])", lambda m: m[1] + m[2].upper(), text)
