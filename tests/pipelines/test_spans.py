"""The likeliest spans are those that a search through all of them finds."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from armature.pipelines.spans import likeliest


def search(first, last, text, longest):
    """All allowed spans with their scores, best first."""
    width = len(first)
    found = [
        (first[i] * last[j], i, j)
        for i in range(width)
        for j in range(i, min(i + longest, width))
        if text[i] and text[j]
    ]
    return sorted(found, reverse=True)


@given(st.integers(0, 10**6), st.integers(3, 12), st.integers(1, 15), st.integers(1, 6))
def test_no_span_is_missed(seed, width, longest, most):
    torch.manual_seed(seed)
    starts, ends = torch.randn(2, width), torch.randn(2, width)
    text = torch.rand(2, width) < 0.7
    null = torch.zeros(2, width, dtype=torch.bool)
    text[:, 0], null[:, 0] = False, True
    found = likeliest(starts, ends, text, null, most=most, longest=longest)
    seen = text | null
    for row in range(2):
        first, last = (x[row].masked_fill(~seen[row], -1e4).softmax(-1) for x in (starts, ends))
        every = search(first.tolist(), last.tolist(), text[row].tolist(), longest)
        assert found[row].null == pytest.approx(float(first[0] * last[0]), rel=1e-5)
        scores = [score for score, _, _ in every[:most]]
        assert found[row].scores == pytest.approx(scores, rel=1e-5)
        for score, i, j in zip(found[row].scores, found[row].starts, found[row].ends, strict=True):
            assert score == pytest.approx(float(first[i] * last[j]), rel=1e-5)
            assert text[row, i]
            assert text[row, j]
            assert i <= j < i + longest
