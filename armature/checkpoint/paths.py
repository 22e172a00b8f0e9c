"""Names that come out of files become paths here, and nowhere else."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from threading import Lock

from armature.errors import CheckpointError

_DRIVE = re.compile(r"^[A-Za-z]:")


def name_fault(name: object) -> str | None:
    """Say why `name` cannot be a relative path inside a checkpoint; None when it can."""
    if not isinstance(name, str) or not name:
        return "is not a file name"
    if any(letter < " " or "\ud800" <= letter <= "\udfff" for letter in name):
        return "holds control characters"
    if "\\" in name or _DRIVE.match(name):
        return "is written as a Windows path"
    if name.startswith("/"):
        return "is an absolute path"
    if any(part in ("", ".", "..") for part in name.split("/")):
        return "does not stay inside its folder"
    if len(name) > 1024 or any(len(part.encode()) > 255 for part in name.split("/")):
        return "is too long"
    return None


def safe_join(base: Path, name: str, said_by: str | Path) -> Path:
    """Return `base / name` after checking that it stays inside `base`, links followed.

    Files of the hub's cache are links into its blobs; those, and no others, may lead out.

    Args:
        base: The checkpoint's folder.
        name: A relative file name as some file or caller wrote it.
        said_by: Who named it, for the error.

    Raises:
        CheckpointError: the name is unsafe, or the path leads out of `base`. Nothing was opened.
    """
    fault = name_fault(name)
    if fault:
        raise CheckpointError(
            said_by,
            f"the file name {name!r} {fault}",
            "Names must be relative to the checkpoint's folder; do not trust this checkpoint.",
        )
    path = base / name
    if not os.path.lexists(path):
        return path
    real, inside = Path(os.path.realpath(path)), Path(os.path.realpath(base))
    if real.is_relative_to(inside) or _is_blob(real, inside):
        return path
    raise CheckpointError(
        path,
        f"is a link that leads out of the checkpoint's folder, to {real}",
        "Copy the file into the folder.",
    )


def _is_blob(real: Path, folder: Path) -> bool:
    """Say whether the hub's client keeps a file there: `models--…/blobs` or its cache's `blobs`."""
    caches = [part.parent for part in folder.parents if part.name.startswith("models--")]
    stores = [part.parent for part in real.parents if part.name == "blobs"]
    return any(store.name.startswith("models--") or store in caches for store in stores)


def regular(path: Path) -> Path | None:
    """Return `path` if it is a file, None if there is nothing.

    Raises:
        CheckpointError: it is a folder, a pipe or a device.
    """
    if path.is_file():
        return path
    if path.exists():
        raise _not_regular(path)
    return None


def _not_regular(path: Path) -> CheckpointError:
    return CheckpointError(path, "is not a regular file", "Put the file itself there.")


def open_regular(path: Path) -> int:
    """Open a regular file for reading and return its descriptor; pipes and devices never block.

    Raises:
        CheckpointError: there is no such file, it cannot be read, or it is not a regular file.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        descriptor = os.open(path, flags)
    except OSError as error:
        raise CheckpointError(path, f"cannot be opened: {error.strerror}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_regular(path)
    return descriptor


def fill(descriptor: int, buffer: memoryview, offset: int, path: Path) -> None:
    """Fill `buffer` with the bytes of an open file from `offset` on.

    Raises:
        CheckpointError: the file ends before, or the disk cannot read it.
    """
    done = 0
    while done < len(buffer):
        try:
            count = _read_at(descriptor, buffer[done:], offset + done)
        except OSError as error:
            raise CheckpointError(path, f"cannot be read: {error.strerror}") from error
        if not count:
            raise CheckpointError(path, "became shorter while it was read", "Load it again.")
        done += count


if hasattr(os, "preadv"):

    def _read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
        return os.preadv(descriptor, [buffer], offset)

else:  # Windows

    def _read_at(descriptor: int, buffer: memoryview, offset: int) -> int:
        with _seek_and_read:
            os.lseek(descriptor, offset, os.SEEK_SET)
            part = os.read(descriptor, len(buffer))
        buffer[: len(part)] = part
        return len(part)


_seek_and_read = Lock()


def read_bytes(descriptor: int, count: int, offset: int, path: Path) -> bytes:
    """Return `count` bytes of an open file from `offset` on, fewer where the file ends."""
    count = max(0, min(count, os.fstat(descriptor).st_size - offset))
    buffer = bytearray(count)
    fill(descriptor, memoryview(buffer), offset, path)
    return bytes(buffer)
