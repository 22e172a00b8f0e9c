"""Small checkpoints with recorded answers of the reference, opened once."""

from __future__ import annotations

import json
import logging
from functools import cache, partial
from pathlib import Path

import pytest

from armature import pipeline
from armature.pipelines import reading

GOLDEN = Path(__file__).parent.parent / "golden" / "pipelines"
RECORDS = json.loads((GOLDEN / "records.json").read_text(encoding="utf-8"))

TASK_OF = {
    "answers": "question-answering",
    "entities": "token-classification",
    "labels": "text-classification",
    "masks": "fill-mask",
    "prompts": "text-generation",
    "seq2seq": "text2text-generation",
}

TEXTS = [
    "Hello world! How are you?",
    "a list",
    "The statement is executed once in the block, and then the list of names is printed again.",
    "你好 world",
    "John Smith went to New York, again.",
    "the",
]


@cache
def opened(name, task=None):
    """A pipeline on a golden checkpoint; tests share it, so they give options to its calls."""
    return pipeline(task or TASK_OF[name], model=GOLDEN / name)


def close(left, right, least=1e-8):
    """Whether two results are equal, numbers but for rounding: to 1e-5, or to `least`."""
    left, right = (x.tolist() if hasattr(x, "tolist") else x for x in (left, right))
    if isinstance(right, dict):
        return left.keys() == right.keys() and all(close(left[k], right[k], least) for k in right)
    if isinstance(right, list):
        return len(left) == len(right) and all(map(partial(close, least=least), left, right))
    if isinstance(right, float):
        return left == pytest.approx(right, rel=1e-5, abs=least)
    return left == right


@pytest.fixture
def notes(caplog):
    """What is said during a test, though it has been said before."""
    reading.note.cache_clear()
    caplog.set_level(logging.WARNING, logger="armature")
    return lambda: [record.getMessage() for record in caplog.records]
