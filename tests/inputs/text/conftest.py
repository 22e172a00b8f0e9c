"""Tokenizer folders with what the reference library made of texts, recorded once.

The SentencePiece models of these folders share one table of character rules, which is most of their
size; it is kept once, compressed, and put back here.
"""

from __future__ import annotations

import json
import lzma
import shutil
from pathlib import Path

import pytest
from protobuf_writer import message
from tokenizer_goldens import FOLDERS, GOLDEN

from armature.inputs.text.tokenizer import Tokenizer


@pytest.fixture(scope="session")
def folders(tmp_path_factory):
    """Return a function: family → the folder of its tokenizer."""
    root = tmp_path_factory.mktemp("tokenizers")
    charsmap = lzma.decompress((GOLDEN / "charsmap.xz").read_bytes())
    for family in FOLDERS:
        folder = root / family
        shutil.copytree(GOLDEN / family, folder)
        for stripped in folder.glob("*.stripped"):
            whole = stripped.read_bytes() + message(3, message(2, charsmap))
            stripped.with_suffix("").write_bytes(whole)
            stripped.unlink()
    return root.joinpath


@pytest.fixture(scope="session")
def tokenizers(folders):
    """Return a function: family → its tokenizer, opened once."""
    opened = {}

    def get(family):
        if family not in opened:
            opened[family] = Tokenizer.from_pretrained(folders(family))
        return opened[family]

    return get


@pytest.fixture
def copy(folders, tmp_path):
    """Return a function: family → a copy of its folder that the test may change."""

    def get(family):
        return Path(shutil.copytree(folders(family), tmp_path / family))

    return get


@pytest.fixture(scope="session")
def record():
    """Return a function: family → what the reference library made of texts."""
    return lambda family: json.loads((GOLDEN / family / "record.json").read_text(encoding="utf-8"))
