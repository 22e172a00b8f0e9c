"""Files that say how inputs are read: small, checked, and with errors that say what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from armature.checkpoint.paths import open_regular, read_bytes
from armature.errors import CheckpointError

LARGEST = 1 << 30  # bytes; the largest published tokenizer.json has 40 million
AGAIN = "Copy or download the file again."

_IMPOSTORS = {
    b"version https://git-lfs": (
        "is a git-LFS pointer: the repository was cloned without its large files",
        "Run `git lfs pull` in the folder, or download the file.",
    ),
    b"<!doctype": ("is a web page, saved under the name of the file", AGAIN),
    b"<html": ("is a web page, saved under the name of the file", AGAIN),
}


def read_file(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        CheckpointError: the file is missing, empty, too large, a git-LFS pointer or a web page.
    """
    import os

    descriptor = open_regular(path)
    try:
        size = os.fstat(descriptor).st_size
        if size > LARGEST:
            raise CheckpointError(path, f"has {size} bytes, too many for such a file", AGAIN)
        content = read_bytes(descriptor, size, 0, path)
    finally:
        os.close(descriptor)
    start = content[:64].lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    for sign, (cause, remedy) in _IMPOSTORS.items():
        if start.startswith(sign):
            raise CheckpointError(path, cause, remedy)
    if not content.strip(b"\0"):
        raise CheckpointError(path, "is empty, or was never written in full", AGAIN)
    return content


def read_text(path: Path) -> str:
    """Return the content of a UTF-8 file.

    Raises:
        CheckpointError: as `read_file`, or the file is not UTF-8.
    """
    content = read_file(path)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CheckpointError(path, f"is not UTF-8 text ({error.reason})", AGAIN) from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the table that a JSON file holds.

    Raises:
        CheckpointError: as `read_text`, or the file is not JSON, or no table.
    """
    try:
        value = json.loads(read_text(path))
    except RecursionError as error:
        raise CheckpointError(path, "is nested too deeply", AGAIN) from error
    except ValueError as error:
        raise CheckpointError(path, f"is not JSON ({error})", AGAIN) from error
    if not isinstance(value, dict):
        raise CheckpointError(path, f"should hold a table, not {type(value).__name__}", AGAIN)
    return value
