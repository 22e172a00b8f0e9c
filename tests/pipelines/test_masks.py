"""Masks are filled by the words that fit best."""

from __future__ import annotations

import pytest
from conftest import close, opened

from armature.errors import ArgumentError

TEXT = "Hello [MASK] world."


def test_fills_are_written_into_the_text():
    fills = opened("masks")(TEXT, top_k=3)
    assert len(fills) == 3
    for fill in fills:
        assert (
            fill["sequence"]
            .replace(" ", "")
            .startswith("hello" + fill["token_str"].removeprefix("##"))
        )


def test_a_list_of_one_is_answered_like_the_text():
    pipe = opened("masks")
    assert close(pipe([TEXT]), pipe(TEXT))
    assert close(pipe([TEXT, TEXT]), [pipe(TEXT)] * 2)


def test_only_targets_come_into_question(notes):
    pipe = opened("masks")
    fills = pipe(TEXT, targets=["is", "the", "a", "the"])
    assert {fill["token_str"] for fill in fills} == {"is", "the", "a"}
    assert [fill["token_str"] for fill in pipe(TEXT, targets="the")] == ["the"]
    assert not notes()
    pipe(TEXT, targets=["theis"])
    assert "'theis' is not in the vocabulary" in notes()[0]


def test_a_text_without_a_mask_is_refused():
    with pytest.raises(ArgumentError, match=r"\[MASK\]"):
        opened("masks")("Hello world.")
    with pytest.raises(ArgumentError, match="beyond what the model takes"):
        opened("masks")("hello " * 100 + "[MASK]")


def test_arguments_of_the_tokenizer_may_come_in_a_table():
    pipe = opened("masks")
    table = {"max_length": 6, "truncation": True}
    text = "the [MASK] list of names"
    assert close(pipe(text, tokenizer_kwargs=table), pipe(text, **table))
    assert not close(pipe(text, tokenizer_kwargs=table), pipe(text))
