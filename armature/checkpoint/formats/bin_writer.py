"""Write pytorch_model.bin: the zip archive of torch.save, one tensor at a time."""

from __future__ import annotations

import io
import pickle
import sys
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armature.checkpoint.formats.tensor_bytes import codes, tensor_bytes
from armature.checkpoint.tensor_info import STORAGES, dtype_code
from armature.checkpoint.transaction import explained

if TYPE_CHECKING:
    import torch

_ALIGNMENT = 64
_STORAGE_CLASSES: dict[str | None, str] = {code: name for name, code in STORAGES.items()}
_ZIP64 = 20  # bytes of the extra field that zipfile adds to large records


@dataclass(frozen=True)
class _Entry:
    """Stands for a tensor while the dictionary is pickled."""

    key: str
    tensor: torch.Tensor


@dataclass(frozen=True)
class _Storage:
    """Stands for the record that holds a tensor's bytes."""

    entry: _Entry
    kind: type
    elements: int


def write_bin(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write tensors as `torch.save` writes a state dict, but views without what they leave out.

    Tensors that are the same view of the same memory share one record, and stay tied when loaded.

    Args:
        path: The file; normally what `Transaction.stage` returned.
        tensors: On any device, contiguous or not.

    Raises:
        CheckpointError: the disk is full, or torch files have no such dtype.
    """
    codes(path, tensors)
    keys: dict[Any, str] = {}
    entries = OrderedDict(
        (name, _Entry(keys.setdefault(_place(tensor), str(len(keys))), tensor))
        for name, tensor in tensors.items()
    )
    records = {entry.key: entry.tensor for entry in entries.values()}
    needed = sum(tensor.numel() * tensor.itemsize for tensor in records.values())
    with explained(path, needed), zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        _add(archive, "data.pkl", _pickled(entries))
        _add(archive, "byteorder", sys.byteorder.encode())
        for key, tensor in records.items():
            with tensor_bytes(tensor) as data:
                _add(archive, f"data/{key}", data)
        _add(archive, "version", b"3\n")


def _place(tensor: torch.Tensor) -> tuple[object, ...]:
    if not tensor.numel():
        return (id(tensor),)
    return (tensor.data_ptr(), tensor.dtype, tuple(tensor.shape), tensor.stride(), tensor.device)


def _add(archive: zipfile.ZipFile, name: str, data: bytes | memoryview) -> None:
    """Add a record whose bytes begin at a multiple of 64, as torch's own writer does."""
    info = zipfile.ZipInfo(f"archive/{name}")
    info.file_size = len(data)
    large = len(data) * 1.05 > zipfile.ZIP64_LIMIT
    assert archive.fp is not None
    start = archive.fp.tell() + 30 + len(info.filename) + 4 + (_ZIP64 if large else 0)
    padding = -start % _ALIGNMENT
    info.extra = b"FB" + padding.to_bytes(2, "little") + b"Z" * padding
    with archive.open(info, "w", force_zip64=large) as record:
        record.write(data)


def _pickled(entries: OrderedDict[str, _Entry]) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, protocol=2).dump(entries)
    return buffer.getvalue()


class _Pickler(pickle.Pickler):
    """Writes what torch's own pickler writes for tensors; reading is `stack_machine`'s matter."""

    def persistent_id(self, obj: Any) -> Any:
        if not isinstance(obj, _Storage):
            return None
        return ("storage", obj.kind, obj.entry.key, "cpu", obj.elements)

    def reducer_override(self, obj: Any) -> Any:
        if not isinstance(obj, _Entry):
            return NotImplemented
        return _rebuilding(obj)


def _rebuilding(entry: _Entry) -> tuple[Any, tuple[Any, ...]]:
    import torch
    from torch._utils import _rebuild_tensor_v2, _rebuild_tensor_v3

    tensor = entry.tensor
    strides = torch.empty(tensor.shape, device="meta").stride()
    view = (0, tuple(tensor.shape), strides, False, OrderedDict())
    kind = _STORAGE_CLASSES.get(dtype_code(tensor.dtype))
    if kind is None:  # dtypes that came after the storage classes
        size = tensor.numel() * tensor.itemsize
        storage = _Storage(entry, torch.UntypedStorage, size)
        return _rebuild_tensor_v3, (storage, *view, tensor.dtype)
    return _rebuild_tensor_v2, (_Storage(entry, getattr(torch, kind), tensor.numel()), *view)
