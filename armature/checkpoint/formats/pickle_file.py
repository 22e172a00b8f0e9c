"""pytorch_model.bin: which tensors its pickle describes, and where in the file their bytes lie.

Since torch 1.6 it is a zip archive: <top>/data.pkl, <top>/byteorder, <top>/data/<key>… Older files
are five pickles (magic number, version, machine, object, keys of the storages); behind them lies
each storage, as its number of elements in 8 bytes, and the elements.
"""

from __future__ import annotations

import mmap
import os
import sys
import zlib
from pathlib import Path
from typing import Any

from armature.checkpoint.formats.pickled_tensors import GLOBALS, PickledTensor, Storage, storage
from armature.checkpoint.formats.stack_machine import RefusedError, StackMachine
from armature.checkpoint.formats.symptoms import not_weights
from armature.checkpoint.formats.zip_directory import read_directory
from armature.checkpoint.paths import read_bytes
from armature.checkpoint.tensor_info import DTYPES, Record, TensorInfo
from armature.errors import CheckpointError

_SAVE_AGAIN = "Save a state dict with torch.save, or as safetensors."
_LARGEST_PICKLE = 64 << 20
_MAGIC = 0x1950A86A20F9469CFC6C
MAGIC_PICKLE = b"\x8a\x0a" + _MAGIC.to_bytes(10, "little")  # LONG1


def read_pickle_file(path: Path, descriptor: int) -> dict[str, TensorInfo]:
    """Return the tensors of a file that torch.save wrote, by name. Nothing in it is executed.

    Raises:
        CheckpointError: the file is not of torch, is damaged, or or wants more than tensors.
    """
    size = os.fstat(descriptor).st_size
    start = read_bytes(descriptor, 512, 0, path)
    try:
        if start.startswith(b"PK\3\4"):
            return _read_zip(path, descriptor, size)
        if MAGIC_PICKLE in start[:24]:
            return _read_legacy(path, descriptor, size)
    except RefusedError as refused:
        raise CheckpointError(
            path,
            f"the pickle in it {refused}",
            "Nothing of it was executed. If you trust its author, ask for safetensors weights.",
        ) from refused
    known = not_weights(start, size)
    if known is None or "safetensors" in known[0]:
        known = "is not a file that torch.save wrote", "Copy or download the file again."
    raise CheckpointError(path, *known)


def _read_zip(path: Path, descriptor: int, size: int) -> dict[str, TensorInfo]:
    records = read_directory(path, descriptor, size)
    top = top_of(path, records)
    for name, fits in (("byteorder", sys.byteorder.__eq__), ("version", str.isdigit)):
        record = records.get(f"{top}/{name}")
        found = content_of(path, descriptor, record).decode("latin-1").strip() if record else None
        if found is not None and not fits(found):
            raise CheckpointError(path, f"has the {name} {found!r:.50}", _SAVE_AGAIN)
    pickle = content_of(path, descriptor, records[f"{top}/data.pkl"])
    storages = _Storages()
    machine = StackMachine(pickle, GLOBALS, storages.add)
    content = machine.run()
    if machine.position != len(pickle):
        raise RefusedError("has something behind its end")
    places = {}
    for key, held in storages.by_key.items():
        record = records.get(f"{top}/data/{key}")
        if record is None or record.size != held.size:
            raise RefusedError(f"describes the storage {key!r}, which the file does not hold so")
        places[key] = record
    return _infos(path, content, places)


def top_of(path: Path, records: dict[str, Record]) -> str:
    """Return the one folder at the top of the archive."""
    tops = [name.removesuffix("/data.pkl") for name in records if name.endswith("/data.pkl")]
    if len(tops) != 1 or "/" in tops[0]:
        raise CheckpointError(
            path, "is a zip archive without data.pkl, so not one of torch.save", _SAVE_AGAIN
        )
    if f"{tops[0]}/constants.pkl" in records:
        raise CheckpointError(path, "is a TorchScript program and not weights", _SAVE_AGAIN)
    return tops[0]


def content_of(path: Path, descriptor: int, record: Record) -> bytes:
    """Return the bytes of a small record after comparing its checksum."""
    if record.size > _LARGEST_PICKLE:
        raise CheckpointError(path, f"has a pickle of {record.size} bytes, too large for weights")
    content = read_bytes(descriptor, record.size, record.start, path)
    if zlib.crc32(content) != record.crc:
        raise CheckpointError(
            path, "is damaged: a checksum does not match", "Copy or download the file again."
        )
    return content


def _read_legacy(path: Path, descriptor: int, size: int) -> dict[str, TensorInfo]:
    storages = _Storages()
    with mmap.mmap(descriptor, size, access=mmap.ACCESS_READ) as data:
        found: list[Any] = []
        position = 0
        for _ in range(5):
            machine = StackMachine(data, GLOBALS, storages.add, position)
            found.append(machine.run())
            position = machine.position
        magic, version, system, content, keys = found
        if magic != _MAGIC or version != 1001 or type(system) is not dict or type(keys) is not list:
            raise RefusedError("does not begin as torch.save begins")
        if system.get("little_endian") is not (sys.byteorder == "little"):
            raise CheckpointError(path, "was saved on a machine of another byte order", _SAVE_AGAIN)
        listed = [storages.by_key.get(key) if type(key) is str else None for key in keys]
        places = _legacy_places(path, data, position, listed)
    return _infos(path, content, places)


def _legacy_places(
    path: Path, data: mmap.mmap, position: int, storages: list[Storage | None]
) -> dict[str, Record]:
    """Return where the storages lie, which follow each other after the last pickle."""
    places = {}
    for held in storages:
        if held is None or held.key in places:
            raise RefusedError("lists storages that it does not use")
        start = position + 8
        if int.from_bytes(data[position:start], "little") != held.elements:
            raise RefusedError(
                f"describes the storage {held.key!r}, which the file does not hold so"
            )
        places[held.key] = Record(start, held.size, None)
        position = start + held.size
    if position != len(data):
        raise CheckpointError(
            path,
            f"is cut off or damaged: it needs {position} bytes and has {len(data)}",
            "Copy or download the file again.",
        )
    return places


class _Storages:
    """The storages that a pickle refers to."""

    def __init__(self) -> None:
        self.by_key: dict[str, Storage] = {}

    def add(self, identity: Any) -> Storage:
        """Return the storage that a persistent id stands for."""
        held = storage(identity)
        if self.by_key.setdefault(held.key, held) != held:
            raise RefusedError(f"describes the storage {held.key!r} in two ways")
        return held


def _infos(path: Path, content: Any, places: dict[str, Record]) -> dict[str, TensorInfo]:
    """Return the tensors of the pickled object, which must be a dictionary of them."""
    if type(content) is not dict:
        raise CheckpointError(path, "does not hold a dictionary of tensors", _SAVE_AGAIN)
    infos = {}
    for name, tensor in content.items():
        if type(name) is str and type(tensor) is PickledTensor:
            infos[name] = _info(path, name, tensor, places)
    if content and not infos:
        keys = ", ".join(repr(key) for key in list(content)[:10])
        raise CheckpointError(path, f"holds no tensors by name, but {keys:.500}", _SAVE_AGAIN)
    return infos


def _info(path: Path, name: str, tensor: PickledTensor, places: dict[str, Record]) -> TensorInfo:
    record = places.get(tensor.storage.key)
    if record is None:
        raise RefusedError(f"describes the storage {tensor.storage.key!r}, which the file lacks")
    offset = record.start + tensor.offset * DTYPES[tensor.dtype][1]
    strides = None if tensor.contiguous else tensor.strides
    checked = None if record.crc is None else record
    return TensorInfo(name, tensor.dtype, tensor.shape, path, offset, strides, checked)
