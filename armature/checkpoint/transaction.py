"""Several files written into a folder as one: a crash at any moment leaves the old or the new."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import TracebackType

from armature.checkpoint.journal import Journal, commit, finish
from armature.checkpoint.paths import name_fault
from armature.errors import CheckpointError

_TEMPORARY = re.compile(r"\..+\.tmp-(\d+)-\d+")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_serial = count()


class Transaction:
    """Write files into a folder so that all of them appear, or none.

    Each file is written beside its place, as `.<name>.tmp-<process>-<number>`, and synced to the
    disk; then a journal makes the new set count, and the files get their names, config.json last.

    Example:
        >>> with Transaction(folder) as files:  # doctest: +SKIP
        ...     write_safetensors(files.stage("model.safetensors"), tensors)
        ...     files.write("config.json", text)
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        self._staged: dict[str, Path] = {}
        self._stale: list[str] = []

    def __enter__(self) -> Transaction:
        with explained(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            finish(self.folder)
            _sweep(self.folder)
        return self

    def stage(self, name: str) -> Path:
        """Return the path to write the file `name` to; it gets its name at the end.

        Raises:
            CheckpointError: `name` is not a plain file name.
        """
        if name_fault(name) or "/" in name:
            raise CheckpointError(self.folder, f"{name!r} is not a plain file name")
        path = self.folder / f".{name}.tmp-{os.getpid()}-{next(_serial)}"
        self._staged[name] = path
        return path

    def write(self, name: str, content: bytes | str) -> None:
        """Stage a small file with this content."""
        data = content.encode() if isinstance(content, str) else content
        path = self.stage(name)
        with explained(path, len(data)):
            path.write_bytes(data)

    def remove(self, name: str) -> None:
        """Remove a file of an earlier save at the end, unless it is also written."""
        self._stale.append(name)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                with explained(self.folder):
                    self._commit()
        finally:
            for path in self._staged.values():
                path.unlink(missing_ok=True)

    def _commit(self) -> None:
        for path in self._staged.values():
            descriptor = os.open(path, os.O_RDWR)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        order = sorted(self._staged, key=_rank)
        journal = Journal(
            {name: self._staged[name].name for name in order},
            [name for name in self._stale if name not in self._staged],
        )
        # From here on the journal owns the temporary files: they must survive whatever happens.
        self._staged = {}
        commit(self.folder, journal)


def _rank(name: str) -> tuple[int, str]:
    """Order files so that one which names others comes after them: weights, index, config.json."""
    return (2 if name == "config.json" else 1 if ".index." in name else 0, name)


def _sweep(folder: Path) -> None:
    """Delete temporary files of processes that are gone."""
    for path in folder.glob(".*.tmp-*"):
        found = _TEMPORARY.fullmatch(path.name)
        if found and not _runs(int(found[1])):
            path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    if os.name == "nt":  # where os.kill would end the process
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


@contextmanager
def explained(path: Path, needed: int | None = None) -> Iterator[None]:
    """Turn errors of the system while writing into errors that name the cause and the remedy.

    Args:
        path: The file, or the folder, that is written.
        needed: The bytes that it will take.
    """
    try:
        yield
    except CheckpointError:
        raise
    except OSError as error:
        if error.errno not in _FULL:
            raise CheckpointError(
                path, f"cannot be written: {error.strerror or error}", "Choose another folder."
            ) from error
        raise _full(path, needed) from error


def check_space(folder: Path, needed: int) -> None:
    """Raise before anything is written when the disk has not `needed` bytes left.

    Raises:
        CheckpointError: the disk is too full.
    """
    with explained(folder):
        free = shutil.disk_usage(folder).free
    if free < needed:
        raise _full(folder, needed)


def _full(path: Path, needed: int | None) -> CheckpointError:
    folder = path if path.is_dir() else path.parent
    free = shutil.disk_usage(folder).free
    wants = f"{needed} bytes are needed and " if needed is not None else ""
    return CheckpointError(
        path,
        f"cannot be written: {wants}{free} are free, or a limit on file sizes is reached",
        "Free some space or choose another folder. What was there before is unchanged.",
    )
