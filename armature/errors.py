"""Errors that say what happened, where, and what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class ArmatureError(Exception):
    """Base of every error that Armature raises on purpose."""


class CheckpointError(ArmatureError, OSError):
    """A checkpoint, or one of its files, cannot be read or written.

    The message names the file, the cause and the remedy.
    """

    def __init__(self, file: str | Path, cause: str, remedy: str = "") -> None:
        self.file, self.cause, self.remedy = str(file), cause, remedy
        super().__init__(f"{file}: {cause}" + (f"\n  → {remedy}" if remedy else ""))

    def __str__(self) -> str:
        return str(self.args[0])


class ConfigError(ArmatureError, ValueError):
    """A config.json, or another settings file, holds a value that makes no sense."""


class ArgumentError(ArmatureError, ValueError):
    """A caller's argument has a value that cannot be used."""


class UnknownArgumentError(ArmatureError, TypeError):
    """A caller passed an argument that does not exist."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " Did you mean `x`?" for the known name nearest to `name`, or an empty string."""
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean `{found[0]}`?" if found else ""


def refuse_unknown(where: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Raise for the first name in `given` that is not in `known`, naming the nearest known one.

    Raises:
        UnknownArgumentError: `given` holds a name that `known` does not.
    """
    known = list(known)
    for name in given:
        if name not in known:
            raise UnknownArgumentError(
                f"{where} got an unknown argument `{name}`.{nearest(name, known)}"
            )
