"""Items become windows and batches, and come back in order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from armature.pipelines.batching import Row, Stream, batches, is_dataset, padded, windows

COSTS = st.lists(st.integers(1, 300), max_size=60)


@given(COSTS, st.integers(1, 400))
def test_batches_hold_every_row_once_within_the_budget(costs, budget):
    found = list(batches(costs, budget))
    assert sorted(index for batch in found for index in batch) == list(range(len(costs)))
    for batch in found:
        assert len(batch) == 1 or sum(costs[index] for index in batch) <= budget


@given(COSTS, st.integers(1, 9))
def test_a_number_of_rows_is_kept_whatever_they_cost(costs, rows):
    sizes = [len(batch) for batch in batches(costs, 1, rows)]
    assert sizes[:-1] == [rows] * (len(sizes) - 1)
    assert sum(sizes) == len(costs)


@given(COSTS)
def test_rows_of_like_length_are_neighbours(costs):
    order = [costs[index] for batch in batches(costs, 100) for index in batch]
    assert order == sorted(costs, reverse=True)


def test_windows_grow_so_that_the_first_result_comes_at_once():
    assert [len(w) for w in windows(range(100), 1, 50)] == [1, 4, 16, 50, 29]
    assert list(windows([], 1, 50)) == []


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_masked(side):
    rows = [Row(0, {"input_ids": [5, 6, 7], "token_type_ids": [0, 1, 1]}),
            Row(1, {"input_ids": [8], "token_type_ids": [1]})]  # fmt: skip
    batch = padded(rows, {"input_ids": 9}, "cpu", side)
    order = slice(None) if side == "right" else slice(None, None, -1)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 9, 9][order]]
    assert batch["token_type_ids"].tolist() == [[0, 1, 1], [1, 0, 0][order]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0][order]]


def test_a_stream_knows_its_length_where_its_source_does():
    assert len(Stream(iter("ab"), 2)) == 2
    with pytest.raises(TypeError, match="generator"):
        len(Stream(iter("ab"), None))
    assert list(Stream(iter("ab"), None)) == ["a", "b"]


def test_texts_and_tables_are_no_data_sets():
    assert is_dataset(["a"])
    assert not any(map(is_dataset, ("text", b"text", {"text": "a"}, iter("ab"), 3)))
