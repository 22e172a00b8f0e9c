"""Weight files as one mapping: safetensors, shards, the index, and what is something else."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import save_file

from armature.checkpoint.files import open_weight_files, open_weights
from armature.checkpoint.hub import resolve
from armature.checkpoint.tensor_info import DTYPES
from armature.errors import CheckpointError

TENSORS = {
    "b": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3),
    "a": torch.arange(24, dtype=torch.float32).reshape(2, 3, 4),
    "flag": torch.tensor([True, False, True]),
    "scalar": torch.tensor(7, dtype=torch.int64),
    "empty": torch.zeros(0, 3),
}


@pytest.fixture
def folder(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors", {"format": "pt"})
    return tmp_path


@pytest.fixture
def shards(tmp_path):
    """The tensors in two files and an index; called with a change of its weight_map."""

    def write(**changes):
        save_file({"a": TENSORS["a"]}, tmp_path / "model-00001-of-00002.safetensors")
        rest = {name: tensor for name, tensor in TENSORS.items() if name != "a"}
        save_file(rest, tmp_path / "model-00002-of-00002.safetensors")
        where = dict.fromkeys(TENSORS, "model-00002-of-00002.safetensors")
        where |= {"a": "model-00001-of-00002.safetensors", **changes}
        index = {"metadata": {"total_size": 1}, "weight_map": where}
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
        return tmp_path

    return write


def test_reading_gives_what_was_saved(folder):
    weights = open_weights(resolve(folder))
    assert set(weights) == set(TENSORS)
    assert (weights.format, weights.metadata) == ("safetensors", {"format": "pt"})
    assert weights.files == (folder / "model.safetensors",)
    for name, expected in TENSORS.items():
        found = weights.read(name)
        assert weights[name].shape == tuple(expected.shape)
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


@pytest.mark.parametrize("code", [code for code in DTYPES if code != "C128"])
def test_every_dtype(code, tmp_path):
    dtype = getattr(torch, DTYPES[code][0])
    tensor = torch.randint(0, 2, (3, 5)).to(dtype)
    save_file({"x": tensor}, tmp_path / "x.safetensors")
    weights = open_weight_files([tmp_path / "x.safetensors"])
    assert weights["x"].dtype == code
    found = weights.read("x")
    assert found.dtype == dtype
    assert torch.equal(found.view(torch.uint8), tensor.view(torch.uint8))


def test_what_is_read_may_be_changed_and_the_file_stays(folder):
    before = (folder / "model.safetensors").read_bytes()
    weights = open_weights(resolve(folder))
    weights.read("a").zero_()
    assert not weights.read("a").any(), "a view of the same private pages"
    assert (folder / "model.safetensors").read_bytes() == before
    assert torch.equal(open_weights(resolve(folder)).read("a"), TENSORS["a"])


def test_fetching_ahead_changes_nothing(folder, monkeypatch):
    weights = open_weights(resolve(folder))
    weights.prefetch()
    assert torch.equal(weights.read("a"), TENSORS["a"])
    monkeypatch.setattr("armature.checkpoint.mapped_file._memory", lambda: 1)  # too little for it
    open_weights(resolve(folder)).prefetch()


def test_tensors_outlive_weights_and_file(folder):
    tensor = open_weights(resolve(folder)).read("a")
    (folder / "model.safetensors").unlink()
    assert torch.equal(tensor, TENSORS["a"])


def test_an_unaligned_tensor_is_read_too(tmp_path):
    header = json.dumps(
        {
            "x": {"dtype": "U8", "shape": [1], "data_offsets": [0, 1]},
            "y": {"dtype": "F32", "shape": [2], "data_offsets": [1, 9]},
        }
    ).encode()
    data = b"\7" + torch.tensor([1.5, -2.0]).numpy().tobytes()
    (tmp_path / "x.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + data)
    weights = open_weight_files([tmp_path / "x.safetensors"])
    assert weights.read("y").tolist() == [1.5, -2.0]
    target = torch.zeros(2, dtype=torch.float64)
    weights.read_into("y", target)
    assert target.tolist() == [1.5, -2.0]


def targets(shape):
    """Places to read into: whole, a slice of rows, of columns, transposed, of another dtype."""
    yield torch.zeros(shape)
    yield torch.zeros(shape[0] + 4, *shape[1:])[2:-2]
    yield torch.zeros(*shape[:-1], shape[-1] * 3)[..., shape[-1] : 2 * shape[-1]]
    yield torch.zeros(shape[::-1]).permute(*reversed(range(len(shape))))
    yield torch.zeros(shape, dtype=torch.bfloat16)
    yield torch.zeros(shape, dtype=torch.float64)[:]
    yield torch.nn.Parameter(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(5,), (3, 7), (2, 3, 4), (700, 1100), (1, 3, 400_000)])
def test_reading_into_any_place(shape, tmp_path):
    tensor = torch.randn(shape)
    save_file({"x": tensor}, tmp_path / "x.safetensors")
    weights = open_weight_files([tmp_path / "x.safetensors"])
    for target in targets(shape):
        weights.read_into("x", target)
        assert torch.equal(target.detach(), tensor.to(target.dtype))


def test_reading_into_the_wrong_shape_or_an_unknown_name(folder):
    weights = open_weights(resolve(folder))
    with pytest.raises(CheckpointError, match=r"'a' has shape \(2, 3, 4\) and not \(6, 4\)"):
        weights.read_into("a", torch.zeros(6, 4))
    with pytest.raises(CheckpointError, match=r"no tensor 'scaler'(.|\n)*Did you mean `scalar`"):
        weights.read("scaler")


def test_opening_does_not_import_torch(folder):
    code = (
        "import sys; from armature.checkpoint.hub import resolve;"
        "from armature.checkpoint.files import open_weights;"
        f"assert len(open_weights(resolve({str(folder)!r}))) == {len(TENSORS)};"
        "assert not {'torch', 'numpy', 'safetensors'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_reading_into_place_takes_no_second_copy(tmp_path):
    """Peak memory of a process that fills one buffer from a file: the buffer, and little more."""
    save_file({f"x{i}": torch.zeros(1000, 2500) for i in range(12)}, tmp_path / "model.safetensors")
    code = f"""
import resource, torch
from armature.checkpoint.hub import resolve
from armature.checkpoint.files import open_weights
weights = open_weights(resolve({str(tmp_path)!r}))
torch.zeros(1000, 2500).bfloat16()
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
whole = torch.zeros(12, 2500, 1000)
for i in range(12):
    weights.read_into(f"x{{i}}", whole[i].T if i % 2 else whole[i].view(1000, 2500))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 / weights.size)
"""
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert float(ran.stdout) < 1.1


# Shards ------------------------------------------------------------------------------------


def test_shards(shards):
    weights = open_weights(resolve(shards()))
    assert len(weights.files) == 2
    for name, expected in TENSORS.items():
        assert torch.equal(weights.read(name), expected)


@pytest.mark.parametrize(
    "name",
    ["../out.safetensors", "/etc/passwd", "a/../../out", "", "a\\b", "C:x", "x\0", None, 7, ["a"]],
)
def test_an_index_cannot_point_elsewhere(name, shards, monkeypatch):
    folder = shards(b=name)
    save_file(TENSORS, folder.parent / "out.safetensors")
    opened = []
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda path, *rest: opened.append(str(path)) or real(path, *rest)
    )
    with pytest.raises(CheckpointError, match=r"index\.json(.|\n)*Nothing was read"):
        open_weights(resolve(folder))
    assert opened == [str(folder / "model.safetensors.index.json")]


def test_an_index_that_disagrees_with_its_shards(shards):
    folder = shards(b="model-00001-of-00002.safetensors")
    with pytest.raises(CheckpointError, match=r"says that model-00001.* holds 'b'"):
        open_weights(resolve(folder))
    shards(more="model-00002-of-00002.safetensors")
    with pytest.raises(CheckpointError, match=r"holds 'more'"):
        open_weights(resolve(folder))


def test_a_missing_shard(shards):
    folder = shards()
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"no file 'model-00002-of-00002\.safetensors'"):
        open_weights(resolve(folder))


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"weight_map": []}', '{"weight_map": {}}', "[" * 10**5]
)
def test_an_index_that_is_none(text, tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"index\.json"):
        open_weights(resolve(tmp_path))


def test_a_tensor_in_two_files(tmp_path):
    for name in ("x", "y"):
        save_file({"t": torch.zeros(1)}, tmp_path / f"{name}.safetensors")
    with pytest.raises(CheckpointError, match=r"'t', which x\.safetensors holds too"):
        open_weight_files([tmp_path / "x.safetensors", tmp_path / "y.safetensors"])


# Which files -------------------------------------------------------------------------------


def test_variants_formats_and_single_files(tmp_path):
    for number, name in enumerate(
        ["model.safetensors", "model.fp16.safetensors", "other.safetensors"]
    ):
        save_file({"x": torch.tensor(number)}, tmp_path / name)
    torch.save({"x": torch.tensor(3)}, tmp_path / "pytorch_model.bin")
    torch.save({"x": torch.tensor(4)}, tmp_path / "pytorch_model-00001-of-00001.fp16.bin")
    index = {"weight_map": {"x": "pytorch_model-00001-of-00001.fp16.bin"}}
    (tmp_path / "pytorch_model.bin.index.fp16.json").write_text(json.dumps(index))

    def opened(path=tmp_path, **options):
        return open_weights(resolve(path), **options).read("x").item()

    assert opened() == 0
    assert opened(variant="fp16") == 1
    assert opened(tmp_path / "other.safetensors") == 2
    assert opened(use_safetensors=False) == 3
    assert opened(tmp_path / "pytorch_model.bin") == 3
    assert opened(variant="fp16", use_safetensors=False) == 4
    (tmp_path / "model.safetensors").unlink()
    assert opened() == 3
    with pytest.raises(CheckpointError, match=r"model\.safetensors"):
        opened(use_safetensors=True)


def test_no_weights_says_what_there_is(tmp_path):
    with pytest.raises(CheckpointError, match=r"neither model\.safetensors nor pytorch_model\.bin"):
        open_weights(resolve(tmp_path))
    (tmp_path / "tf_model.h5").touch()
    with pytest.raises(CheckpointError, match=r"tf_model\.h5(.|\n)*from_tf"):
        open_weights(resolve(tmp_path))


# Files that are something else -------------------------------------------------------------

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"0" * 64 + b"\nsize 440473133\n"


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin"])
@pytest.mark.parametrize(
    ("content", "cause", "remedy"),
    [
        (LFS, "git-LFS pointer", "git lfs pull"),
        (b"<!DOCTYPE html><html><head>", "web page", "Download the file itself"),
        (b"\n  <html>", "web page", "Download the file itself"),
        (b"Entry not found", "error message", "Download the file again"),
        (b'{"error":"Invalid credentials"}', "error message", "Download the file again"),
        (b"", "empty", "again"),
        (bytes(4096), "begins with zeros", "again"),
        (b"\x89HDF\r\n\x1a\n" + bytes(100), "TensorFlow", "tf_model.h5"),
        (b"\x1f\x8b" + bytes(100), "gzip", "gunzip"),
        (b"GGUF" + bytes(100), "GGUF", "safetensors"),
        (b"\xff" * 100, "is not a", "again"),
        (b"hello", "is not a", "again"),
    ],
)
def test_a_file_that_is_no_weights_is_called_what_it_is(name, content, cause, remedy, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        open_weights(resolve(tmp_path))
    text = str(caught.value)
    assert str(tmp_path / name) in text
    assert cause in text
    assert remedy in text


def test_a_renamed_bin_is_recognised(tmp_path):
    torch.save({"x": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match=r"zip archive(.|\n)*pytorch_model\.bin"):
        open_weights(resolve(tmp_path))


def test_cut_off_anywhere(folder):
    path = folder / "model.safetensors"
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"model\.safetensors"):
            open_weights(resolve(folder))


def test_folders_pipes_and_unreadable_files_are_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    path.mkdir()
    with pytest.raises(CheckpointError, match="regular file"):
        open_weights(resolve(tmp_path))
    path.rmdir()
    os.mkfifo(path)
    for attempt in (lambda: open_weights(resolve(tmp_path)), lambda: open_weight_files([path])):
        with pytest.raises(CheckpointError, match="regular file"):
            attempt()


def header_of(entries, data=b"", text=None):
    text = json.dumps(entries).encode() if text is None else text
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype="F32", shape=(1,), offsets=(0, 4), **more):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": list(offsets), **more}


FOUR, EIGHT = bytes(4), bytes(8)
WIDE = entry("I64", (1,), (0, 8))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (header_of({"x": entry()}), "cut off"),
        (header_of({"x": entry()}, EIGHT), "4 bytes follow"),
        (header_of({"x": entry(offsets=(4, 8))}, EIGHT), "gap"),
        (header_of({"x": entry(), "y": entry()}, FOUR), "overlaps"),
        (header_of({"x": WIDE, "y": entry(offsets=(4, 8))}, EIGHT), "overlaps"),
        (header_of({"x": entry(shape=(2,))}, FOUR), "needs 8 bytes"),
        (header_of({"x": entry(shape=(2**40, 2**40))}, FOUR), "needs"),
        (header_of({"x": entry(offsets=(4, 0))}, FOUR), "needs 4 bytes"),
        (header_of({"x": entry(shape=(-1,))}, FOUR), "shape"),
        (header_of({"x": entry(shape=(1.0,))}, FOUR), "shape"),
        (header_of({"x": entry(shape=(True,))}, FOUR), "shape"),
        (header_of({"x": entry(shape=(1,) * 100)}, FOUR), "shape"),
        (header_of({"x": entry(offsets=(0, 4, 4))}, FOUR), "offsets"),
        (header_of({"x": entry(offsets=(-4, 0))}, FOUR), "offsets"),
        (header_of({"x": entry(dtype="F31")}, FOUR), "dtype 'F31'"),
        (header_of({"x": entry(dtype=["F32"])}, FOUR), "dtype"),
        (header_of({"x": entry(extra=1)}, FOUR), "lacks"),
        (header_of({"x": [1]}, FOUR), "lacks"),
        (header_of({"__metadata__": {"a": 1}}), "__metadata__"),
        (header_of({"__metadata__": [1]}), "__metadata__"),
        (header_of(None, text=b'{"x":1,"x":2}'), "twice"),
        (header_of(None, text=b'{"a":' * 10**5), "JSON"),
        (header_of(None, text=b'{"a":\xff}'), "JSON"),
        (header_of(None, text=b'{"a":' + b"9" * 5000 + b"}"), "JSON"),
        (header_of(None, text=b"[]"), "not a safetensors"),
        ((10**9).to_bytes(8, "little") + b"{}" + bytes(100), "not a safetensors"),
        ((2**63).to_bytes(8, "little") + b"{}" + bytes(100), "not a safetensors"),
    ],
)  # fmt: skip
def test_headers_that_lie(content, cause, tmp_path):
    (tmp_path / "model.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match=cause):
        open_weights(resolve(tmp_path))
