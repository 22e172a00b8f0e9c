"""The list of what a save still has to rename and remove: it makes many files change as one.

A folder with a journal holds a complete new set of files, some still under temporary names. Readers
take each file from where it lies (`locate`); the next writer finishes the work (`finish`).
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from armature.checkpoint.paths import name_fault
from armature.errors import CheckpointError

JOURNAL = ".armature-save.json"
# What file systems without locks answer, as some network mounts do: two writers are not kept apart.
_NO_LOCKS = (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK)


@dataclass(frozen=True)
class Journal:
    """What is left to do: files to rename, by their final names, and files to remove."""

    rename: dict[str, str]
    remove: list[str]


def locate(folder: Path, name: str) -> Path | None:
    """Return where the file `name` of a folder lies: None where a finished save has removed it.

    Raises:
        CheckpointError: the folder's journal is not one.
    """
    journal = _read(folder)
    if journal is None:
        return folder / name
    if name in journal.rename:
        waiting = folder / journal.rename[name]
        return waiting if waiting.exists() else folder / name
    return None if name in journal.remove else folder / name


def commit(folder: Path, journal: Journal) -> None:
    """Put a journal in place, and do what it says. All new files must be on the disk already.

    Raises:
        OSError: the folder cannot be written; when the journal is in place, the new files count.
    """
    with locked(folder):
        temporary = folder / f"{JOURNAL}.tmp-{os.getpid()}-0"
        with temporary.open("w", encoding="utf-8") as file:
            json.dump({"rename": journal.rename, "remove": journal.remove}, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(folder / JOURNAL)
        _sync(folder)
        _apply(folder, journal)


def finish(folder: Path) -> None:
    """Finish a save that was cut off after its journal was in place.

    Raises:
        CheckpointError: the folder's journal is not one.
        OSError: the folder cannot be written.
    """
    if (folder / JOURNAL).exists():
        with locked(folder):
            journal = _read(folder)
            if journal is not None:
                _apply(folder, journal)


def _apply(folder: Path, journal: Journal) -> None:
    for name, temporary in journal.rename.items():
        if (folder / temporary).exists():  # else an earlier attempt came this far
            (folder / temporary).replace(folder / name)
    for name in journal.remove:
        (folder / name).unlink(missing_ok=True)
    _sync(folder)
    (folder / JOURNAL).unlink(missing_ok=True)


def _read(folder: Path) -> Journal | None:
    path = folder / JOURNAL
    if not path.exists():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        journal = Journal(**content)
        names = [*journal.rename, *journal.rename.values(), *journal.remove]
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise _not_a_journal(path, str(error)) from error
    for name in names:
        if name_fault(name) or "/" in name:
            raise _not_a_journal(path, f"the name {name!r}")
    return journal


def _not_a_journal(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        path, f"is not the journal of a save ({why})", "Delete this file if nothing is being saved."
    )


def _sync(folder: Path) -> None:
    if os.name == "nt":  # folders cannot be opened there
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep other writers of this machine out of the folder, where the system has such locks."""
    if os.name == "nt":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
        yield
    finally:
        os.close(descriptor)
