"""Matching of queries and things, and the losses of masks, against plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from armature.outputs import matching


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (5, 2), (4, 4), (3, 0), (0, 3)])
def test_the_cheapest_pairs_are_found(shape):
    rng = np.random.default_rng(sum(shape))
    for _ in range(20):
        costs = rng.normal(size=shape)
        rows, columns = matching.assign(costs)
        fewer, more = sorted(shape)
        assert rows.tolist() == sorted(set(rows.tolist()))
        assert len(rows) == len(set(columns.tolist())) == fewer
        table = costs if shape[0] <= shape[1] else costs.T
        ways = itertools.permutations(range(more), fewer)
        best = min(sum(table[i, j] for i, j in enumerate(way)) for way in ways)
        assert abs(costs[rows, columns].sum() - best) < 1e-9


def test_what_is_no_number_is_taken_last():
    costs = torch.tensor([[float("nan"), 1.0], [2.0, float("inf")]])
    assert matching.matched(costs)[1].tolist() == [1, 0]


def test_costs_of_pairs_are_the_losses_of_each():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(3, 7, generator=generator)
    masks = (torch.rand(2, 7, generator=generator) > 0.5).float()
    pairs = (
        (matching.dice_costs, matching.dice),
        (matching.cross_entropy_costs, matching.mask_cross_entropy),
        (matching.focal_costs, matching.focal),
    )
    for cost, loss in pairs:
        for i, j in itertools.product(range(3), range(2)):
            one = loss(logits[i : i + 1], masks[j : j + 1], 1.0)
            torch.testing.assert_close(cost(logits, masks)[i, j], one)


def test_losses_follow_their_papers():
    logits, masks = torch.tensor([[0.3, -1.0, 2.0]]), torch.tensor([[1.0, 0.0, 0.0]])
    shares = logits.sigmoid()
    dice = 1 - (2 * shares[0, 0] + 1) / (shares.sum() + 1 + 1)
    torch.testing.assert_close(matching.dice(logits, masks, 1.0), dice)
    entropy = F.binary_cross_entropy(shares, masks, reduction="none")
    right = torch.where(masks > 0, shares, 1 - shares)
    alpha = torch.where(masks > 0, 0.25, 0.75)
    focal = (alpha * (1 - right) ** 2 * entropy).mean()
    torch.testing.assert_close(matching.focal(logits, masks, 1.0), focal)
    torch.testing.assert_close(matching.mask_cross_entropy(logits, masks, 2.0), entropy.mean() / 2)
