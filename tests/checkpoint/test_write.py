"""What a save writes: bytes, names, modes, shards, and what it removes."""

from __future__ import annotations

import json
import os
import stat
from collections import OrderedDict

import pytest
import torch
from safetensors.torch import load_file, save_file
from saving import equal, load, save

from armature.checkpoint.files import open_weights
from armature.checkpoint.formats import bin_writer
from armature.checkpoint.hub import resolve
from armature.checkpoint.tensor_info import DTYPES
from armature.checkpoint.write import (
    Transaction,
    plan_shards,
    save_weights,
    write_bin,
    write_safetensors,
)
from armature.errors import ArgumentError, CheckpointError


def odd_tensors():
    """Every dtype, and every shape of memory that a tensor can have."""
    base = torch.randn(9, 8)
    tensors = {
        code: torch.randint(0, 2, (3, 5)).to(getattr(torch, name))
        for code, (name, _) in DTYPES.items()
    }
    return tensors | {
        "slice": base[2:5, 3:7],
        "transposed": base.T,
        "expanded": torch.arange(4).expand(3, 4),
        "parameter": torch.nn.Parameter(torch.randn(4)),
        "conjugate": torch.randn(3, dtype=torch.complex64).conj(),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 7),
        "名前 \" \\ \n": torch.ones(1),
    }  # fmt: skip


def test_safetensors_are_byte_for_byte_those_of_the_library(tmp_path):
    tensors = {name: tensor for name, tensor in odd_tensors().items() if name != "C128"}
    metadata = {"format": "pt"}
    write_safetensors(tmp_path / "ours", tensors)
    save_file(
        {k: v.detach().resolve_conj().contiguous() for k, v in tensors.items()},
        tmp_path / "theirs",
        metadata,
    )
    assert (tmp_path / "ours").read_bytes() == (tmp_path / "theirs").read_bytes()


def test_safetensors_round_trip(tmp_path):
    tensors = {name: tensor for name, tensor in odd_tensors().items() if name != "C128"}
    assert save(tmp_path, tensors, metadata={"made": "here"}) == ["model.safetensors"]
    found = open_weights(resolve(tmp_path))
    assert found.metadata == {"format": "pt", "made": "here"}
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert equal(found.read(name), tensor), name


@pytest.mark.parametrize("mapped", [False, True])
def test_torch_reads_our_bins(mapped, tmp_path):
    tensors = odd_tensors()
    tensors["tied"] = tensors["F32"]
    write_bin(tmp_path / "pytorch_model.bin", tensors)
    found = torch.load(tmp_path / "pytorch_model.bin", weights_only=True, mmap=mapped)
    assert isinstance(found, OrderedDict)
    assert list(found) == list(tensors)
    for name, tensor in tensors.items():
        assert equal(found[name], tensor), name
    assert found["tied"].data_ptr() == found["F32"].data_ptr()
    if not mapped:
        assert found["slice"].untyped_storage().nbytes() == 3 * 4 * 4, "no more than the view"
    ours = open_weights(resolve(tmp_path))
    for name, tensor in tensors.items():
        assert equal(ours.read(name), tensor), name


def test_records_of_bins_are_aligned(tmp_path):
    write_bin(tmp_path / "pytorch_model.bin", odd_tensors())
    weights = open_weights(resolve(tmp_path))
    assert all(weights[name].offset % 64 == 0 for name in weights if weights[name].elements)


def test_large_records_use_the_64_bit_format(tmp_path, monkeypatch):
    monkeypatch.setattr(bin_writer.zipfile, "ZIP64_LIMIT", 100)
    tensors = {"x": torch.arange(500.0), "y": torch.arange(3)}
    write_bin(tmp_path / "pytorch_model.bin", tensors)
    weights = open_weights(resolve(tmp_path))
    assert weights["x"].offset % 64 == 0
    assert all(equal(weights.read(name), tensor) for name, tensor in tensors.items())
    found = torch.load(tmp_path / "pytorch_model.bin", weights_only=True)
    assert torch.equal(found["x"], tensors["x"])


def test_a_dtype_without_a_code_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="complex128"):
        save(tmp_path, {"x": torch.zeros(1, dtype=torch.complex128)})
    with pytest.raises(CheckpointError, match="bits8"):
        save(tmp_path, {"x": torch.empty(1, dtype=torch.bits8)}, format="bin")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["safetensors", "bin"])
def test_shards_and_their_index(format, tmp_path):
    tensors = {f"layer.{i}": torch.full((25,), float(i)) for i in range(5)}
    names = save(tmp_path, tensors, format=format, max_shard_size=250)
    stem, suffix = ("model", "safetensors") if format == "safetensors" else ("pytorch_model", "bin")
    shards = [f"{stem}-0000{i}-of-00003.{suffix}" for i in (1, 2, 3)]
    assert names == [*shards, f"{stem}.{suffix}.index.json"]
    index = json.loads((tmp_path / names[-1]).read_text())
    assert index["metadata"] == {"total_size": 500}
    assert index["weight_map"]["layer.4"] == shards[2]
    _, found = load(tmp_path)
    assert all(equal(found[name], tensor) for name, tensor in tensors.items())
    read = load_file if format == "safetensors" else torch.load
    assert set(read(tmp_path / shards[0])) == {"layer.0", "layer.1"}


@pytest.mark.parametrize(
    ("size", "shards"),
    [
        (7, [["a"], ["b"], ["c", "d"]]),
        (10, [["a"], ["b", "c"], ["d"]]),
        ("1KB", [["a", "b", "c", "d"]]),
    ],
)
def test_planning_shards(size, shards):
    assert plan_shards({"a": 8, "b": 5, "c": 5, "d": 1}, size) == shards
    assert plan_shards({}, size) == [[]]


@pytest.mark.parametrize("size", ["", "5 parsecs", "-1", -1, 0, "GB", None])
def test_sizes_that_are_none(size):
    with pytest.raises(ArgumentError, match="max_shard_size"):
        plan_shards({"a": 1}, size)


def test_a_format_that_is_none(tmp_path):
    with pytest.raises(ArgumentError, match=r"format='h5'(.|\n)*'safetensors', 'bin'"):
        save(tmp_path, {"x": torch.ones(1)}, format="h5")


def test_variants_have_their_own_names(tmp_path):
    tensors = {"a": torch.ones(10), "b": torch.ones(10)}
    save(tmp_path, tensors)
    names = save(tmp_path, tensors, variant="fp16", max_shard_size=40)
    assert names == [
        "model.fp16-00001-of-00002.safetensors",
        "model.fp16-00002-of-00002.safetensors",
        "model.safetensors.index.fp16.json",
    ]
    assert (tmp_path / "model.safetensors").exists()
    assert len(open_weights(resolve(tmp_path), variant="fp16").files) == 2


def test_weights_of_an_earlier_save_are_removed_and_nothing_else(tmp_path):
    tensors = {f"x{i}": torch.ones(10) for i in range(4)}
    others = {"vocab.txt", "adapter_model.safetensors", "tf_model.h5", "training_args.bin"}
    for name in others:
        (tmp_path / name).write_text("keep")
    for options in ({"max_shard_size": 40}, {"max_shard_size": 80}, {"format": "bin"}) * 2:
        names = save(tmp_path, tensors, **options)
        assert {path.name for path in tmp_path.iterdir()} == {*others, "config.json", *names}


def test_files_have_the_mode_that_the_user_wants(tmp_path):
    before = os.umask(0o027)
    try:
        save(tmp_path / "new", {"x": torch.ones(1)})
    finally:
        os.umask(before)
    for path in (tmp_path / "new").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


@pytest.mark.parametrize("format", ["safetensors", "bin"])
def test_saving_over_the_files_that_the_tensors_are_mapped_from(format, tmp_path):
    tensors = {f"x{i}": torch.randn(100, 100) for i in range(4)}
    save(tmp_path, tensors, format=format)
    for size in ("50GB", 50_000, "50GB"):
        mapped = load(tmp_path)[1]
        save(tmp_path, mapped, format=format, max_shard_size=size)
        assert all(torch.equal(mapped[name], tensor) for name, tensor in tensors.items())
        found = load(tmp_path)[1]
        assert all(torch.equal(found[name], tensor) for name, tensor in tensors.items())


def test_an_error_inside_leaves_everything_as_it_was(tmp_path):
    save(tmp_path, {"x": torch.zeros(3)})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RuntimeError, match="mine"), Transaction(tmp_path) as files:
        save_weights(files, {"x": torch.ones(3)})
        raise RuntimeError("mine")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("name", ["../x", "/x", "a/b", "", "..", "a\\b"])
def test_only_plain_names_are_written(name, tmp_path):
    with Transaction(tmp_path) as files, pytest.raises(CheckpointError, match="plain file name"):
        files.write(name, "x")


def test_a_folder_that_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="file"):
        save(tmp_path / "file" / "model", {"x": torch.ones(1)})
