"""What a task may be told: declared once, checked at construction and at every call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self

from armature.errors import ArgumentError, nearest, refuse_unknown


@dataclass(frozen=True)
class Options:
    """What a task can be told: the fields of a subclass, whose defaults are the task's."""

    def merged(self, given: Mapping[str, Any], where: str) -> Self:
        """Return these options with some of them changed.

        Args:
            given: Options by name.
            where: What a message begins with.

        Raises:
            UnknownArgumentError: a name is unknown; the message says which is nearest.
            ArgumentError: a value is out of range.
        """
        refuse_unknown(where, given, self.accepted())
        changed = replace(self, **given)
        changed.check()
        return changed

    @classmethod
    def accepted(cls) -> list[str]:
        """Return the names that can be given."""
        return [field.name for field in fields(cls)]

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""


@dataclass(frozen=True)
class PictureOptions(Options):
    """How pictures are read."""

    timeout: float | None = None
    """Taken for old scripts' sake: pictures are fetched with a limit of their own."""


@dataclass(frozen=True)
class ReadingOptions(Options):
    """How texts are read, which most tasks can be told."""

    truncation: bool | str | None = None
    """None: a text that is too long for the model is cut, and that is said; False: an error."""
    max_length: int | None = None
    """Tokens of a row at most; None: as many as the model has positions for."""
    padding: bool | str | None = None
    """Taken for old scripts' sake: padding never changes a result."""
    add_special_tokens: bool | None = None
    """None: as the tokenizer usually does."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        super().check()
        if self.max_length is not None:
            positive("max_length", self.max_length)


def positive(name: str, value: Any) -> None:
    """Raise ArgumentError unless `value` is a whole number above 0."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ArgumentError(f"`{name}` should be a whole number above 0, but is {value!r}")


def one_of(name: str, value: Any, known: Collection[str]) -> None:
    """Raise ArgumentError unless `value` is one of the known words."""
    if value not in known:
        near = nearest(str(value), known)
        raise ArgumentError(
            f"`{name}` should be one of {', '.join(known)}, but is {value!r}.{near}"
        )
