"""Truncation, overflow and padding do what the tokenizers library does, without its state."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Library

from armature.errors import ArgumentError

FAMILIES = ["bert", "roberta", "t5", "xlnet", "gpt2", "llama3", "mbart"]
WORDS = st.lists(st.sampled_from(["a", "bc", "hello", "the", "lazy", "長"]), max_size=12).map(
    " ".join
)
STRATEGIES = ["longest_first", "only_first", "only_second"]


@pytest.fixture(scope="module")
def libraries(tokenizers):
    """A function: family → the same tokenizer once more, whose state a test may change."""
    made = {
        name: Library.from_str(tokenizers(name).backend_tokenizer.to_str()) for name in FAMILIES
    }
    return lambda name: made[name]


def columns(row):
    names = ("ids", "special_tokens_mask", "tokens", "word_ids", "sequence_ids")
    return {name: getattr(row, name) for name in names}


@settings(max_examples=400, deadline=None)
@given(
    family=st.sampled_from(FAMILIES),
    first=WORDS,
    second=st.none() | WORDS,
    strategy=st.sampled_from(STRATEGIES),
    side=st.sampled_from(["left", "right"]),
    room=st.integers(1, 14),
    stride=st.integers(0, 5),
)
def test_rows_are_those_of_the_library(
    tokenizers, libraries, family, first, second, strategy, side, room, stride
):
    tokenizer, library = tokenizers(family), libraries(family)
    pair = second or None
    limit = room + library.num_special_tokens_to_add(pair is not None)
    whole = tokenizer(first, pair)["input_ids"]
    old_side, tokenizer.truncation_side = tokenizer.truncation_side, side
    try:
        batch = tokenizer(
            first,
            pair,
            truncation=strategy,
            max_length=limit,
            stride=stride,
            return_overflowing_tokens=True,
        )
    except ArgumentError:
        # Nothing is refused that needs no truncation.
        assert len(whole) > limit
        return
    finally:
        tokenizer.truncation_side = old_side
    try:
        library.enable_truncation(limit, stride=stride, strategy=strategy, direction=side)
        wanted = library.encode(first, pair) if pair else library.encode(first)
    except BaseException as error:  # the library panics where one text has no room
        assert type(error).__name__ in ("PanicException", "Exception", "ValueError")
        return
    rows = [wanted, *wanted.overflowing]
    # The library leaves the types of what was cut off as they were before its template.
    assert batch[0].type_ids == wanted.type_ids
    assert [columns(row) for row in batch.encodings] == [columns(row) for row in rows]


@settings(max_examples=100, deadline=None)
@given(
    family=st.sampled_from(["bert", "roberta", "t5", "xlnet"]),
    texts=st.lists(WORDS, min_size=1, max_size=4),
    side=st.sampled_from(["left", "right"]),
    length=st.none() | st.integers(1, 20),
    multiple=st.none() | st.integers(1, 9),
)
def test_padding_is_that_of_the_library(
    tokenizers, libraries, family, texts, side, length, multiple
):
    tokenizer, library = tokenizers(family), libraries(family)
    library.no_truncation()
    library.enable_padding(
        direction=side,
        pad_id=tokenizer.pad_token_id,
        pad_type_id=tokenizer.pad_token_type_id,
        pad_token=tokenizer.pad_token,
        length=length,
        pad_to_multiple_of=multiple,
    )
    batch = tokenizer(
        texts,
        padding="longest" if length is None else "max_length",
        max_length=length,
        truncation=False,
        padding_side=side,
        pad_to_multiple_of=multiple,
        return_token_type_ids=True,
    )
    wanted = library.encode_batch(texts)
    library.no_padding()
    assert batch["input_ids"] == [row.ids for row in wanted]
    assert batch["attention_mask"] == [row.attention_mask for row in wanted]
    assert batch["token_type_ids"] == [row.type_ids for row in wanted]
    for row, other in zip(batch.encodings, wanted, strict=True):
        assert columns(row) == columns(other)


@settings(max_examples=150, deadline=None)
@given(family=st.sampled_from(FAMILIES), first=st.text(max_size=30), second=st.text(max_size=20))
def test_the_ways_back_to_the_text_are_those_of_the_library(
    tokenizers, libraries, family, first, second
):
    library = libraries(family)
    library.no_truncation()
    row = tokenizers(family)(first, second)[0]
    wanted = library.encode(first, second) if second else library.encode(first)
    for text, sequence in ((first, 0), (second, 1)):
        for place in range(len(text)):
            assert row.char_to_token(place, sequence) == wanted.char_to_token(place, sequence)
            assert row.char_to_word(place, sequence) == wanted.char_to_word(place, sequence)
    for token in range(len(row)):
        assert row.token_to_chars(token) == wanted.token_to_chars(token)
        assert row.token_to_word(token) == wanted.token_to_word(token)
        assert row.token_to_sequence(token) == wanted.token_to_sequence(token)
    words = [word for word in row.word_ids if word is not None]
    for word in range(max(words, default=-1) + 2):
        assert row.word_to_tokens(word) == wanted.word_to_tokens(word)
        assert row.word_to_chars(word) == wanted.word_to_chars(word)


def test_the_backend_never_gets_state(tokenizers):
    tokenizer = tokenizers("bert")
    before = json.loads(tokenizer.backend_tokenizer.to_str())
    tokenizer(["a b c", "d"], padding=True, truncation=True, max_length=4, stride=1)
    tokenizer("a", "b", split_special_tokens=True)
    assert json.loads(tokenizer.backend_tokenizer.to_str()) == before
    assert tokenizer.backend_tokenizer.truncation is None
    assert tokenizer.backend_tokenizer.padding is None
