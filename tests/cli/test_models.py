"""`armature models`, `armature explain`, `armature search`, `armature demo`: what they print."""

from __future__ import annotations

import json

import pytest

import armature as package
from armature import arch, starter
from armature.checkpoint.shipped import packaged

NAME = "sentence-transformers/all-MiniLM-L6-v2"
installed = pytest.mark.skipif(packaged(NAME) is None, reason="its package is absent")


@pytest.fixture
def cache(tmp_path):
    commit = "3" * 40
    folder = tmp_path / "models--org--name"
    (folder / "snapshots" / commit).mkdir(parents=True)
    (folder / "snapshots" / commit / "config.json").write_text("x" * 1234)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    return tmp_path


def test_models_lists_the_cache_with_sizes(armature, cache):
    rows = json.loads(armature("models", "--cache-dir", cache, "--json").stdout)
    (found,) = [row for row in rows if row["tier"] == "cache"]
    assert (found["name"], found["size"]) == ("org/name", 1234)
    assert "main @ 3333333" in armature("models", "--cache-dir", cache).stdout


def test_models_lists_every_starter_under_a_name_that_opens(armature, cache):
    from armature.checkpoint.hub import resolve

    rows = json.loads(armature("models", "--cache-dir", cache, "--json").stdout)
    names = {row["name"] for row in rows if row["tier"] == "starter"}
    assert names == {f"starter/{name}" for name in starter.starters()}
    assert all(resolve(name).find("config.json") for name in names)


def test_models_lists_the_known_architectures(armature):
    known = json.loads(armature("models", "--architectures", "--json").stdout)
    assert list(known) == arch.names()
    assert "BertForMaskedLM" in known["bert"]
    assert "BertModel" in armature("models", "--architectures").stdout


@pytest.fixture
def folder(tmp_path):
    config = package.LlamaConfig(
        vocab_size=20, hidden_size=8, num_hidden_layers=2, num_attention_heads=2,
        intermediate_size=12, architectures=["LlamaForCausalLM"],
    )  # fmt: skip
    config.save_pretrained(tmp_path)
    return tmp_path


def test_explain_draws_a_tree_under_both_names(armature, folder):
    result = armature("explain", folder)
    assert result.exit_code == 0
    (line,) = [line for line in result.stdout.splitlines() if "qkv" in line]
    assert "├─ qkv" in line
    assert line.endswith("model.layers.{i}.self_attn.{q_proj,k_proj,v_proj}")
    assert "2 × PreBlock" in result.stdout


def test_explain_as_json_is_the_same_tree(armature, folder):
    tree = json.loads(armature("explain", folder, "--json").stdout)
    assert tree["variant"] == "LlamaForCausalLM"
    assert [inner["slot"] for inner in tree["inside"]] == ["body", "head"]


@installed
def test_search_finds_the_line_that_means_it(armature, tmp_path):
    (tmp_path / "a.md").write_text("# Zoo\n\nThe lion sleeps in the shade of a tree.\n")
    (tmp_path / "b.md").write_text("# Bank\n\nWe pay the money back within two weeks.\n")
    result = armature("search", "how do I get a refund?", tmp_path, "--json", "--top", "2")
    hits = [json.loads(line) for line in result.stdout.splitlines()]
    assert [hit["file"].rsplit("/")[-1] for hit in hits] == ["b.md", "a.md"]
    assert hits[0]["line"] == 3
    shown = armature("search", "how do I get a refund?", tmp_path, "--top", "1").stdout
    assert "b.md:3" in shown
    assert "money back" in shown


def test_search_without_text_is_wrong_usage(armature, tmp_path):
    (tmp_path / "image").write_bytes(b"\0\1")
    assert armature("search", "anything", tmp_path).exit_code == 2


@installed
def test_the_demo_answers_without_a_network(armature, monkeypatch):
    import socket

    def refuse(*_):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    result = armature("demo")
    assert result.exit_code == 0, result.stderr
    lines = [line.strip() for line in result.stdout.splitlines()]
    found = {line.split()[0] for line in lines if line.split()[:1] and "█" in line}
    assert {"sport", "cooking", "money", "travel"} <= found
    for name in starter.starters():
        assert any(line.startswith(f"starter/{name}:") for line in lines)
