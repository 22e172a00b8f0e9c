"""Pickled vocabularies: plain values come out, everything else stays inert, nothing is executed."""

from __future__ import annotations

import os
import pickle
import re
from collections import Counter, OrderedDict
from datetime import date

import pytest
import torch

from armature.checkpoint.formats.plain_pickle import Husk, read_plain_pickle
from armature.errors import CheckpointError

WORDS = ["<eos>", "<unk>", "the", "長城"]
VOCABULARY = {
    "idx2sym": WORDS,
    "sym2idx": OrderedDict((word, index) for index, word in enumerate(WORDS)),
    "counter": Counter(WORDS),
    "lower_case": False,
}


class Evil:
    """Runs a command when Python's own machine reads it."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return os.system, (f"touch {self.canary}",)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_values_come_out_and_objects_stay_inert(protocol, tmp_path):
    path, canary = tmp_path / "vocab.pkl", tmp_path / "canary"
    objects = {
        "evil": Evil(canary),
        "pattern": re.compile("a+"),
        "day": date(2020, 1, 1),
        "set": {1, 2},
        "frozen": frozenset("ab"),
        "inner": [Evil(canary), {"x": Evil(canary)}],
    }
    path.write_bytes(pickle.dumps({**VOCABULARY, **objects}, protocol))
    found = read_plain_pickle(path)
    assert {key: found[key] for key in VOCABULARY} == VOCABULARY
    assert all(type(found[key]) is Husk for key in objects if key != "inner")
    assert not canary.exists()


@pytest.mark.parametrize("zipped", [False, True])
def test_files_of_torch_save(zipped, tmp_path):
    path = tmp_path / "vocab.bin"
    content = {**VOCABULARY, "weights": torch.zeros(3)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = read_plain_pickle(path)
    assert {key: found[key] for key in VOCABULARY} == VOCABULARY
    assert type(found["weights"]) is Husk


def test_damaged_files(tmp_path):
    path = tmp_path / "vocab.pkl"
    whole = pickle.dumps({**VOCABULARY, "pattern": re.compile("a"), "set": {1}})
    for end in range(0, len(whole), 3):
        path.write_bytes(whole[:end])
        with pytest.raises(CheckpointError, match=r"vocab\.pkl"):
            read_plain_pickle(path)
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            read_plain_pickle(path)
        except CheckpointError as error:
            assert "vocab.pkl" in str(error)
