"""Small checkpoints made by hand, byte by byte, and a way to run the command."""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path

import pytest
from click.testing import CliRunner

from armature.cli import group

BERT = {
    "model_type": "bert",
    "architectures": ["BertForMaskedLM"],
    "hidden_size": 4,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 8,
    "vocab_size": 10,
    "max_position_embeddings": 16,
}


def safetensors(shapes: dict[str, tuple[int, ...]]) -> bytes:
    """The bytes of a safetensors file full of zeros."""
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


class Checkpoint:
    """A folder with a config.json, to which a test adds what it is about."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.write("config.json", BERT)

    def write(self, name: str, content: object) -> None:
        path = self.folder / name
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            path.write_text(content if isinstance(content, str) else json.dumps(content))

    def weights(self, *names: str) -> None:
        self.write("model.safetensors", safetensors(dict.fromkeys(names, (4, 2))))


@pytest.fixture
def checkpoint(tmp_path):
    folder = tmp_path / "some-model"
    folder.mkdir()
    return Checkpoint(folder)


@pytest.fixture
def armature():
    """Run `armature ARGUMENTS` in this process; the result has exit_code, stdout and stderr."""
    return lambda *arguments, **options: CliRunner().invoke(
        group, [str(argument) for argument in arguments], prog_name="armature", **options
    )
