"""Pickles of tables, lists and texts, such as vocabularies: what else is in them stays inert.

Vocabularies were once saved by pickling a whole tokenizer, with its patterns and counters. Here
every object but plain values is a husk that nothing can be done with, and nothing is executed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from armature.checkpoint.formats.pickle_file import MAGIC_PICKLE, content_of, top_of
from armature.checkpoint.formats.stack_machine import (
    OPERATIONS,
    Builder,
    RefusedError,
    StackMachine,
)
from armature.checkpoint.formats.zip_directory import read_directory
from armature.checkpoint.paths import open_regular, read_bytes
from armature.errors import CheckpointError

_LARGEST = 64 << 20
_TABLES = {
    "collections.OrderedDict": Builder("OrderedDict", lambda *given: dict(*given)),
    "collections.Counter": Builder("Counter", lambda *given: dict(*given)),
}


class Husk:
    """Stands for an object that is no plain value."""


class PlainMachine(StackMachine):
    """A stack machine that takes what is no plain value for a husk."""

    most_operations = 10_000_000  # 1,000,000 words, counted and listed both ways

    def _global(self, module: Any, name: Any) -> None:
        known = _TABLES.get(f"{module}.{name}") if type(name) is type(module) is str else None
        self._stack.append(known or Husk())

    def _reduce(self) -> None:
        if type(self._stack[-2]) is Builder:
            super()._reduce()
        else:
            self._wrap()

    def _wrap(self) -> None:
        """Make a husk of what a class or function was given."""
        self._pop()
        self._pop()
        self._stack.append(Husk())

    def _build(self) -> None:
        self._pop()
        if type(self._stack[-1]) not in (dict, Husk):
            raise RefusedError("sets the state of a plain value")

    def _append(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not Husk:
            super()._append(items)

    def _set_items(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not Husk:
            super()._set_items(items)


def _husk(take: Callable[[PlainMachine], Any]) -> Callable[[PlainMachine], None]:
    """Return an operation that takes something off the stack and leaves a husk."""

    def operate(machine: PlainMachine) -> None:
        take(machine)
        machine._stack.append(Husk())

    return operate


PlainMachine.operations = OPERATIONS | {
    0x81: PlainMachine._wrap,  # NEWOBJ
    0x8F: _husk(lambda machine: None),  # EMPTY_SET
    0x90: _husk(lambda machine: (machine._pop_mark(), machine._pop())),  # ADDITEMS
    0x91: _husk(PlainMachine._pop_mark),  # FROZENSET
    ord("a"): lambda machine: machine._append([machine._pop()]),
    ord("e"): lambda machine: machine._append(machine._pop_mark()),
    ord("s"): lambda machine: machine._set_items([machine._pop(), machine._pop()][::-1]),
    ord("u"): lambda machine: machine._set_items(machine._pop_mark()),
    ord("R"): lambda machine: machine._reduce(),
    ord("b"): lambda machine: machine._build(),
    0x93: lambda machine: machine._stack_global(),
}


def read_plain_pickle(path: Path) -> Any:
    """Return the plain values of a pickle, bare or as torch.save writes it.

    Raises:
        CheckpointError: the file is damaged, or no pickle.
    """
    descriptor = open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        if size > _LARGEST:
            raise CheckpointError(path, f"has {size} bytes, too many for a vocabulary")
        data = read_bytes(descriptor, size, 0, path)
        if data.startswith(b"PK\3\4"):
            records = read_directory(path, descriptor, size)
            data = content_of(path, descriptor, records[f"{top_of(path, records)}/data.pkl"])
    finally:
        os.close(descriptor)
    position = 0
    try:
        for _ in range(3 if MAGIC_PICKLE in data[:24] else 0):  # what torch.save puts before it
            machine = PlainMachine(data, {}, lambda identity: Husk(), position)
            machine.run()
            position = machine.position
        return PlainMachine(data, {}, lambda identity: Husk(), position).run()
    except RefusedError as refused:
        raise CheckpointError(
            path,
            f"the pickle in it {refused}",
            "Nothing of it was executed. Save the vocabulary as vocab.txt, a word in each line.",
        ) from refused
