"""The weights of a checkpoint, one file or many shards, as one lazy mapping from name to tensor."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from armature.checkpoint.formats.safetensors_header import read_header
from armature.checkpoint.hub import Folder, Source
from armature.checkpoint.mapped_file import MappedFile
from armature.checkpoint.paths import name_fault, read_bytes
from armature.checkpoint.tensor_info import TensorInfo
from armature.errors import ArgumentError, CheckpointError, nearest

if TYPE_CHECKING:
    import torch

__all__ = ["TensorInfo", "Weights", "open_weight_files", "open_weights"]

_LARGEST_INDEX = 100_000_000
_FORMATS = {"safetensors": "model.safetensors", "bin": "pytorch_model.bin"}
_PICKLED = (".pth", ".pt")  # of any name: the only one of a folder counts
_ELSEWHERE = (".safetensors", ".bin", ".h5", ".msgpack", ".gguf", ".onnx", ".pt", ".pth", ".ckpt")


class Weights(Mapping[str, TensorInfo]):
    """What a checkpoint's weight files hold. Opening reads headers only; tensors come later."""

    def __init__(
        self,
        tensors: dict[str, TensorInfo],
        opened: Sequence[MappedFile],
        format: str,
        metadata: dict[str, str] | None = None,
    ) -> None:
        self.files = tuple(file.path for file in opened)
        self.format = format
        """ "safetensors" or "bin"."""
        self.metadata = metadata or {}
        """What a safetensors file says about itself: strings by name."""
        self._tensors = tensors
        self._opened = {file.path: file for file in opened}

    def __getitem__(self, name: str) -> TensorInfo:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"Weights({len(self)} tensors in {', '.join(file.name for file in self.files)})"

    def cut(self, order: Iterable[tuple[str, tuple[int, ...]]]) -> Weights:
        """Return the tensors of a file that holds nothing but numbers, in the order they come."""
        from armature.checkpoint.formats.number_stream import cut

        (whole,) = self.values()
        return Weights(cut(whole, order), list(self._opened.values()), self.format)

    @property
    def size(self) -> int:
        """Return the bytes of all tensors together."""
        return sum(info.size for info in self.values())

    def prefetch(self) -> None:
        """Have the files fetched while other work goes on; they are read all the same without."""
        for file in self._opened.values():
            file.prefetch()

    def read(self, name: str) -> torch.Tensor:
        """Return a tensor without copying it: a view of a private mapping, which may be written to.

        Raises:
            CheckpointError: there is no such tensor, or its bytes cannot be read or are damaged.
        """
        info = self._info(name)
        return self._opened[info.file].read(info)

    def read_into(self, name: str, target: torch.Tensor) -> None:
        """Copy a tensor from the file into `target`, with no second copy of the whole in memory.

        Args:
            name: The tensor's name in the file.
            target: A tensor or strided view of the same shape, of any dtype, on any device.

        Raises:
            CheckpointError: no such tensor, another shape, or unreadable or damaged bytes.
        """
        info = self._info(name)
        if tuple(target.shape) != info.shape:
            raise CheckpointError(
                info.file, f"{name!r} has shape {info.shape} and not {tuple(target.shape)}"
            )
        self._opened[info.file].read_into(info, target)

    def _info(self, name: str) -> TensorInfo:
        info = self._tensors.get(name)
        if info is None:
            where = self.files[0] if self.files else "weights"
            raise CheckpointError(where, f"has no tensor {name!r}", nearest(name, self).strip())
        return info


def open_weights(
    source: Source, *, variant: str | None = None, use_safetensors: bool | None = None
) -> Weights:
    """Open the weights of a checkpoint, whatever their format and number of files.

    Args:
        source: The checkpoint.
        variant: The middle of other file names: "fp16" for `model.fp16.safetensors`.
        use_safetensors: True or False for one format only; None prefers safetensors.

    Raises:
        CheckpointError: there are no weights, or a file is not what it should be.
    """
    if (
        isinstance(source, Folder)
        and source.file
        and source.file.suffix in (".safetensors", ".bin")
    ):
        return open_weight_files([source.file])
    wanted = [format for format in _FORMATS if use_safetensors in (None, format == "safetensors")]
    for format in wanted:
        name = weights_name(format, variant)
        path = source.find(name)
        if path is not None:
            return open_weight_files([path], format)
        index = source.find(index_name(format, variant))
        if index is not None:
            return _open_shards(source, index, format)
    alone = [name for name in source.names() if name.endswith(_PICKLED)]
    if "bin" in wanted and variant is None and len(alone) == 1:
        return open_weight_files([source.get(alone[0])], "bin")
    streams = [name for name in source.names() if name.endswith(".weights")]
    if use_safetensors is None and variant is None and len(streams) == 1:
        return open_weight_files([source.get(streams[0])], "stream")
    raise _no_weights(source, [weights_name(format, variant) for format in wanted])


def weights_name(format: str, variant: str | None = None) -> str:
    """Return the name of an unsharded weight file: "model.fp16.safetensors"."""
    stem, _, suffix = _FORMATS[format].rpartition(".")
    return f"{stem}.{variant}.{suffix}" if variant else f"{stem}.{suffix}"


def index_name(format: str, variant: str | None = None) -> str:
    """Return the name of the file that lists the shards."""
    middle = f".{variant}" if variant else ""
    return f"{_FORMATS[format]}.index{middle}.json"


def open_weight_files(
    paths: Iterable[str | os.PathLike[str]], format: str | None = None
) -> Weights:
    """Open weight files that belong together, by their paths.

    Args:
        paths: Files of one format.
        format: "safetensors" or "bin"; by default what the first file's name says.

    Raises:
        CheckpointError: a file is not what it should be, or two hold a tensor of the same name.
    """
    files = [Path(path) for path in paths]
    if not files:
        raise ArgumentError("open_weight_files() needs at least one file.")
    format = format or ("safetensors" if files[0].suffix == ".safetensors" else "bin")
    opened = [MappedFile(path) for path in files]
    tensors: dict[str, TensorInfo] = {}
    metadata: dict[str, str] = {}
    for file in opened:
        found, said = _read(file, format)
        twice = next((name for name in found if name in tensors), None)
        if twice is not None:
            raise CheckpointError(
                file.path, f"holds {twice!r}, which {tensors[twice].file.name} holds too"
            )
        tensors.update(found)
        metadata.update(said)
    return Weights(tensors, opened, format, metadata)


def _read(file: MappedFile, format: str) -> tuple[dict[str, TensorInfo], dict[str, str]]:
    if format == "safetensors":
        return read_header(file.path, file.descriptor)
    if format == "stream":
        from armature.checkpoint.formats.number_stream import read_stream

        return read_stream(file.path, file), {}
    from armature.checkpoint.formats.pickle_file import read_pickle_file

    return read_pickle_file(file.path, file.descriptor), {}


def _open_shards(source: Source, index: Path, format: str) -> Weights:
    """Open every shard that an index lists, and compare what they hold with what it says."""
    weight_map = _read_index(index)
    shards = [source.get(name) for name in dict.fromkeys(weight_map.values())]
    opened = [MappedFile(path) for path in shards]
    tensors: dict[str, TensorInfo] = {}
    metadata: dict[str, str] = {}
    for name, file in zip(dict.fromkeys(weight_map.values()), opened, strict=True):
        found, said = _read(file, format)
        metadata.update(said)
        absent = [key for key, shard in weight_map.items() if shard == name and key not in found]
        if absent:
            raise CheckpointError(
                index,
                f"says that {name} holds {absent[0]!r} ({len(absent)} such), and it does not",
                "Index and shards are of different checkpoints: copy or download them again.",
            )
        listed = {key: info for key, info in found.items() if weight_map.get(key, name) == name}
        tensors.update(listed)
    return Weights(tensors, opened, format, metadata)


def _read_index(path: Path) -> dict[str, str]:
    """Return the map from tensor to file of an index, whose names are all safe."""
    file = MappedFile(path)
    if file.size > _LARGEST_INDEX:
        raise CheckpointError(path, f"is too large for an index: {file.size} bytes")
    try:
        index = json.loads(read_bytes(file.descriptor, file.size, 0, path).decode())
    except (ValueError, RecursionError) as error:
        raise CheckpointError(
            path, f"is not JSON ({error})", "Copy or download the file again."
        ) from error
    weight_map = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(weight_map, dict) or not weight_map:
        raise CheckpointError(path, "has no weight_map", "Copy or download the file again.")
    for name, shard in weight_map.items():
        fault = name_fault(shard)
        if fault:
            raise CheckpointError(
                path,
                f"the file name {shard!r} of tensor {name!r} {fault}",
                "Nothing was read. Shards lie beside their index; do not trust this checkpoint.",
            )
    return weight_map


def _no_weights(source: Source, wanted: list[str]) -> CheckpointError:
    others = [name for name in source.names() if name.endswith(_ELSEWHERE)]
    remedy = f"It has other weights: {', '.join(others)}." if others else ""
    if any(name.endswith((".h5", ".msgpack")) for name in others):
        remedy += " TensorFlow and Flax weights need from_tf=True or from_flax=True."
    return CheckpointError(
        source.place,
        f"has no weights: neither {' nor '.join(wanted)} nor an index of shards",
        remedy or "Check the folder, or the `subfolder` and `variant`.",
    )
