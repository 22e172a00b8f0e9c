"""The only place that asks the hub: the hub's own client, imported when a download is needed."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from armature.checkpoint.cache import cache_folder, list_cached
from armature.errors import CheckpointError, nearest

if TYPE_CHECKING:
    from armature.checkpoint.options import HubOptions

Result = TypeVar("Result")


class UnreachableError(CheckpointError):
    """The hub gives no answer that says anything about the model."""


def reach(name: str, filename: str, revision: str, options: HubOptions) -> None:
    """Ask the hub once about a file: without a network this fails now, not after all the retries.

    Raises:
        UnreachableError: no answer.
        CheckpointError: the hub refused.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import RemoteEntryNotFoundError

    def ask() -> None:
        url = hf_hub_url(name, filename, revision=revision, endpoint=options.hub)
        try:
            get_hf_file_metadata(url, token=options.token)
        except RemoteEntryNotFoundError:
            return  # an answer, too

    _explained(ask, f"{name}/{filename}", name, revision, options)


def download(
    name: str, filename: str, revision: str, options: HubOptions, *, renew: bool = False
) -> str | None:
    """Bring one file into the cache and return its path; None if the repository has no such file.

    Raises:
        UnreachableError: no answer.
        CheckpointError: the hub refused, or what came is not what it announced.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import RemoteEntryNotFoundError

    def fetch() -> str | None:
        try:
            return hf_hub_download(
                name,
                filename,
                revision=revision,
                cache_dir=str(cache_folder(options.cache_dir)),
                token=options.token,
                endpoint=options.hub,
                force_download=renew,
                library_name="armature",
                tqdm_class=_bar(),
            )
        except RemoteEntryNotFoundError:
            return None

    return _explained(fetch, f"{name}/{filename}", name, revision, options)


def listing(name: str, revision: str, options: HubOptions) -> list[str]:
    """Return the names of all files of a repository.

    Raises:
        UnreachableError: no answer.
        CheckpointError: the hub refused.
    """
    from huggingface_hub import HfApi

    def fetch() -> list[str]:
        api = HfApi(endpoint=options.hub, token=options.token, library_name="armature")
        return sorted(api.list_repo_files(name, revision=revision))

    return _explained(fetch, f"{name}, the list of its files", name, revision, options)


def _bar() -> Any:
    from huggingface_hub.utils.tqdm import tqdm

    class PatientBar(tqdm):
        """A progress bar that does not show for what takes less than two seconds."""

        def __init__(self, *args: Any, **settings: Any) -> None:
            super().__init__(*args, **{"delay": 2, **settings})

    return PatientBar


def _explained(
    fetch: Callable[[], Result], what: str, name: str, revision: str, options: HubOptions
) -> Result:
    """Call `fetch`; errors of the client become errors that name the cause and the remedy."""
    from huggingface_hub import errors

    network_error: type[Exception] = errors.HTTPError  # pyright: ignore[reportPrivateImportUsage]
    try:
        return fetch()
    except errors.GatedRepoError as error:
        raise _gated(what, name) from error
    except errors.RepositoryNotFoundError as error:
        raise _no_repository(what, name, options) from error
    except errors.RevisionNotFoundError as error:
        raise CheckpointError(
            what, f"the hub has no revision {revision!r} of it", "Leave `revision` out for main."
        ) from error
    except errors.HfHubHTTPError as error:
        raise _refused(what, error) from error
    except (network_error, OSError, ValueError) as error:
        raise _failed(what, error) from error


def _gated(what: str, name: str) -> CheckpointError:
    return CheckpointError(
        what,
        "access is gated, and this account or token has not been granted it",
        f"Ask for access on the page of {name}, then give a token: HF_TOKEN=… or token=….",
    )


def _no_repository(what: str, name: str, options: HubOptions) -> CheckpointError:
    close = nearest(name, {model.name for model in list_cached(options.cache_dir)})
    return CheckpointError(
        what,
        f"the hub has no model {name!r}, or shows it to its owner only; nor is there such a folder",
        f"Check the name; for a private model give a token: HF_TOKEN=… or token=….{close}",
    )


def _refused(what: str, error: Any) -> CheckpointError:
    status = error.response.status_code
    if status in (401, 403):
        return CheckpointError(
            what, f"the hub refused the token ({status})", "Renew HF_TOKEN, or unset it."
        )
    return UnreachableError(what, f"the hub answered with error {status}", "Try again later.")


def _failed(what: str, error: Exception) -> CheckpointError:
    from huggingface_hub.errors import LocalEntryNotFoundError

    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return CheckpointError(what, "the disk is full", "Free some space, or set HF_HUB_CACHE.")
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EROFS, errno.EPERM):
        return CheckpointError(
            what, f"the cache cannot be written: {error}", "Set HF_HUB_CACHE to a folder of yours."
        )
    cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
    return UnreachableError(
        what,
        f"cannot be downloaded: {cause or error}",
        "Check the connection and HF_ENDPOINT; a model in the cache opens with HF_HUB_OFFLINE=1.",
    )
