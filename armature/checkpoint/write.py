"""Tensors become weight files: safetensors or pytorch_model.bin, in one file or in shards."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from armature.checkpoint.files import index_name, weights_name
from armature.checkpoint.formats.bin_writer import write_bin
from armature.checkpoint.formats.safetensors_writer import write_safetensors
from armature.checkpoint.transaction import Transaction, check_space
from armature.errors import ArgumentError

if TYPE_CHECKING:
    import torch

__all__ = ["Transaction", "plan_shards", "save_weights", "write_bin", "write_safetensors"]

_WRITERS = {
    "safetensors": write_safetensors,
    "bin": lambda path, tensors, _: write_bin(path, tensors),
}
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_UNITS |= {"KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40}


def save_weights(
    transaction: Transaction,
    tensors: Mapping[str, torch.Tensor],
    *,
    format: str = "safetensors",
    max_shard_size: int | str = "50GB",
    variant: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> list[str]:
    """Write the weights of a checkpoint, and mark for removal those of an earlier save.

    Args:
        transaction: Where the files go.
        tensors: By the names that the files shall use. Leave out what is tied: tensors that share
            memory are each written in full, except that a .bin file keeps equal views as one.
        format: "safetensors" or "bin".
        max_shard_size: Bytes per file, or as in "5GB", "200MiB".
        variant: The middle of the file names: "fp16" for `model.fp16.safetensors`.
        metadata: Strings for the header of safetensors files.

    Returns:
        The names of the files.

    Raises:
        ArgumentError: there is no such format, or `max_shard_size` is not a size.
        CheckpointError: a dtype unknown to the format, or too little space: nothing changes.
    """
    if format not in _WRITERS:
        raise ArgumentError(f"format={format!r} is not one of {', '.join(map(repr, _WRITERS))}.")
    sizes = {name: tensor.numel() * tensor.itemsize for name, tensor in tensors.items()}
    shards = plan_shards(sizes, max_shard_size)
    check_space(transaction.folder, sum(sizes.values()))
    names = _shard_names(weights_name(format, variant), len(shards))
    for name, members in zip(names, shards, strict=True):
        part = {member: tensors[member] for member in members}
        _WRITERS[format](transaction.stage(name), part, metadata)
    if len(shards) > 1:
        weight_map = {key: name for name, keys in zip(names, shards, strict=True) for key in keys}
        index = {"metadata": {"total_size": sum(sizes.values())}, "weight_map": weight_map}
        text = json.dumps(index, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
        transaction.write(index_name(format, variant), text)
        names.append(index_name(format, variant))
    for name in _weight_files(transaction.folder, variant):
        if name not in names:
            transaction.remove(name)
    return names


def plan_shards(sizes: Mapping[str, int], largest: int | str) -> list[list[str]]:
    """Distribute tensors over files of at most `largest` bytes, in order; at least one file.

    A tensor larger than that has a file of its own.
    """
    limit = _bytes(largest)
    shards: list[list[str]] = []
    current: list[str] = []
    filled = 0
    for name, size in sizes.items():
        if current and filled + size > limit:
            shards.append(current)
            current, filled = [], 0
        current.append(name)
        filled += size
    return [*shards, current]


def _bytes(size: int | str) -> int:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B|)\s*", str(size), re.IGNORECASE)
    if not found or float(found[1]) <= 0:
        raise ArgumentError(
            f"max_shard_size={size!r} is not a size: give bytes, or as in '5GB', '200MiB'."
        )
    return int(float(found[1]) * _UNITS[found[2].upper()])


def _shard_names(whole: str, shards: int) -> list[str]:
    """Return "model-00001-of-00003.safetensors"…, or the plain name for one file."""
    if shards == 1:
        return [whole]
    stem, _, suffix = whole.rpartition(".")
    return [f"{stem}-{number:05d}-of-{shards:05d}.{suffix}" for number in range(1, shards + 1)]


def _weight_files(folder: Path, variant: str | None) -> list[str]:
    """Return the weight files and indices in a folder that a save with this variant replaces."""
    found = []
    for format in ("safetensors", "bin"):
        whole = weights_name(format, variant)
        stem, _, suffix = whole.rpartition(".")
        pattern = rf"{re.escape(stem)}(-\d{{5}}-of-\d{{5}})?\.{suffix}"
        index = index_name(format, variant)
        found += [
            p.name for p in folder.iterdir() if re.fullmatch(pattern, p.name) or p.name == index
        ]
    return sorted(found)
