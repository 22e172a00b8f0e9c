"""Pipelines whose texts follow a schema, an expression or a grammar."""

from __future__ import annotations

import json
import re

import pytest
from conftest import GOLDEN, opened

from armature import pipeline
from armature.errors import ArgumentError

pytest.importorskip("llguidance")

SCHEMA = {
    "type": "object",
    "properties": {"city": {"enum": ["北京", "Paris"]}, "ok": {"type": "boolean"}},
    "required": ["city", "ok"],
    "additionalProperties": False,
    "x-guidance": {"whitespace_flexible": False},  # the model has few positions
}
PATTERN = r"(是|否), [0-9]{2} \."


def new(results):
    return [result["generated_text"] for result in results]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"num_beams": 3},
        {"do_sample": True, "num_return_sequences": 3},
        {"do_sample": True, "seed": 4},
    ],
)
def test_prompts_are_continued_as_the_schema_says(options):
    results = opened("prompts")(
        ["Hello", "a list of names", "你好"],
        json_schema=SCHEMA,
        max_new_tokens=120,
        return_full_text=False,
        **options,
    )
    for text in (text for one in results for text in new(one)):
        assert json.loads(text).keys() == {"city", "ok"}


def test_spaces_are_not_cleaned_up():
    pipe = pipeline("text-generation", model=GOLDEN / "prompts")
    pipe.tokenizer.clean_up_tokenization_spaces = True
    (text,) = new(pipe("Hello", regex=PATTERN, max_new_tokens=40, return_full_text=False))
    assert re.fullmatch(PATTERN, text)
    assert "".join(pipe.stream_text("Hello", regex=PATTERN, max_new_tokens=40)) == text


def test_a_text_is_written_for_a_text():
    results = opened("seq2seq")("Hello world", regex="[a-c]{4}", max_new_tokens=20)
    assert re.fullmatch("[a-c]{4}", results[0]["generated_text"])


def test_two_forms_at_once_are_refused():
    with pytest.raises(ArgumentError, match="drop one"):
        opened("prompts")("Hello", regex="a", json_schema=SCHEMA)
