"""pytorch_model.bin: what torch reads is what we read, of every age, dtype and shape."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from bin_archives import DATA, HONEST, archive, number, state, storage, tensor, text

from armature.checkpoint.files import open_weight_files, open_weights
from armature.checkpoint.hub import resolve
from armature.checkpoint.tensor_info import DTYPES
from armature.errors import CheckpointError

GOLDEN = Path(__file__).parent.parent / "golden" / "checkpoint"


def bits(tensor):
    return (
        torch.zeros(tensor.shape, dtype=tensor.dtype)
        .copy_(tensor.detach())
        .flatten()
        .view(torch.uint8)
    )


def same(weights, expected):
    """Compare bit for bit, also through `read_into`; strides where they matter."""
    assert list(weights) == list(expected)
    for name, wanted in expected.items():
        found = weights.read(name)
        assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
        if 0 not in wanted.shape:
            strides = [step for n, step in zip(wanted.shape, wanted.stride(), strict=True) if n > 1]
            assert [s for n, s in zip(found.shape, found.stride(), strict=True) if n > 1] == strides
        target = torch.zeros(wanted.shape, dtype=wanted.dtype)
        weights.read_into(name, target)
        assert torch.equal(bits(found), bits(wanted))
        assert torch.equal(bits(target), bits(wanted))


@pytest.mark.parametrize("name", ["fp16.bin", "before_torch_1.6.bin"])
def test_files_of_other_programs(name):
    same(open_weight_files([GOLDEN / name]), torch.load(GOLDEN / name, weights_only=True))


def test_shards_of_another_program():
    weights = open_weights(resolve(GOLDEN / "sharded_bin"))
    assert weights.format == "bin"
    assert len(weights.files) == 4
    for path in weights.files:
        for name, wanted in torch.load(path, weights_only=True).items():
            assert torch.equal(weights.read(name), wanted)


def honest_state():
    base = torch.randn(10, 12)
    held = OrderedDict(
        (code, torch.randint(0, 2, (3, 5)).to(getattr(torch, name)))
        for code, (name, _) in DTYPES.items()
    )
    held |= {
        "tied": held["F32"],
        "slice": base[2:5, 3:7],
        "transposed": base.T,
        "expanded": torch.arange(4).expand(3, 4),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 7),
        "parameter": torch.nn.Parameter(torch.randn(4)),
        "名前": torch.ones(1),
    }
    held._metadata = OrderedDict({"": {"version": 1}})
    return held


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("zipped", [True, False])
def test_whatever_torch_saves(protocol, zipped, tmp_path):
    path, held = tmp_path / "pytorch_model.bin", honest_state()
    torch.save(held, path, pickle_protocol=protocol, _use_new_zipfile_serialization=zipped)
    same(open_weight_files([path]), held)


def test_tensors_with_attributes(tmp_path):
    path = tmp_path / "x.bin"
    marked = torch.nn.Parameter(torch.randn(3))
    marked.initialized = True
    torch.save({"marked": marked, "plain": torch.ones(2)}, path)
    weights = open_weight_files([path])
    assert torch.equal(weights.read("marked"), marked)


def test_a_whole_module_is_refused_by_name(tmp_path):
    torch.save(torch.nn.Linear(2, 2), tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match=r"torch\.nn\.modules\.linear\.Linear"):
        open_weight_files([tmp_path / "x.bin"])


def test_a_training_checkpoint_says_what_it_holds(tmp_path):
    torch.save({"epoch": 3, "state_dict": {"x": torch.ones(1)}}, tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match="'epoch', 'state_dict'"):
        open_weight_files([tmp_path / "x.bin"])
    torch.save({"args": argparse.Namespace(a=1), "x": torch.ones(1)}, tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match=r"argparse\.Namespace"):
        open_weight_files([tmp_path / "x.bin"])
    torch.save([torch.ones(1)], tmp_path / "x.bin")
    with pytest.raises(CheckpointError, match="dictionary of tensors"):
        open_weight_files([tmp_path / "x.bin"])


def test_torchscript_is_called_what_it_is(tmp_path):
    (tmp_path / "x.bin").write_bytes(archive(state(), extra=[("archive/constants.pkl", b"")]))
    with pytest.raises(CheckpointError, match="TorchScript"):
        open_weight_files([tmp_path / "x.bin"])


def test_a_tar_file_is_refused(tmp_path):
    with tarfile.open(tmp_path / "x.bin", "w") as file:
        file.add(__file__, "storages")
    with pytest.raises(CheckpointError, match="not a file that torch"):
        open_weight_files([tmp_path / "x.bin"])


def test_another_byte_order(tmp_path):
    pickle = state(("x", tensor()))
    (tmp_path / "x.bin").write_bytes(archive(pickle, order="big"))
    with pytest.raises(CheckpointError, match="byteorder 'big'"):
        open_weight_files([tmp_path / "x.bin"])
    unsaid = HONEST.replace(b"archive/byteorder", b"archive/bytesXXXX")
    (tmp_path / "x.bin").write_bytes(unsaid)
    assert open_weight_files([tmp_path / "x.bin"]).read("x").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_damaged_data_is_noticed_when_it_is_read(tmp_path):
    path = tmp_path / "x.bin"
    pickle = state(("x", tensor()), ("y", tensor(held=storage(key="1"))))
    whole = bytearray(archive(pickle, {"0": DATA, "1": DATA}))
    whole[whole.index(DATA)] ^= 1
    path.write_bytes(whole)
    weights = open_weight_files([path])
    assert weights.read("y").tolist() == [[0, 1, 2], [3, 4, 5]]
    for attempt in (lambda: weights.read("x"), lambda: weights.read_into("x", torch.zeros(2, 3))):
        with pytest.raises(CheckpointError, match="checksum"):
            attempt()


def test_opening_does_not_import_torch_or_pickle(tmp_path):
    (tmp_path / "x.bin").write_bytes(HONEST)
    code = (
        "import sys; from armature.checkpoint.files import open_weight_files;"
        f"assert len(open_weight_files([{str(tmp_path / 'x.bin')!r}])) == 1;"
        "assert not {'torch', 'numpy', 'pickle', 'zipfile'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((2, 3), (3, 1), 0),
        ((3, 2), (1, 3), 0),
        ((6,), (1,), 0),
        ((1,), (100,), 5),
        ((), (), 5),
        ((0, 9), (9, 1), 6),
        ((6, 6), (0, 1), 0),
        ((2,), (5,), 0),
    ],
)
def test_views_that_fit_their_storage(shape, strides, offset, tmp_path):
    path = tmp_path / "x.bin"
    path.write_bytes(archive(state(("x", tensor(shape, strides, offset)))))
    same(open_weight_files([path]), torch.load(path, weights_only=True))


def test_text_is_kept(tmp_path):
    (tmp_path / "x.bin").write_bytes(
        archive(state(("x", tensor()), ("note", text("hi")), ("n", number(3))))
    )
    assert list(open_weight_files([tmp_path / "x.bin"])) == ["x"]
