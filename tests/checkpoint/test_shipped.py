"""Installed checkpoints are found by name, without a network, and never stand in the way."""

from __future__ import annotations

import sys

import pytest

from armature.checkpoint import shipped as installed
from armature.checkpoint.hub import resolve
from armature.checkpoint.shipped import PACKAGED, packaged, shipped
from armature.errors import CheckpointError

NAME = "sentence-transformers/all-MiniLM-L6-v2"


@pytest.fixture
def starter(tmp_path, monkeypatch):
    folder = tmp_path / "starter" / "small"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    monkeypatch.setattr(installed, "STARTERS", folder.parent)
    return folder


def test_a_starter_has_a_name(starter):
    assert resolve("starter/small").find("config.json") == starter / "config.json"


@pytest.mark.parametrize(
    "name", ["starter/", "starter/absent", "starter/../starter/small", "small"]
)
def test_other_names_are_no_starters(starter, name):
    assert shipped(name) is None


def test_a_folder_of_that_name_wins(starter, tmp_path, monkeypatch):
    own = tmp_path / "here" / "starter" / "small"
    own.mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    assert resolve("starter/small").find("config.json") is None


def test_a_package_answers_to_the_name_of_its_weights(tmp_path, monkeypatch):
    model = tmp_path / PACKAGED[NAME] / "model"
    model.mkdir(parents=True)
    (model / "config.json").write_text("{}")
    (model.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "path_importer_cache", {})
    assert packaged(NAME) == model
    assert resolve(NAME).find("config.json") == model / "config.json"
    with pytest.raises(CheckpointError):
        resolve(NAME, revision="v2", local_files_only=True)  # a commit is a matter of the hub


def test_the_cache_wins_over_a_package(tmp_path):
    commit = "0" * 40
    cached = tmp_path / f"models--{NAME.replace('/', '--')}"
    (cached / "snapshots" / commit).mkdir(parents=True)
    (cached / "snapshots" / commit / "config.json").write_text("{}")
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(commit)
    assert resolve(NAME, cache_dir=tmp_path).revision == commit
