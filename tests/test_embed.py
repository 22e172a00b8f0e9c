"""Sentence embeddings: the reference's numbers on published weights, and every way of pooling."""

from __future__ import annotations

import json
import random
from pathlib import Path
from types import SimpleNamespace

import numpy
import pytest
import torch

from armature import embed
from armature.checkpoint.hub import resolve
from armature.checkpoint.shipped import packaged
from armature.embed import DEFAULT_MODEL, Embedder, read_settings
from armature.errors import ArgumentError, CheckpointError, ConfigError

GOLDEN = Path(__file__).parent / "golden" / "minilm"

installed = pytest.mark.skipif(packaged(DEFAULT_MODEL) is None, reason="its package is absent")


@pytest.fixture(scope="module")
def minilm():
    return Embedder.from_pretrained()


@installed
def test_embeddings_are_those_of_the_reference(minilm):
    sentences = json.loads((GOLDEN / "sentences.json").read_text(encoding="utf-8"))
    expected = numpy.load(GOLDEN / "embeddings.npz")["embeddings"]
    numpy.testing.assert_allclose(minilm.encode(sentences).numpy(), expected, atol=1e-5, rtol=0)


@installed
def test_neighbours_and_order_change_nothing(minilm):
    sentences = json.loads((GOLDEN / "sentences.json").read_text(encoding="utf-8"))
    shuffled = random.Random(1).sample(range(len(sentences)), len(sentences))
    together = minilm.encode([sentences[i] for i in shuffled])
    for place, index in enumerate(shuffled):
        torch.testing.assert_close(
            together[place], minilm.encode([sentences[index]])[0], atol=1e-5, rtol=0
        )


@installed
def test_topics_are_ranked_by_likeness(minilm):
    labels = ["sport", "cooking", "money"]
    lines = ["The striker scored twice.", "Let the dough rest.", "Interest rates rose."]
    assert [minilm.rank(line, labels)[0][0] for line in lines] == labels


def test_one_text_instead_of_a_list_is_refused():
    with pytest.raises(ArgumentError, match="list"):
        Embedder(None, None, {"pooling": "mean", "normalize": True, "max_length": 8}).encode("text")


STATES = torch.tensor([[[1.0, 0.0], [3.0, 4.0], [9.0, 9.0]], [[2.0, -2.0], [4.0, 0.0], [0.0, 1.0]]])
MASK = torch.tensor([[1, 1, 0], [1, 1, 1]])  # the last token of the first row is padding


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        ("mean", [[2.0, 2.0], [2.0, -1 / 3]]),
        ("cls", [[1.0, 0.0], [2.0, -2.0]]),
        ("max", [[3.0, 4.0], [4.0, 1.0]]),
        ("last", [[3.0, 4.0], [0.0, 1.0]]),
    ],
)
def test_pooling_never_sees_padding(pooling, expected):
    settings = {"pooling": pooling, "normalize": False, "max_length": 8}
    torch.testing.assert_close(
        Embedder(None, None, settings)._pool(STATES, MASK), torch.tensor(expected)
    )


def settings_of(tmp_path, **files):
    for name, content in files.items():
        path = tmp_path / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.with_suffix(".json").write_text(json.dumps(content))
    config = SimpleNamespace(get=lambda key, default=None: 77)
    return read_settings(resolve(tmp_path), config)


def kind(name, path=""):
    return {"type": f"sentence_transformers.models.{name}", "path": path}


def test_a_checkpoint_without_settings_is_pooled_by_the_mean(tmp_path):
    expected = {"pooling": "mean", "normalize": True, "max_length": 77}
    assert settings_of(tmp_path, config={}) == expected


def test_a_checkpoint_says_how_it_pools(tmp_path):
    found = settings_of(
        tmp_path,
        modules=[kind("Transformer"), kind("Pooling", "1_Pooling")],
        **{"1_Pooling__config": {"pooling_mode_cls_token": True, "word_embedding_dimension": 4}},
        sentence_bert_config={"max_seq_length": 33},
    )
    assert found == {"pooling": "cls", "normalize": False, "max_length": 33}


def test_unknown_ways_of_pooling_are_errors(tmp_path):
    with pytest.raises(ConfigError, match="WeightedLayerPooling"):
        settings_of(tmp_path, modules=[kind("WeightedLayerPooling")])
    with pytest.raises(ConfigError, match="sqrt"):
        settings_of(
            tmp_path,
            modules=[kind("Transformer"), kind("Pooling", "1_Pooling")],
            **{"1_Pooling__config": {"pooling_mode_mean_sqrt_len_tokens": True}},
        )


def test_broken_settings_name_their_file(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "modules.json").write_text("[")
    with pytest.raises(CheckpointError, match=r"modules\.json"):
        read_settings(resolve(tmp_path), SimpleNamespace(get=lambda *_: 1))


def test_batches_hold_every_row_once_and_stay_within_their_budget(monkeypatch):
    monkeypatch.setattr(embed, "TOKENS_AT_ONCE", 20)
    rows = [[0] * random.Random(7).choice(range(1, 30)) for _ in range(40)]
    batches = embed._batches(rows)
    assert sorted(index for batch in batches for index in batch) == list(range(40))
    assert all(len(b) == 1 or sum(len(rows[i]) for i in b) <= 20 for b in batches)
