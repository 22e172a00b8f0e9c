"""A pickle reader that executes nothing: a stack machine for the few opcodes that weights need.

A pickle is a program. Python's own machine imports what it names and calls it; this one knows a
table of builders, each a function of ours that makes a description, and refuses everything else by
name. Nothing is imported, no attribute is looked up or set, and the work is limited.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from mmap import mmap
from typing import Any

_LONGEST = 64 << 20
_LONGEST_GLOBAL = 256
_MARK = object()


class RefusedError(Exception):
    """The pickle is damaged, or wants what weights do not need."""


class Builder:
    """What a global name becomes on the stack: inert until REDUCE applies it to a tuple."""

    def __init__(self, name: str, build: Callable[..., Any] | None) -> None:
        self.name, self.build = name, build


class StackMachine:
    """Run one pickle of `data`, beginning at `position`; afterwards `position` is behind its end.

    Args:
        data: The bytes; they are never written.
        globals: What each allowed global name becomes; most are a `Builder`.
        persistent: What makes of a persistent id the object that it stands for.
        position: Where the pickle begins.
    """

    most_operations = 3_000_000  # 75,000 tensors
    operations: Mapping[int, Callable[[Any], None]]
    """What each opcode does."""

    def __init__(
        self,
        data: bytes | mmap,
        globals: Mapping[str, Any],
        persistent: Callable[[Any], Any],
        position: int = 0,
    ) -> None:
        self.data, self.position = data, position
        self._end = min(len(data), position + _LONGEST)
        self._globals, self._persistent = globals, persistent
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self._left = self.most_operations

    def run(self) -> Any:
        """Return the object that the pickle describes.

        Raises:
            RefusedError: it is damaged, or uses an opcode or a global that weights do not need.
        """
        try:
            while True:
                self.charge(1)
                opcode = self._take(1)[0]
                if opcode == 0x2E:  # STOP
                    break
                operation = self.operations.get(opcode)
                if operation is None:
                    raise RefusedError(f"uses {_name_of(opcode)}, which weights do not need")
                operation(self)
        except (IndexError, KeyError, UnicodeDecodeError) as error:
            raise RefusedError(f"is damaged near byte {self.position}") from error
        if len(self._stack) != 1 or self._stack[0] is _MARK:
            raise RefusedError("leaves its stack in disorder")
        return self._stack[0]

    def charge(self, work: int) -> None:
        """Count work against the limit, so that a small file cannot keep the machine busy."""
        self._left -= work
        if self._left < 0:
            raise RefusedError("asks for more work than any weights need")

    def _take(self, count: int) -> bytes:
        start, self.position = self.position, self.position + count
        if count < 0 or self.position > self._end:
            raise RefusedError("is cut off, or longer than any weights need")
        return self.data[start : self.position]

    def _number(self, form: str) -> Any:
        return struct.unpack(form, self._take(struct.calcsize(form)))[0]

    def _pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise IndexError
        return value

    def _pop_mark(self) -> list[Any]:
        """Return what lies above the topmost mark, and take both off."""
        start = len(self._stack) - 1
        while self._stack[start] is not _MARK:
            start -= 1
            if start < 0:
                raise IndexError
        items = self._stack[start + 1 :]
        del self._stack[start:]
        return items

    # Constants ------------------------------------------------------------------------------------

    def _long(self) -> None:
        size = self._take(1)[0]
        if size > 16:
            raise RefusedError("holds a number larger than any weights need")
        self._stack.append(int.from_bytes(self._take(size), "little", signed=True))

    def _text(self, form: str) -> None:
        self._stack.append(bytes(self._take(self._number(form))).decode())

    def _bytes(self, form: str) -> None:
        self._stack.append(bytes(self._take(self._number(form))))

    # Containers -----------------------------------------------------------------------------------

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._stack.append(tuple(reversed(items)))

    def _append(self, items: list[Any]) -> None:
        if type(self._stack[-1]) is not list:
            raise RefusedError("appends to what is not a list")
        self._stack[-1].extend(items)

    def _set_items(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not dict or len(items) % 2:
            raise RefusedError("sets items of what is not a dictionary")
        check_keys(items[::2])
        target.update(zip(items[::2], items[1::2], strict=True))

    # Memo -----------------------------------------------------------------------------------------

    def _put(self, index: int) -> None:
        if self._stack[-1] is _MARK:
            raise IndexError
        self._memo[index] = self._stack[-1]

    def _get(self, index: int) -> None:
        self._stack.append(self._memo[index])

    # Globals and what is done with them -----------------------------------------------------------

    def _line(self) -> str:
        end = self.data.find(b"\n", self.position, min(self._end, self.position + _LONGEST_GLOBAL))
        if end < 0:
            raise RefusedError(f"is damaged near byte {self.position}")
        line = bytes(self._take(end - self.position))
        self._take(1)
        return line.decode()

    def _global(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise RefusedError("names a global by what is not text")
        full = f"{module}.{name}"
        if full not in self._globals:
            raise RefusedError(f"wants {full!r:.200}, which weights do not need")
        self._stack.append(self._globals[full])

    def _stack_global(self) -> None:
        name, module = self._pop(), self._pop()
        self._global(module, name)

    def _reduce(self) -> None:
        arguments, builder = self._pop(), self._pop()
        if type(builder) is not Builder or builder.build is None or type(arguments) is not tuple:
            raise RefusedError("calls what cannot be called")
        self.charge(
            sum(len(a) for a in arguments if isinstance(a, (str, bytes, list, tuple, dict)))
        )
        try:
            self._stack.append(builder.build(*arguments))
        except (TypeError, ValueError) as error:
            raise RefusedError(f"gives {builder.name} arguments that make no sense") from error

    def _build(self) -> None:
        """Drop the attributes of a dictionary (`_metadata` of a state dict); else refuse."""
        state = self._pop()
        if type(self._stack[-1]) is not dict or type(state) is not dict:
            raise RefusedError("sets the state of an object")

    def _persistent_id(self) -> None:
        self._stack.append(self._persistent(self._pop()))


def check_keys(keys: Iterable[Any]) -> None:
    """Refuse containers as keys: the hash of a deeply nested tuple would exhaust the C stack.

    Raises:
        RefusedError: a key is not a plain value.
    """
    for key in keys:
        if type(key) not in (str, int, float, bytes, bool, type(None)):
            raise RefusedError(f"has a dictionary key of type {type(key).__name__}")


def _push(make: Callable[[StackMachine], Any]) -> Callable[[StackMachine], None]:
    return lambda machine: machine._stack.append(make(machine))


OPERATIONS: dict[int, Callable[[Any], None]] = {
    0x80: lambda m: _check_protocol(m._take(1)[0]),
    0x95: lambda m: m._number("<Q"),  # FRAME: only a hint for buffering
    ord("("): _push(lambda m: _MARK),
    ord("N"): _push(lambda m: None),
    0x88: _push(lambda m: True),
    0x89: _push(lambda m: False),
    ord("J"): _push(lambda m: m._number("<i")),
    ord("K"): _push(lambda m: m._number("<B")),
    ord("M"): _push(lambda m: m._number("<H")),
    ord("G"): _push(lambda m: m._number(">d")),
    0x8A: StackMachine._long,
    ord("X"): lambda m: m._text("<I"),
    0x8C: lambda m: m._text("<B"),
    ord("T"): lambda m: m._text("<i"),  # the byte strings of Python 2, which were ASCII here
    ord("U"): lambda m: m._text("<B"),
    ord("B"): lambda m: m._bytes("<I"),
    ord("C"): lambda m: m._bytes("<B"),
    ord(")"): _push(lambda m: ()),
    ord("]"): _push(lambda m: []),
    ord("}"): _push(lambda m: {}),
    0x85: lambda m: m._tuple(1),
    0x86: lambda m: m._tuple(2),
    0x87: lambda m: m._tuple(3),
    ord("t"): _push(lambda m: tuple(m._pop_mark())),
    ord("a"): lambda m: m._append([m._pop()]),
    ord("e"): lambda m: m._append(m._pop_mark()),
    ord("s"): lambda m: m._set_items([m._pop(), m._pop()][::-1]),
    ord("u"): lambda m: m._set_items(m._pop_mark()),
    ord("q"): lambda m: m._put(m._number("<B")),
    ord("r"): lambda m: m._put(m._number("<I")),
    0x94: lambda m: m._put(len(m._memo)),
    ord("h"): lambda m: m._get(m._number("<B")),
    ord("j"): lambda m: m._get(m._number("<I")),
    ord("c"): lambda m: m._global(m._line(), m._line()),
    0x93: StackMachine._stack_global,
    ord("R"): StackMachine._reduce,
    ord("b"): StackMachine._build,
    ord("Q"): StackMachine._persistent_id,
}
StackMachine.operations = OPERATIONS


def _check_protocol(version: int) -> None:
    if not 2 <= version <= 5:
        raise RefusedError(f"is of the unknown protocol {version}")


def _name_of(opcode: int) -> str:
    import pickletools

    known = {ord(one.code): one.name for one in pickletools.opcodes}
    return f"the opcode {known.get(opcode, hex(opcode))}"
