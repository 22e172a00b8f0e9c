"""Views: a checkpoint's tensor and our parameter are the same numbers, seen twice.

Each word says how a module's tensors lie on disk. It yields pairs of strided views of equal shape,
one of our parameter and one of the disk's tensor. Where our parameter is such a view, loading
copies nothing; else it copies from right to left. Saving copies from left to right, and every
element of our parameter belongs to exactly one pair.

    "name"                    the same tensor
    "{q,k,v}_proj"            the parts of a packed map, in their order, are tensors of their own
    "experts.{e}.w2"          our first axis is many tensors
    "experts.{e}.w{1,3}"      …each of our parts another one
    Joined("name")            of a packed map, its parts one after another
    T("name")                 transposed; of a packed map, its parts one after another
    Grouped("name")           rows of q, k and v interleaved by key-value head
    Squeezed("name")          without our leading axes of one
    Behind("word", row)       any of these, its names behind a further word

Nothing here imports torch: views only use methods of the tensors they are given.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Shape = tuple[int, ...]
See = Callable[[Any], Any]
_CHOICE = re.compile(r"\{([^{}]*,[^{}]*)\}")


def same(tensor: Any) -> Any:
    """Return the tensor itself: the view of what lies on disk as it lies in memory."""
    return tensor


@dataclass(frozen=True)
class Pair:
    """A stretch of our parameter and the same stretch of a disk's tensor."""

    name: str  # of the tensor on disk
    shape: Shape  # of the whole tensor on disk
    ours: See = same
    theirs: See = same
    older: tuple[Pair, ...] = ()  # the same numbers, as some files have them instead; only read


@dataclass(frozen=True)
class Target:
    """What a view needs to know of our parameter."""

    shape: Shape
    suffix: str  # "weight", "bias" or "", kept behind every name
    part: str = ""  # which map of a packed one it belongs to
    parts: dict[str, int] = field(default_factory=dict)  # of the packed map: name → rows
    groups: int = 1  # key-value heads

    @property
    def end(self) -> str:
        """The suffix with its dot."""
        return f".{self.suffix}" if self.suffix else ""

    @property
    def first(self) -> int:
        """The first row of this part, where all parts lie one after another."""
        names = list(self.parts)
        return sum(self.parts[name] for name in names[: names.index(self.part)])


class View:
    """Base of the words."""

    def templates(self) -> tuple[str, ...]:
        """Return the disk's names, with {i} still in them."""
        raise NotImplementedError(f"{type(self).__name__} does not name its tensors")

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield the pairs of one parameter; `fill` puts numbers into a template."""
        raise NotImplementedError(f"{type(self).__name__} does not say how its tensors lie")


@dataclass(frozen=True)
class Plain(View):
    """The same tensor under another name."""

    name: str

    def templates(self) -> tuple[str, ...]:
        """Return the name, once with each of the words that it has in braces, as a shell does."""
        before, *choice = _CHOICE.split(self.name, maxsplit=1)
        if not choice:
            return (self.name,)
        return tuple(before + word + choice[1] for word in choice[0].split(","))

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield one pair."""
        yield Pair(fill(self.name) + target.end, target.shape)


@dataclass(frozen=True)
class Joined(Plain):
    """The parts of a packed map lie one after another in one tensor."""

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield one pair: a stretch of the fused tensor."""
        shape, first, rows = target.shape, target.first, target.shape[0]
        whole = (sum(target.parts.values()), *shape[1:])
        name = fill(self.name) + target.end
        yield Pair(name, whole, theirs=lambda d: d.narrow(0, first, rows))


@dataclass(frozen=True)
class T(Plain):
    """A matrix stored transposed; its bias is stored as it is."""

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield one pair."""
        name, shape = fill(self.name) + target.end, target.shape
        first = 0
        if target.part:
            shape, first = (sum(target.parts.values()), *shape[1:]), target.first
        rows = target.shape[0]
        if len(shape) == 2:
            yield Pair(name, shape[::-1], theirs=lambda d: d.t().narrow(0, first, rows))
        else:
            yield Pair(name, shape, theirs=lambda d: d.narrow(0, first, rows))


@dataclass(frozen=True)
class Rows(Plain):
    """The parts of a packed map are tensors of their own."""

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield one pair."""
        name = self.templates()[list(target.parts).index(target.part)]
        yield Pair(fill(name) + target.end, target.shape)


@dataclass(frozen=True)
class Grouped(Plain):
    """Queries, key and value of one key-value head lie together: (group, (q…, k, v), width)."""

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield one pair: a stretch of the fused tensor."""
        groups, rest = target.groups, target.shape[1:]
        width = target.parts["k"] // groups
        heads = {part: rows // (groups * width) for part, rows in target.parts.items()}
        before = list(heads)[: list(heads).index(target.part)]
        first, mine = sum(heads[part] for part in before), heads[target.part]
        total = sum(heads.values())
        yield Pair(
            fill(self.name) + target.end,
            (groups * total * width, *rest),
            lambda p: p.view(groups, mine, width, *rest),
            lambda d: d.view(groups, total, width, *rest).narrow(1, first, mine),
        )


@dataclass(frozen=True)
class Squeezed(Plain):
    """The leading axes of our parameter that count one are not there on disk."""

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield one pair."""
        shape = target.shape
        while len(shape) > 1 and shape[0] == 1:
            shape = shape[1:]
        yield Pair(fill(self.name) + target.end, shape, theirs=lambda d: d.view(target.shape))


@dataclass(frozen=True)
class Stacked(Plain):
    """Our first axis counts tensors, {e} in their names; each may have several parts."""

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield a pair for each tensor of the stack and each of its parts."""
        names = self.templates()
        parts = tuple(target.parts.values()) if len(names) > 1 else (target.shape[1],)
        for index in range(target.shape[0]):
            start = 0
            for name, rows in zip(names, parts, strict=True):
                full = fill(name.replace("{e}", str(index))) + ".weight"
                yield Pair(full, (rows, *target.shape[2:]), _layer_span(index, start, rows))
                start += rows


@dataclass(frozen=True)
class Behind(View):
    """Another word, of a body inside another: its names stand behind a further one."""

    word: str
    row: View

    def templates(self) -> tuple[str, ...]:
        """Return the disk's names, with {i} still in them."""
        return tuple(f"{self.word}.{template}" for template in self.row.templates())

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield the pairs of one parameter."""
        yield from self.row.pairs(target, lambda template: fill(f"{self.word}.{template}"))


def as_view(row: str | View) -> View:
    """Return the view that a row of NAMES stands for; braces in a name say which."""
    if isinstance(row, View):
        return row
    if "{e}" in row:
        return Stacked(row)
    return Rows(row) if _CHOICE.search(row) else Plain(row)


def behind(word: str, rows: Mapping[str, str | View]) -> dict[str, str | View]:
    """Return rows of names whose tensors lie behind one more word on disk; "" for none."""
    return {ours: Behind(word, as_view(row)) if word else row for ours, row in rows.items()}


def _layer_span(index: int, start: int, rows: int) -> See:
    return lambda p: p.select(0, index).narrow(0, start, rows)
