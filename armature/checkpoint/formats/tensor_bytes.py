"""The bytes of a tensor as a buffer that files can be written from, without numpy."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from armature.checkpoint.tensor_info import DTYPES, dtype_code
from armature.errors import CheckpointError

if TYPE_CHECKING:
    import torch


@contextmanager
def tensor_bytes(tensor: torch.Tensor) -> Iterator[memoryview]:
    """Give a tensor's elements in order as bytes; a strided one is copied first."""
    ready = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    size = ready.numel() * ready.itemsize
    yield memoryview((ctypes.c_char * size).from_address(ready.data_ptr()) if size else b"")


def codes(
    path: Path, tensors: Mapping[str, torch.Tensor], without: Iterable[str] = ()
) -> dict[str, str]:
    """Return the dtype code of each tensor.

    Raises:
        CheckpointError: the format of the file has no code for a dtype.
    """
    found = {}
    for name, tensor in tensors.items():
        code = dtype_code(tensor.dtype)
        if code is None or code in without:
            raise CheckpointError(
                path,
                f"cannot hold {name!r}, which is of {tensor.dtype}",
                f"Convert it to one of: {', '.join(name for name, _ in DTYPES.values())}.",
            )
        found[name] = code
    return found
