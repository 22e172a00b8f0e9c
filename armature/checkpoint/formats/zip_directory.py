"""The directory of a zip archive whose entries are stored as they are: where each one's bytes lie.

Where the parts of a zip file disagree, readers believe different ones. This one believes none:
names, sizes and places must agree, entries must not overlap, and nothing may be compressed.
"""

from __future__ import annotations

import struct
from pathlib import Path

from armature.checkpoint.paths import name_fault, read_bytes
from armature.checkpoint.tensor_info import Record
from armature.errors import CheckpointError

_END = struct.Struct("<4s4H2LH")
_END_64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR_64 = struct.Struct("<4sLQL")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_HARMLESS = 0x80E  # flags: levels of compression, sizes behind the data, names in UTF-8
_WIDE = 0xFFFFFFFF  # "see the 64-bit field"
_LARGEST_DIRECTORY = 256 << 20


def read_directory(path: Path, descriptor: int, size: int) -> dict[str, Record]:
    """Return where each entry of a zip archive lies.

    Raises:
        CheckpointError: the archive is damaged, contradicts itself, or an entry is compressed.
    """
    try:
        return _Directory(path, descriptor, size).records()
    except (struct.error, UnicodeDecodeError) as error:
        raise _damaged(path, "its directory is cut off") from error


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(
        path, f"is a damaged zip archive: {what}", "Copy or download the file again."
    )


class _Directory:
    def __init__(self, path: Path, descriptor: int, size: int) -> None:
        self.path, self.descriptor, self.size = path, descriptor, size

    def records(self) -> dict[str, Record]:
        count, length, start = self._end()
        if start + length > self.size or length > _LARGEST_DIRECTORY:
            raise _damaged(self.path, "its directory lies outside the file")
        table = self._bytes(start, length)
        found: dict[str, Record] = {}
        places: list[tuple[int, int, str]] = []
        position = 0
        for _ in range(count):
            name, header, record, position = self._entry(table, position)
            if name in found:
                raise _damaged(self.path, f"two entries have the name {name!r}")
            found[name] = record
            places.append((header, record.start + record.size, name))
        if position != length:
            raise _damaged(self.path, "its directory has another length than it says")
        self._check_apart(places, start)
        return found

    def _bytes(self, start: int, count: int) -> bytes:
        return read_bytes(self.descriptor, count, start, self.path)

    def _end(self) -> tuple[int, int, int]:
        """Return number, length and start of the directory's entries."""
        tail = self._bytes(max(0, self.size - _END.size - 65535), _END.size + 65535)
        at = tail.rfind(b"PK\5\6")
        if at < 0:
            raise CheckpointError(
                self.path,
                "is cut off: it begins as a zip archive and has no directory at its end",
                "Copy or download the file again.",
            )
        end = _END.unpack_from(tail, at)
        if at + _END.size + end[7] != len(tail):
            raise _damaged(self.path, "something follows after its end")
        if end[1] or end[2] or end[3] != end[4]:
            raise _damaged(self.path, "it says that it is one part of several")
        count, length, start = end[4], end[5], end[6]
        if count == 0xFFFF or _WIDE in (length, start):
            return self._end_64(self.size - len(tail) + at)
        return count, length, start

    def _end_64(self, end: int) -> tuple[int, int, int]:
        sign, _, at, _ = _LOCATOR_64.unpack(self._bytes(end - _LOCATOR_64.size, _LOCATOR_64.size))
        if sign != b"PK\6\7" or at > self.size:
            raise _damaged(self.path, "its directory cannot be found")
        last = _END_64.unpack(self._bytes(at, _END_64.size))
        if last[0] != b"PK\6\6":
            raise _damaged(self.path, "its directory cannot be found")
        return last[7], last[8], last[9]

    def _entry(self, table: bytes, position: int) -> tuple[str, int, Record, int]:
        """Return name, place of the local header and the bytes, and where the next entry begins."""
        entry = _CENTRAL.unpack_from(table, position)
        flags, method, crc, packed, size = entry[3], entry[4], entry[7], entry[8], entry[9]
        names, extras, comment, header = entry[10], entry[11], entry[12], entry[16]
        start = position + _CENTRAL.size
        name = table[start : start + names].decode()
        extra = table[start + names : start + names + extras]
        size, packed, header = _wide(extra, [size, packed, header])
        if entry[0] != b"PK\1\2" or len(extra) != extras or entry[13] not in (0, 0xFFFF):
            raise _damaged(self.path, "its directory is broken")
        if name_fault(name):
            raise CheckpointError(
                self.path, f"an entry's name {name!r} {name_fault(name)}", "Do not trust this file."
            )
        if method or flags & ~_HARMLESS or packed != size:
            raise CheckpointError(
                self.path,
                f"the entry {name!r} is compressed or encrypted, which torch.save never does",
                "Do not trust this file.",
            )
        begin = self._begin(header, name, size)
        return name, header, Record(begin, size, crc), start + names + extras + comment

    def _begin(self, header: int, name: str, size: int) -> int:
        """Return where an entry's bytes begin, after comparing its local header."""
        if header + _LOCAL.size > self.size:
            raise _damaged(self.path, f"the entry {name!r} lies outside the file")
        local = _LOCAL.unpack(self._bytes(header, _LOCAL.size))
        said = self._bytes(header + _LOCAL.size, local[9])
        same = {local[7], local[8]} <= {size, 0, _WIDE} and not local[2] & ~_HARMLESS
        if local[0] != b"PK\3\4" or local[3] or said != name.encode() or not same:
            raise _damaged(self.path, f"the entry {name!r} is another one in its own header")
        return header + _LOCAL.size + local[9] + local[10]

    def _check_apart(self, places: list[tuple[int, int, str]], directory: int) -> None:
        end = 0
        for header, after, name in sorted(places):
            if header < end:
                raise _damaged(self.path, f"the entry {name!r} overlaps another one")
            end = after
        if end > directory:
            raise _damaged(self.path, "an entry reaches into the directory or past the end")


def _wide(extra: bytes, values: list[int]) -> list[int]:
    """Replace the 32-bit values that overflowed by those of the zip64 field, in their order."""
    position = 0
    while position + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, position)
        if kind == 1:
            field = extra[position + 4 : position + 4 + length]
            for index, value in enumerate(values):
                if value == _WIDE:
                    (values[index],) = struct.unpack_from("<Q", field)
                    field = field[8:]
            break
        position += 4 + length
    return values
