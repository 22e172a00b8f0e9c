"""The header of a safetensors file: read and checked before anything is believed."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from armature.checkpoint.formats.symptoms import not_weights
from armature.checkpoint.paths import read_bytes
from armature.checkpoint.tensor_info import DTYPES, TensorInfo
from armature.errors import CheckpointError

_AGAIN = "Copy or download the file again."
_LARGEST_HEADER = 100_000_000
_MOST_DIMENSIONS = 64


def read_header(path: Path, descriptor: int) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    """Return the tensors of a safetensors file by name, and its metadata.

    Raises:
        CheckpointError: the file is not safetensors, is cut off, or its header does not describe
            its bytes exactly: no gap, no overlap, nothing outside.
    """
    size = os.fstat(descriptor).st_size
    start = read_bytes(descriptor, 512, 0, path)
    length = int.from_bytes(start[:8], "little")
    if length > _LARGEST_HEADER or start[8:9] != b"{":
        cause, remedy = not_weights(start, size) or ("is not a safetensors file", _AGAIN)
        raise CheckpointError(path, cause, remedy)
    if 8 + length > size:
        raise _cut_off(path, 8 + length, size)
    header = _parse(path, read_bytes(descriptor, length, 8, path))
    metadata = header.pop("__metadata__", None) or {}
    if not _is_text_map(metadata):
        raise _damaged(path, "its __metadata__ is not a map of strings")
    tensors = {name: _tensor(path, name, entry, 8 + length) for name, entry in header.items()}
    _check_cover(path, tensors, 8 + length, size)
    return tensors, metadata


def _parse(path: Path, text: bytes) -> dict[str, Any]:
    try:
        header = json.loads(text.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"its header is not the JSON it should be ({error})") from error
    if not isinstance(header, dict):
        raise _damaged(path, "its header is not a JSON object")
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key occurs twice")
    return found


def _is_text_map(value: object) -> bool:
    return isinstance(value, dict) and all(isinstance(entry, str) for entry in value.values())


def _tensor(path: Path, name: str, entry: Any, data_start: int) -> TensorInfo:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _damaged(path, f"tensor {name!r} lacks dtype, shape or data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise CheckpointError(
            path, f"tensor {name!r} has dtype {dtype!r}", f"Known are: {', '.join(DTYPES)}."
        )
    if not (_are_counts(shape) and len(shape) <= _MOST_DIMENSIONS):
        raise _damaged(path, f"tensor {name!r} has an impossible shape")
    if not (_are_counts(offsets) and len(offsets) == 2):
        raise _damaged(path, f"tensor {name!r} has impossible offsets")
    info = TensorInfo(name, dtype, tuple(shape), path, data_start + offsets[0])
    if offsets[1] - offsets[0] != info.size:
        raise _damaged(
            path,
            f"tensor {name!r} of shape {shape} and dtype {dtype} needs {info.size} bytes, "
            f"its offsets give {offsets[1] - offsets[0]}",
        )
    return info


def _are_counts(values: object) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _check_cover(path: Path, tensors: dict[str, TensorInfo], start: int, size: int) -> None:
    """Check that the tensors lie end to end and fill the file exactly."""
    end = start
    for info in sorted(tensors.values(), key=lambda info: (info.offset, info.size)):
        if info.offset != end:
            kind = "overlaps its neighbour" if info.offset < end else "leaves a gap before it"
            raise _damaged(path, f"tensor {info.name!r} {kind}")
        end += info.size
    if end > size:
        raise _cut_off(path, end, size)
    if end < size:
        raise _damaged(path, f"{size - end} bytes follow after the last tensor")


def _cut_off(path: Path, needed: int, size: int) -> CheckpointError:
    return CheckpointError(
        path, f"is cut off or damaged: it needs {needed} bytes and has {size}", _AGAIN
    )


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(path, f"is a damaged safetensors file: {what}", _AGAIN)
