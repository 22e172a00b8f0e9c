"""Where and how to look for a checkpoint: the arguments of every `from_pretrained`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from armature.checkpoint.cache import check_revision, offline_reason
from armature.checkpoint.paths import name_fault
from armature.errors import ArgumentError, refuse_unknown


@dataclass(frozen=True)
class HubOptions:
    """Where and how to look for a model; every field is an argument of `from_pretrained`."""

    revision: str | None = None
    subfolder: str | None = None
    cache_dir: str | os.PathLike[str] | None = None
    token: str | bool | None = None
    local_files_only: bool = False
    force_download: bool = False
    endpoint: str | None = None

    @property
    def hub(self) -> str | None:
        """Return the address of the hub, or None for the client's default."""
        return self.endpoint or os.environ.get("HF_ENDPOINT") or None

    @property
    def branch(self) -> str:
        """Return the revision that the user asked for, which may be a branch, a tag or a commit."""
        return self.revision or "main"

    @property
    def offline(self) -> str | None:
        """Return what forbids the network, or None when downloads are allowed."""
        return "local_files_only=True" if self.local_files_only else offline_reason()


# `use_auth_token` is the older name of `token`; downloads resume with or without `resume_download`.
HUB_OPTIONS = frozenset(f.name for f in fields(HubOptions)) | {"use_auth_token", "resume_download"}


def read_options(name: object, given: Mapping[str, Any]) -> HubOptions:
    """Check the options that were given for the look-up of `name`.

    Raises:
        UnknownArgumentError: there is no such option.
        ArgumentError: the subfolder leads out of the checkpoint.
        CheckpointError: the revision cannot be one.
    """
    refuse_unknown(f"the look-up of {str(name)!r}", given, HUB_OPTIONS)
    known = {key: value for key, value in given.items() if key != "resume_download"}
    older = known.pop("use_auth_token", None)
    if known.get("token") is None:
        known["token"] = older
    options = HubOptions(**known)
    check_revision(options.branch)
    if options.subfolder and name_fault(options.subfolder):
        raise ArgumentError(f"subfolder={options.subfolder!r} {name_fault(options.subfolder)}.")
    return options
