"""Checkpoints whose config.json names no architecture: classes, tensors and names tell it."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path

import pytest

from armature import AutoConfig, AutoModel
from armature.errors import ConfigError

GOLDEN = Path(__file__).parent / "golden" / "arch"


def silent(source: str, target: Path, *, classes: bool = False, weights: bool = True) -> Path:
    """Copy a checkpoint without its model_type, and without what is not asked for."""
    shutil.copytree(GOLDEN / source, target)
    config = json.loads((target / "config.json").read_text())
    del config["model_type"]
    if not classes:
        del config["architectures"]
    (target / "config.json").write_text(json.dumps(config))
    if not weights:
        (target / "model.safetensors").unlink()
    return target


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("bert-untied", "bert"),
        ("distilbert-choice", "distilbert"),
        ("gpt2-scales", "gpt2"),
        ("t5-tied", "t5"),
        ("bart-body", "bart"),
        ("albert-order", "albert"),
        ("falcon-serial", "falcon"),
    ],
)
def test_tensors_tell(source, expected, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="armature"):
        config = AutoConfig.from_pretrained(silent(source, tmp_path / "x"))
    assert config.model_type == expected
    assert "names of its tensors" in caplog.text


def test_classes_tell_before_tensors_do(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, logger="armature"):
        folder = silent("roberta-left", tmp_path / "x", classes=True)
        assert type(AutoModel.from_pretrained(folder)).__name__.startswith("Roberta")
    assert "architectures" in caplog.text


@pytest.mark.parametrize(
    ("name", "expected"),
    [("distilbert-base-uncased", "distilbert"), ("my_Deberta.v2-large", "deberta-v2")],
)
def test_the_name_of_a_folder_tells_last(name, expected, tmp_path):
    folder = silent("bert-untied", tmp_path / name, weights=False)
    assert AutoConfig.from_pretrained(folder).model_type == expected


def test_nothing_tells(tmp_path):
    folder = silent("bert-untied", tmp_path / "x", weights=False)
    with pytest.raises(ConfigError, match="neither"):
        AutoConfig.from_pretrained(folder)
