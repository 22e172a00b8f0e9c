"""The hub's cache on disk, read and listed without the hub's own client.

A model is a folder `models--org--name`, with these in it:

    refs/<revision>             the commit that a branch or tag stands for
    snapshots/<commit>/<file>   links into blobs/
    .no_exist/<commit>/<file>   the repository has no such file
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from armature.checkpoint.paths import name_fault
from armature.errors import CheckpointError

_REPOSITORY = re.compile(r"(?:[A-Za-z0-9_][\w.-]{0,95}/)?[A-Za-z0-9_](?:[\w.-]{0,94}\w)?", re.ASCII)
_REVISION = re.compile(r"[A-Za-z0-9_][\w.+/-]{0,254}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_TRUE = ("1", "ON", "YES", "TRUE")


@dataclass(frozen=True)
class CachedModel:
    """One snapshot of one model in the cache."""

    name: str
    commit: str
    revisions: tuple[str, ...]
    """The branches and tags that stand for this commit."""
    files: tuple[str, ...]
    size: int
    """Bytes on disk."""
    last_used: float
    """Seconds since 1970; the newest access to any of its files."""
    folder: Path


def cache_folder(cache_dir: str | os.PathLike[str] | None = None) -> Path:
    """Return where the hub's cache lies: `cache_dir`, or what the environment says."""
    if cache_dir is not None:
        return Path(cache_dir).expanduser()
    for variable in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"):
        if os.environ.get(variable):
            return _expanded(os.environ[variable])
    if os.environ.get("HF_HOME"):
        return _expanded(os.environ["HF_HOME"]) / "hub"
    return _expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface" / "hub"


def _expanded(path: str) -> Path:
    return Path(os.path.expandvars(path)).expanduser()


def offline_reason() -> str | None:
    """Return the environment setting that forbids the network ("HF_HUB_OFFLINE=1"), or None."""
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        value = os.environ.get(variable, "")
        if value:  # the first that is set decides, also when it says no
            return f"{variable}={value}" if value.upper() in _TRUE else None
    return None


def is_repository_name(name: str) -> bool:
    """Say whether `name` can be a model on the hub: "bert-base-uncased", "org/name"."""
    return bool(_REPOSITORY.fullmatch(name)) and not (
        "--" in name or ".." in name or name.endswith(".git")
    )


def check_revision(revision: str) -> str:
    """Return `revision` if it can be a branch, a tag or a commit.

    Raises:
        CheckpointError: it cannot.
    """
    if not _REVISION.fullmatch(revision) or ".." in revision or "//" in revision:
        raise CheckpointError(
            f"revision={revision!r}",
            "is not the name of a branch, a tag or a commit",
            'Use, for example, "main" or the 40 digits of a commit.',
        )
    return revision


class CachedRepository:
    """What the cache holds of one model."""

    def __init__(self, cache: Path, name: str) -> None:
        self.folder = cache / ("models--" + name.replace("/", "--"))

    def commit(self, revision: str) -> str | None:
        """Return the commit that `revision` stands for, if the cache knows it."""
        ref = self.folder / "refs" / revision
        if ref.is_file():
            commit = ref.read_text(encoding="utf-8").strip()
            if name_fault(commit) or "/" in commit:
                raise CheckpointError(ref, "does not hold a commit", "Delete this file.")
            return commit
        if _COMMIT.fullmatch(revision) or self.snapshot(revision).is_dir():
            return revision
        return None

    def snapshot(self, commit: str) -> Path:
        """Return the folder of a commit's files, which need not exist."""
        return self.folder / "snapshots" / commit

    def lacks(self, commit: str, filename: str) -> bool:
        """Say whether the hub was once asked and answered that the commit has no such file."""
        return (self.folder / ".no_exist" / commit / filename).is_file()


def list_cached(cache_dir: str | os.PathLike[str] | None = None) -> list[CachedModel]:
    """List the models in the hub's cache by name, one entry per snapshot."""
    folders = sorted(cache_folder(cache_dir).glob("models--*"))
    return [model for folder in folders for model in _snapshots(folder)]


def _snapshots(folder: Path) -> list[CachedModel]:
    name = folder.name.removeprefix("models--").replace("--", "/")
    refs = folder / "refs"
    revisions: dict[str, list[str]] = {}
    for ref in sorted(path for path in refs.rglob("*") if path.is_file()):
        commit = ref.read_text(encoding="utf-8", errors="replace").strip()
        revisions.setdefault(commit, []).append(ref.relative_to(refs).as_posix())
    found = []
    for snapshot in sorted((folder / "snapshots").glob("*")):
        files = sorted(path for path in snapshot.rglob("*") if path.is_file())
        if not files:
            continue
        facts = [path.stat() for path in files]
        found.append(
            CachedModel(
                name=name,
                commit=snapshot.name,
                revisions=tuple(revisions.get(snapshot.name, ())),
                files=tuple(path.relative_to(snapshot).as_posix() for path in files),
                size=sum(fact.st_size for fact in facts),
                last_used=max(max(fact.st_atime, fact.st_mtime) for fact in facts),
                folder=snapshot,
            )
        )
    return found
