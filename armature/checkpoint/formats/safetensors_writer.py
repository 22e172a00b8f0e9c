"""Write a safetensors file, one tensor at a time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from armature.checkpoint.formats.tensor_bytes import codes, tensor_bytes
from armature.checkpoint.tensor_info import DTYPES
from armature.checkpoint.transaction import explained

if TYPE_CHECKING:
    import torch

# As the safetensors library sorts: wide dtypes first, so that every tensor is aligned to its own.
_ORDER = {code: -rank for rank, code in enumerate(DTYPES)}


def write_safetensors(
    path: Path, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write one safetensors file, byte for byte as the safetensors library does.

    Args:
        path: The file; normally what `Transaction.stage` returned.
        tensors: On any device, contiguous or not; one at a time is copied where it must be.
        metadata: Strings for the header; `format` says "pt" unless it is given.

    Raises:
        CheckpointError: the format has no such dtype, or the disk is full.
    """
    dtypes = codes(path, tensors, without=("C128",))
    names = sorted(tensors, key=lambda name: (_ORDER[dtypes[name]], name))
    header: dict[str, object] = {"__metadata__": {"format": "pt", **(metadata or {})}}
    end = 0
    for name in names:
        start, end = end, end + tensors[name].numel() * tensors[name].itemsize
        header[name] = {
            "dtype": dtypes[name],
            "shape": list(tensors[name].shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    with explained(path, 8 + len(text) + end), path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little"))
        file.write(text)
        for name in names:
            with tensor_bytes(tensors[name]) as data:
                file.write(data)
