"""A name or a folder becomes a source of files: local folder, cached snapshot, download."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armature.checkpoint.cache import (
    CachedModel,
    CachedRepository,
    cache_folder,
    is_repository_name,
    list_cached,
)
from armature.checkpoint.journal import locate
from armature.checkpoint.options import HUB_OPTIONS, HubOptions, read_options
from armature.checkpoint.paths import regular, safe_join
from armature.checkpoint.shipped import shipped
from armature.errors import ArgumentError, CheckpointError, nearest

__all__ = ["HUB_OPTIONS", "CachedModel", "Source", "cached_file", "list_cached", "resolve"]


@dataclass(frozen=True)
class Source:
    """One checkpoint: a place where its files are found by name."""

    name: str
    """What the user asked for."""

    @property
    def revision(self) -> str | None:
        """Return the commit on the hub, when known."""
        return None

    @property
    def place(self) -> str:
        """Return the folder or the repository, for messages."""
        return self.name

    def find(self, filename: str) -> Path | None:
        """Return the local path of a file, downloaded if need be; None if there is no such file.

        Raises:
            CheckpointError: the name is unsafe, or the file exists but cannot be had.
        """
        raise NotImplementedError

    def names(self) -> list[str]:
        """Return the names of the files that the checkpoint is known to have."""
        raise NotImplementedError

    def get(self, filename: str) -> Path:
        """Return the local path of a file that must be there.

        Raises:
            CheckpointError: the checkpoint has no such file, or it cannot be had.
        """
        path = self.find(filename)
        if path is None:
            raise CheckpointError(self.place, f"has no file {filename!r}", self._remedy(filename))
        return path

    def _remedy(self, filename: str) -> str:
        names = self.names()
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        return f"It has: {shown or 'nothing'}.{nearest(filename, names)}"


@dataclass(frozen=True)
class Folder(Source):
    """A checkpoint in a local folder."""

    folder: Path
    file: Path | None = None
    """The file that the user named, when it was a file and not the folder."""

    @property
    def place(self) -> str:
        """Return the folder."""
        return str(self.folder)

    def find(self, filename: str) -> Path | None:
        """Return the path of a file in the folder; None if there is no such file."""
        if filename == "config.json" and self.file and self.file.suffix == ".json":
            return self.file
        safe_join(self.folder, filename, said_by=self.folder)
        path = locate(self.folder, filename)
        return path and regular(path)

    def names(self) -> list[str]:
        """Return the names of the files in the folder and its direct subfolders."""
        return _listing(self.folder)


@dataclass
class _State:
    """What a snapshot learns while it is used."""

    commit: str | None = None
    unreachable: str | None = None
    asked_for: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Snapshot(Source):
    """One commit of a repository on the hub, of which the cache holds some files or all."""

    options: HubOptions
    repository: CachedRepository
    _state: _State = field(default_factory=_State, compare=False, repr=False)

    @property
    def revision(self) -> str | None:
        """Return the commit; once known it stays, so that all files are of one commit."""
        stale = self.options.force_download and not self._state.asked_for
        if self._state.commit is None and not stale:
            self._state.commit = self.repository.commit(self.options.branch)
        return self._state.commit

    @property
    def place(self) -> str:
        """Return name, subfolder and revision."""
        inside = f"/{self.options.subfolder}" if self.options.subfolder else ""
        return f"{self.name}{inside} ({self.revision or self.options.branch})"

    def find(self, filename: str) -> Path | None:
        """Return the path of a file in the cache, downloaded if need be and allowed."""
        whole = f"{self.options.subfolder}/{filename}" if self.options.subfolder else filename
        renew = self.options.force_download and whole not in self._state.asked_for
        cached = self._cached(whole)
        if not renew and (cached or self._final(whole)):
            return cached
        return self._download(whole, renew=renew)

    def names(self) -> list[str]:
        """Return the names of the files: what the cache has, or once asked, the hub's list."""
        names = self._below_subfolder(_listing(self.folder))
        if self.barrier or (names and not self._state.asked_for):
            return names
        from armature.checkpoint.download import UnreachableError, listing

        try:
            return self._below_subfolder(
                listing(self.name, self.revision or self.options.branch, self.options)
            )
        except UnreachableError as error:
            self._state.unreachable = str(error)
            return names

    @property
    def barrier(self) -> str | None:
        """Return why nothing can be downloaded, or None."""
        return self.options.offline or self._state.unreachable

    @property
    def folder(self) -> Path:
        """Return where the cache keeps the files of the commit."""
        return self.repository.snapshot(self.revision or "unknown")

    def _cached(self, filename: str) -> Path | None:
        return regular(safe_join(self.folder, filename, said_by=self.name))

    def _final(self, filename: str) -> bool:
        """Say whether a file that is not in the cache cannot, or need not, be asked for."""
        known = self.revision is not None and self.repository.lacks(self.revision, filename)
        return bool(self.barrier) or known

    def _download(self, filename: str, *, renew: bool) -> Path | None:
        from armature.checkpoint.download import UnreachableError, download, reach

        revision = self.revision or self.options.branch
        try:
            if not self._state.asked_for:
                reach(self.name, filename, revision, self.options)
            self._state.asked_for.add(filename)
            found = download(self.name, filename, revision, self.options, renew=renew)
        except UnreachableError as error:
            if renew or not self.folder.is_dir():
                raise
            # The model is in the cache: what is there is used, and the hub is not tried again.
            self._state.unreachable = str(error)
            return None
        return Path(found) if found else None

    def _below_subfolder(self, names: list[str]) -> list[str]:
        start = f"{self.options.subfolder}/" if self.options.subfolder else ""
        return [name.removeprefix(start) for name in names if name.startswith(start)]

    def _remedy(self, filename: str) -> str:
        held = super()._remedy(filename)
        return f"{held} Nothing more can be downloaded: {self.barrier}." if self.barrier else held


def _listing(folder: Path) -> list[str]:
    """Return the files of a folder and of its direct subfolders, hidden ones left out."""
    paths = [*folder.glob("[!.]*"), *folder.glob("[!.]*/[!.]*")]
    return sorted(path.relative_to(folder).as_posix() for path in paths if path.is_file())


def resolve(name: str | os.PathLike[str] | Source, **options: Any) -> Source:
    """Find the checkpoint that `name` stands for: a folder, the cache, what is installed, the hub.

    Args:
        name: A folder, a file in it, or a model on the hub ("bert-base-uncased", "org/name").
        options: See `HUB_OPTIONS`.

    Raises:
        CheckpointError: there is no such folder; or the network is forbidden and the model is not
            in the cache.
        UnknownArgumentError: an option does not exist.
    """
    if isinstance(name, Source):
        return name
    chosen = read_options(name, options)
    text = os.fspath(name)
    if not text:
        raise CheckpointError("''", "is no name", "Name a folder, or a model as in `org/name`.")
    # The functions of os.path answer where those of Path raise: names too long, unknown users…
    path = Path(os.path.expanduser(text))  # noqa: PTH111
    local = _local(text, path, chosen.subfolder or "")
    if local is not None:
        return local
    if isinstance(name, os.PathLike) or not is_repository_name(text):
        raise _no_such_folder(text, path)
    repository = CachedRepository(cache_folder(chosen.cache_dir), text)
    snapshot = Snapshot(text, chosen, repository)
    installed = shipped(text)
    if installed and not (chosen.revision or chosen.force_download or snapshot.folder.is_dir()):
        return Folder(text, installed)
    if chosen.force_download and chosen.offline:
        raise ArgumentError(f"force_download=True needs the network, but {chosen.offline}.")
    if chosen.offline and not snapshot.folder.is_dir():
        raise _not_in_cache(snapshot)
    return snapshot


def resolve_with(name: str | os.PathLike[str] | Source, options: dict[str, Any]) -> Source:
    """Find what `name` stands for, and take the hub's options out of those of a call."""
    hub = {key: options.pop(key) for key in list(options) if key in HUB_OPTIONS}
    return resolve(name, **hub)


def _local(text: str, path: Path, subfolder: str) -> Folder | None:
    if os.path.isdir(path):  # noqa: PTH112
        return Folder(text, safe_join(path, subfolder, text) if subfolder else path)
    if os.path.isfile(path):  # noqa: PTH113
        return Folder(text, path.parent, file=path)
    return None


def _no_such_folder(text: str, path: Path) -> CheckpointError:
    above = path.parent
    around = [entry.name for entry in above.glob("*/")] if os.path.isdir(above) else []  # noqa: PTH112
    shown = repr(text if len(text) < 200 else text[:200] + "…")
    return CheckpointError(
        shown,
        "there is no such folder, and it cannot be the name of a model on the hub",
        "Name a folder that holds config.json, or a model as in `org/name`."
        + nearest(path.name, around),
    )


def _not_in_cache(snapshot: Snapshot) -> CheckpointError:
    cache = snapshot.repository.folder.parent
    name, branch = snapshot.name, snapshot.options.branch
    held = sorted({model.name for model in list_cached(cache)})
    if name in held:
        cause = f"revision {branch!r} is not in the cache and {snapshot.options.offline}"
        held = [m.commit for m in list_cached(cache) if m.name == name]
        return CheckpointError(name, cause, f"The cache has: {', '.join(held)}.")
    shown = ", ".join(held[:8]) + (f" and {len(held) - 8} more" if len(held) > 8 else "")
    close = nearest(name, held) or nearest(name, [one.split("/")[-1] for one in held])
    return CheckpointError(
        name,
        f"no model {name!r} in the cache ({cache}) and {snapshot.options.offline}; "
        "nor is there such a folder",
        f"You have: {shown or 'nothing'}.{close}",
    )


class LocalPath(str):
    r"""A path whose `split("\\")` gives folder and file where folders are separated by "/", too.

    Scripts written on Windows take the folder of a cached file by splitting at the backslash.
    """

    __slots__ = ()

    def split(self, sep: str | None = None, maxsplit: int = -1) -> list[str]:  # type: ignore[override]
        """Split as `str` does; at a backslash that does not occur, into folder and file."""
        if sep == "\\" and sep not in str(self):
            return str(self).rsplit("/", 1)
        return super().split(sep, maxsplit)


def cached_file(name: str | os.PathLike[str] | Source, filename: str, **options: Any) -> str:
    """Return the local path of one file of a checkpoint, downloaded first if need be and allowed.

    Args:
        name: A folder or a model on the hub.
        filename: The file's name inside the checkpoint.
        options: See `HUB_OPTIONS`.

    Raises:
        CheckpointError: there is no such checkpoint or file. It is an `OSError`.
    """
    return LocalPath(resolve(name, **options).get(filename))
