"""Losses of boxes: matching against all permutations, and each loss written out."""

from __future__ import annotations

from itertools import permutations
from types import SimpleNamespace

import pytest
import torch

from armature.errors import ArgumentError
from armature.layers.boxes import corners, generalised_overlap
from armature.outputs.box_losses import FocalMatching, Matching

CONFIG = SimpleNamespace(
    num_labels=3,
    class_cost=2.0,
    bbox_cost=3.0,
    giou_cost=1.0,
    eos_coefficient=0.3,
    focal_alpha=0.25,
    bbox_loss_coefficient=4.0,
    giou_loss_coefficient=2.0,
    mask_loss_coefficient=1.0,
    dice_loss_coefficient=1.0,
)


def found(classes):
    generator = torch.Generator().manual_seed(0)
    boxes = torch.rand(2, 5, 4, generator=generator) * 0.4 + 0.2
    return {
        "logits": torch.randn(2, 5, classes, generator=generator),
        "pred_boxes": boxes,
    }


def things():
    generator = torch.Generator().manual_seed(1)
    return [
        {
            "class_labels": torch.randint(0, 3, (count,), generator=generator),
            "boxes": torch.rand(count, 4, generator=generator) * 0.4 + 0.2,
        }
        for count in (3, 1)
    ]


@pytest.mark.parametrize("kind", [Matching, FocalMatching])
def test_the_cheapest_of_all_pairs_are_chosen(kind):
    made, matching = found(4 if kind is Matching else 3), kind(CONFIG)
    pairs = matching.pairs(made["logits"], made["pred_boxes"], things())
    for index, (mine, theirs) in enumerate(pairs):
        one = things()[index]
        boxes = made["pred_boxes"][index]
        cost = (
            3 * torch.cdist(boxes, one["boxes"], p=1)
            + 2 * matching.kind_cost(made["logits"][index], one["class_labels"])
            - generalised_overlap(corners(boxes), corners(one["boxes"]))
        )
        count = len(one["boxes"])
        best = min(
            sum(float(cost[query, thing]) for thing, query in enumerate(order))
            for order in permutations(range(5), count)
        )
        assert float(cost[mine, theirs].sum()) == pytest.approx(best, abs=1e-5)


def test_losses_are_sums_over_pairs():
    made, matching = found(4), Matching(CONFIG)
    loss, parts = matching.total(made, things(), [])
    pairs = matching.pairs(made["logits"], made["pred_boxes"], things())
    wanted = torch.full((2, 5), 3)
    far = 0.0
    for index, (mine, theirs) in enumerate(pairs):
        wanted[index, mine] = things()[index]["class_labels"][theirs]
        boxes = things()[index]["boxes"][theirs]
        far += float((made["pred_boxes"][index, mine] - boxes).abs().sum())
    weights = torch.tensor([1, 1, 1, 0.3])[wanted]
    logs = made["logits"].log_softmax(-1).gather(2, wanted[..., None])[..., 0]
    assert float(parts["loss_bbox"]) == pytest.approx(far / 4)
    assert float(parts["loss_ce"]) == pytest.approx(float(-(logs * weights).sum() / weights.sum()))
    total = parts["loss_ce"] + 4 * parts["loss_bbox"] + 2 * parts["loss_giou"]
    torch.testing.assert_close(loss, total)


def test_earlier_blocks_are_numbered_and_count():
    made = found(4)
    loss, parts = Matching(CONFIG).total(made, things(), [made])
    assert parts["loss_ce_0"] == parts["loss_ce"]
    torch.testing.assert_close(loss, 2 * Matching(CONFIG).total(made, things(), [])[0])


def test_masks_are_compared_at_their_own_size():
    made = found(4) | {"pred_masks": torch.zeros(2, 5, 3, 3)}
    given = [one | {"masks": torch.ones(len(one["boxes"]), 6, 6)} for one in things()]
    _, parts = Matching(CONFIG).total(made, given, [])
    half = 0.25 * 0.25 * torch.tensor(2.0).log()
    torch.testing.assert_close(parts["loss_mask"], half)
    torch.testing.assert_close(parts["loss_dice"], torch.tensor(1 - (36 + 1) / (18 + 36 + 1)))


def test_other_labels_are_refused():
    with pytest.raises(ArgumentError, match="list of 2 mappings"):
        Matching(CONFIG).total(found(4), things()[:1], [])
    with pytest.raises(ArgumentError, match="give class_labels"):
        Matching(CONFIG).total(found(4), [{"boxes": torch.ones(1, 4)}] * 2, [])
