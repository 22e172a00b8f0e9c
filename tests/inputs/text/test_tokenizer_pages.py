"""Tokenizers of pages: words with boxes become tokens with boxes and labels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from armature import AutoTokenizer
from armature.errors import ArgumentError

GOLDEN = Path(__file__).parents[2] / "golden" / "pages"
NAMES = ["layoutlmv2", "layoutlmv3"]


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def pages(name):
    return AutoTokenizer.from_pretrained(GOLDEN / name)


@pytest.fixture
def record(name):
    return json.loads((GOLDEN / name / "record.json").read_text(encoding="utf-8"))


def test_words_and_questions_become_the_recorded_tokens(pages, record):
    words, boxes = record["words"], record["boxes"]
    assert dict(pages(words, boxes=boxes)) == record["words_enc"]
    fit = {"padding": "max_length", "max_length": 40, "truncation": True}
    assert dict(pages("what is total?", words, boxes, **fit)) == record["words_q_enc"]
    both = pages([words, words[:2]], boxes=[boxes, boxes[:2]], padding=True, return_tensors="pt")
    assert both.bbox.shape == (*both.input_ids.shape, 4)
    assert both.bbox[0].tolist() == record["words_enc"]["bbox"]
    assert len(pages) == record["len"]
    assert sorted(pages.model_input_names) == sorted(record["model_input_names"])
    for role, token in {**record["special"], **record["special_ids"]}.items():
        assert getattr(pages, role) == token


def test_labels_stand_at_the_first_token_of_each_word(pages, record):
    words, boxes = record["words"], record["boxes"]
    labels = list(range(len(words)))
    made = pages(words, boxes=boxes, word_labels=labels)
    assert [label for label in made["labels"] if label != -100] == labels
    assert "offset_mapping" not in made
    pages.options["only_label_first_subword"] = False
    every = pages(words, boxes=boxes, word_labels=labels)["labels"]
    assert every.count(-100) == 2
    assert every[1:-1] == sorted(every[1:-1])


def test_long_pages_become_windows(pages, record):
    words, boxes = record["words"], record["boxes"]
    how = {"truncation": True, "max_length": 12, "stride": 2, "return_overflowing_tokens": True}
    made = pages([words, words[:1]], boxes=[boxes, boxes[:1]], **how)
    assert made["overflow_to_sample_mapping"].count(0) > 2
    for ids, places in zip(made["input_ids"], made["bbox"], strict=True):
        assert len(ids) == len(places) <= 12
        assert places[0] == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((["a"],), "needs a box"),
        (("a", None, [[0, 0, 1, 1]]), "list of words"),
        ((["a", "b"], None, [[0, 0, 1, 1]]), "2 words, but 1 of `boxes`"),
        ((["a"], None, [[0, 0, 1]]), "left, top, right, bottom"),
        ((["a"], None, [[0, 0, 1, 1]], [1, 2]), "2 of `word_labels`"),
        ((["q"], [["a"], ["b"]], [[[0, 0, 1, 1]]] * 2), "1 questions"),
        (([["a"]], None, [[[0, 0, 1, 1]]] * 2), "1 pages"),
    ],
)
def test_pages_whose_parts_differ_are_refused(given, message):
    with pytest.raises(ArgumentError, match=message):
        AutoTokenizer.from_pretrained(GOLDEN / "layoutlmv2")(*given)
