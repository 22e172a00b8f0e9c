"""Scores of a whole vocabulary: log-probabilities and the best of each row, beside PyTorch's."""

from __future__ import annotations

import pytest
import torch

from armature.native import library, scores

kernels = library.kernels()
pytestmark = pytest.mark.skipif(kernels is None, reason="the kernels are not built")
SIZES = [(1, 16384), (3, 16399), (70, 257), (300, 100), (17000, 1), (4, 60001)]


@pytest.fixture(autouse=True)
def same_numbers():
    torch.manual_seed(0)


@pytest.mark.parametrize(("rows", "width"), SIZES)
def test_shares_are_exact(level, rows, width):
    x = torch.randn(rows, width) * 4
    expected = x.double().log_softmax(-1)
    assert (scores.log_softmax(x) - expected).abs().max() < 4e-6


@pytest.mark.parametrize("count", [1, 2, 8, 64])
@pytest.mark.parametrize(("rows", "width"), SIZES)
def test_the_best_are_found_and_the_first_of_equals_comes_first(level, rows, width, count):
    count = min(count, width)
    x = torch.randn(rows, width).round(decimals=1)  # many are equal
    values, columns = scores.best(x, count)
    assert torch.equal(values, x.topk(count).values)
    assert torch.equal(x.gather(1, columns), values)
    order = x.sort(stable=True, dim=-1, descending=True).indices[:, :count]
    assert torch.equal(columns, order)


def test_what_is_forbidden_comes_last(level):
    x = torch.full((2, 20000), float("-inf"))
    x[0, 77] = 1.0
    values, columns = scores.best(x, 3)
    assert columns.tolist() == [[77, 0, 1], [0, 1, 2]]
    assert values[0, 0] == 1
    assert values[1].tolist() == [float("-inf")] * 3
    assert scores.log_softmax(x[:1].clone())[0, 77] == 0


def test_no_number_stays_no_number(level):
    x = torch.randn(2, 20000)
    x[1, 3] = float("nan")
    shares = scores.log_softmax(x)
    assert shares[0].isfinite().all()
    assert shares[1].isnan().all()


def test_numbers_in_rising_order_are_found_too(level):
    x = torch.arange(40000.0).expand(2, -1).contiguous()
    assert scores.best(x, 5)[1][0].tolist() == [39999, 39998, 39997, 39996, 39995]


@pytest.mark.parametrize("kind", ["small", "strided", "half", "many"])
def test_others_are_left_to_torch(kind):
    x = torch.randn(4, 40000)
    x = {"small": x[:, :9], "strided": x[:, ::2], "half": x.bfloat16(), "many": x}[kind]
    count = 100 if kind == "many" else 3
    assert torch.equal(scores.best(x, count)[0], x.topk(count).values)
    assert torch.equal(scores.log_softmax(x.clone()), x.log_softmax(-1)) or kind == "many"


def test_room_is_room():
    found = scores.empty(300, 10000)
    found.fill_(2.0)
    assert found.shape == (300, 10000)
    assert float(found.sum()) == 6_000_000
