"""Thousands of damaged files: each opens, or is refused with an error of ours; nothing else."""

from __future__ import annotations

import random
import struct
import time

import pytest
import torch
from bin_archives import DATA, archive, state, storage, tensor
from safetensors.torch import save_file

from armature.checkpoint.files import open_weight_files
from armature.errors import CheckpointError

ROUNDS = 600
INTERESTING = [0, 1, 2**7 - 1, 2**7, 2**8 - 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]


def mutated(data, rng):
    """Return the bytes after one to four changes as disks, networks and people make them."""
    data = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        other = rng.randrange(len(data))
        match rng.randrange(7):
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                data[at] = rng.randrange(256)
            case 2:
                data[at : at + 4] = struct.pack("<L", rng.choice(INTERESTING))
            case 3:
                del data[at : at + rng.randint(1, 9)]
            case 4:
                data[at:at] = data[other : other + rng.randint(1, 40)]
            case 5:
                data[at : at + 16] = data[other : other + 16]
            case 6:
                del data[max(at, 20) :]
    return bytes(data)


def seeds(tmp_path):
    """One small honest file per format; most of each is header, so that changes hit that."""
    tensors = {"a": torch.ones(2, 3), "b": torch.arange(4), "c": torch.zeros(0, 2).half()}
    save_file(tensors, tmp_path / "seed", {"format": "pt"})
    torch.save(tensors, tmp_path / "old", _use_new_zipfile_serialization=False)
    pickle = state(("x", tensor()), ("y", tensor((3, 2), (1, 3), held=storage(key="1"))))
    return {
        "safetensors": (tmp_path / "seed").read_bytes(),
        "zip": archive(pickle, {"0": DATA, "1": DATA}),
        "older": (tmp_path / "old").read_bytes(),
        # The pickle alone changes, and its checksum is right: the machine must cope by itself.
        "pickle": pickle,
    }


@pytest.mark.parametrize("kind", ["safetensors", "zip", "older", "pickle"])
def test_damaged_files_are_read_or_refused(kind, tmp_path):
    seed = seeds(tmp_path)[kind]
    rng = random.Random(kind)
    path = tmp_path / ("model.safetensors" if kind == "safetensors" else "pytorch_model.bin")
    refused, slowest = 0, 0.0
    for _ in range(ROUNDS):
        content = mutated(seed, rng)
        if kind == "pickle":
            content = archive(content, {"0": DATA, "1": DATA})
        path.write_bytes(content)
        started = time.process_time()
        try:
            weights = open_weight_files([path])
            for name, info in weights.items():
                assert weights.read(name).shape == info.shape
        except CheckpointError as error:
            assert path.name in str(error)
            refused += 1
        slowest = max(slowest, time.process_time() - started)
    assert refused > ROUNDS / 2
    assert slowest < 2
