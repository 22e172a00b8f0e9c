"""Memory of a pass: lent to one tensor at a time, given back, and never seen twice."""

from __future__ import annotations

import threading

import torch

from armature.layers import memory
from armature.layers.linear import Linear
from armature.layers.memory import Pool, add, pooled, reused


def test_a_block_is_lent_again_once_nobody_holds_it():
    pool = Pool()
    first = pool.empty(1000, 10)
    place = first.data_ptr()
    view = first[5:].T
    del first
    other = pool.empty(1000, 10)
    assert other.data_ptr() != place  # a view still holds it
    del view
    assert pool.empty(100, 90).data_ptr() == place


def test_what_is_lent_outlives_its_pool():
    pool = Pool()
    kept, gone = pool.empty(100, 10).fill_(3.0), pool.empty(100, 10)
    del gone
    assert len(pool._free) == 1
    pool.close()
    assert not pool._free
    assert kept.eq(3).all()
    del kept
    assert not pool._free
    assert not pool._lent


def test_few_blocks_wait():
    pool = Pool()
    made = [pool.empty(1, 4 << n) for n in range(12)]
    del made
    pool.empty(1, 1 << 20)
    assert len(pool._free) <= 1 + memory._KEPT


@torch.no_grad()
def test_large_maps_and_sums_come_from_the_pass_and_are_the_same(monkeypatch):
    monkeypatch.setattr(memory, "_LARGE", 1)
    dice = torch.Generator().manual_seed(0)
    x = torch.randn(700, 40, generator=dice)
    for bias in (True, False):
        one = Linear(40, 50, bias=bias)
        for weight in one.parameters():
            weight.copy_(torch.randn(weight.shape, generator=dice))
        outside = one(x)
        with reused():
            inside = [one(x) for _ in range(3)]
            assert all(torch.allclose(y, outside, atol=1e-5) for y in inside)
            assert add(x, x).equal(2 * x)
    assert pooled(8, 8) is None  # no pass runs


def test_a_pass_in_a_pass_and_another_thread_have_their_own(monkeypatch):
    monkeypatch.setattr(memory, "_LARGE", 1)
    found = []
    with reused():
        with reused():
            found.append(pooled(2, 2) is not None)
        found.append(pooled(2, 2) is not None)
        other = threading.Thread(target=lambda: found.append(pooled(2, 2) is None))
        other.start()
        other.join()
    assert found == [True, True, True]


def test_gradients_find_their_way(monkeypatch):
    monkeypatch.setattr(memory, "_LARGE", 1)
    x = torch.ones(4, 4, requires_grad=True)
    with reused():
        add(x, x).sum().backward()
    assert x.grad.eq(2).all()
