"""Boxes, regions and feature pyramids, against loops that look at one number at a time."""

from __future__ import annotations

import math

import pytest
import torch

from armature.errors import ArgumentError
from armature.layers import boxes as b
from armature.layers.feature_pyramid import FeaturePyramid, Halved, MeanFeaturePyramid, Strided
from armature.layers.regions import roi_align


def some_boxes(count, side=20.0, seed=0):
    at = torch.rand(count, 4, generator=torch.Generator().manual_seed(seed)) * side
    return torch.cat((torch.min(at[:, :2], at[:, 2:]), torch.max(at[:, :2], at[:, 2:])), 1)


def naive_overlap(one, two):
    wide = max(0.0, min(one[2], two[2]) - max(one[0], two[0]))
    tall = max(0.0, min(one[3], two[3]) - max(one[1], two[1]))
    sizes = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, two)]
    union = sum(sizes) - wide * tall
    hull = (max(one[2], two[2]) - min(one[0], two[0])) * (max(one[3], two[3]) - min(one[1], two[1]))
    return wide * tall / union, wide * tall / union - (hull - union) / hull


def naive_best(boxes, scores, groups, limit):
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        rivals = [j for j in kept if groups[j] == groups[i]]
        if all(naive_overlap(boxes[i], boxes[j])[0] <= limit for j in rivals):
            kept.append(i)
    return kept


def naive_region(image, box, size, scale, samples, aligned):
    """One box of one map (C, H, W), pixel by pixel."""
    channels, height, width = image.shape
    x0, y0, x1, y1 = (float(side) * scale - (0.5 if aligned else 0.0) for side in box)
    tall, wide = y1 - y0, x1 - x0
    if not aligned:
        tall, wide = max(tall, 1.0), max(wide, 1.0)
    tall, wide = tall / size[0], wide / size[1]
    down = samples or max(math.ceil(tall), 0)
    across = samples or max(math.ceil(wide), 0)
    out = torch.zeros(channels, *size)
    for row in range(size[0]):
        for column in range(size[1]):
            for i in range(down):
                for j in range(across):
                    y = y0 + row * tall + (i + 0.5) * tall / down
                    x = x0 + column * wide + (j + 0.5) * wide / across
                    if y < -1 or y > height or x < -1 or x > width:
                        continue
                    y, x = min(max(y, 0.0), height - 1), min(max(x, 0.0), width - 1)
                    top, left = int(y), int(x)
                    for yy, wy in ((top, 1 - y + top), (min(top + 1, height - 1), y - top)):
                        for xx, wx in ((left, 1 - x + left), (min(left + 1, width - 1), x - left)):
                            out[:, row, column] += image[:, yy, xx] * wy * wx
            out[:, row, column] /= max(down * across, 1)
    return out


def test_formats_are_each_others_inverse():
    boxes = some_boxes(9)
    torch.testing.assert_close(b.corners(b.centred(boxes)), boxes)
    sides = torch.cat((boxes[:, :2], boxes[:, 2:] - boxes[:, :2]), 1)
    torch.testing.assert_close(b.from_sides(sides), boxes)
    assert b.centred(torch.tensor([2.0, 4.0, 6.0, 10.0])).tolist() == [4.0, 7.0, 4.0, 6.0]


def test_overlaps_are_those_of_single_boxes():
    one, two = some_boxes(7), some_boxes(5, seed=1)
    for i, j in ((i, j) for i in range(7) for j in range(5)):
        share, wide = naive_overlap(one[i].tolist(), two[j].tolist())
        assert b.overlap(one, two)[0][i, j].item() == pytest.approx(share, abs=1e-6)
        assert b.generalised_overlap(one, two)[i, j].item() == pytest.approx(wide, abs=1e-5)
    pairs = b.paired_overlap(one[:5], two)
    torch.testing.assert_close(pairs, b.generalised_overlap(one[:5], two).diag())


def test_a_box_that_ends_before_it_begins_is_refused():
    with pytest.raises(ArgumentError, match="ends before it begins"):
        b.generalised_overlap(torch.tensor([[2.0, 0, 1, 1]]), some_boxes(1))


@pytest.mark.parametrize("limit", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("block", [2048, 16])
def test_the_best_boxes_are_those_of_a_greedy_loop(monkeypatch, limit, block):
    monkeypatch.setattr(b, "_BLOCK", block)
    boxes = some_boxes(60)
    scores = torch.rand(60, generator=torch.Generator().manual_seed(3))
    groups = torch.arange(60) % 3
    want = naive_best(boxes.tolist(), scores.tolist(), [0] * 60, limit)
    assert b.best(boxes, scores, limit).tolist() == want
    want = naive_best(boxes.tolist(), scores.tolist(), groups.tolist(), limit)
    assert b.best(boxes, scores, limit, groups).tolist() == want
    assert b.best(boxes, scores, limit, groups, most=4).tolist() == want[:4]


def test_no_boxes_are_none():
    none = torch.zeros(0, 4)
    assert b.best(none, none[:, 0], 0.5).tolist() == []
    assert b.best(none, none[:, 0], 0.5, none[:, 0].long()).tolist() == []
    maps = torch.ones(1, 2, 3, 3, requires_grad=True)
    found = roi_align(maps, [none], (2, 2))
    assert found.shape == (0, 2, 2, 2)
    found.sum().backward()


def test_boxes_can_be_clipped_and_sifted():
    boxes = torch.tensor([[-3.0, 2.0, 5.0, 30.0], [1.0, 1.0, 1.2, 9.0]])
    assert b.clipped(boxes, (10, 4)).tolist()[0] == [0.0, 2.0, 4.0, 10.0]
    assert b.larger_than(boxes, 1.0).tolist() == [0]


def test_codes_are_decoded_to_the_same_boxes():
    boxes, anchors = some_boxes(6).double(), some_boxes(6, seed=2).double()
    codes = b.coded(boxes, anchors, (10.0, 10.0, 5.0, 5.0))
    torch.testing.assert_close(b.decoded(codes, anchors, (10.0, 10.0, 5.0, 5.0)), boxes)
    far = b.decoded(torch.tensor([[0.0, 0, 99, 99]]), torch.tensor([[0.0, 0, 16, 16]]))
    torch.testing.assert_close(far, torch.tensor([[-492.0, -492, 508, 508]]))
    assert torch.autograd.gradcheck(b.decoded, (codes.requires_grad_(), anchors))


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("samples", [0, 2])
def test_regions_are_those_of_a_loop(monkeypatch, aligned, samples):
    monkeypatch.setattr("armature.layers.regions._SAMPLES", 200)
    torch.manual_seed(0)
    maps = torch.randn(2, 3, 7, 9)
    boxes = [some_boxes(3, 18.0), torch.tensor([[-9.0, -4, 30, 22], [4.0, 4, 4, 4]])]
    found = roi_align(maps, boxes, (2, 3), scale=0.5, samples=samples, aligned=aligned)
    want = [
        naive_region(maps[i], box, (2, 3), 0.5, samples, aligned)
        for i, some in enumerate(boxes)
        for box in some
    ]
    torch.testing.assert_close(found, torch.stack(want), atol=1e-5, rtol=1e-5)


def test_gradients_reach_maps_and_boxes():
    torch.manual_seed(0)
    maps = torch.randn(1, 2, 5, 5, dtype=torch.double, requires_grad=True)
    boxes = [some_boxes(2, 9.0).double()]
    assert torch.autograd.gradcheck(
        lambda x: roi_align(x, boxes, (2, 2), scale=0.5, samples=2, aligned=True), maps
    )
    one = some_boxes(3).double().requires_grad_()
    two = some_boxes(3, seed=5).double()
    assert torch.autograd.gradcheck(lambda x: b.paired_overlap(x, two), one)
    assert torch.autograd.gradcheck(lambda x: b.generalised_overlap(x, two), one)


def fresh(module):
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, 0.0, 0.3)
    return module


@pytest.mark.parametrize("kind", [FeaturePyramid, MeanFeaturePyramid])
def test_a_pyramid_adds_each_map_to_the_next_finer_one(kind):
    torch.manual_seed(0)
    maps = [torch.randn(1, 3, 8, 6), torch.randn(1, 4, 4, 3), torch.randn(1, 5, 2, 2)]
    pyramid = fresh(kind((3, 4, 5), 6, Halved()))
    inner = [layer(x) for layer, x in zip(pyramid.inner, maps, strict=True)]
    share = 1.0 if kind is FeaturePyramid else 0.5
    for index in (1, 0):
        for row in range(inner[index].shape[2]):
            for column in range(inner[index].shape[3]):
                tall, wide = (inner[index].shape[side] for side in (2, 3))
                above = inner[index + 1]
                y, x = row * above.shape[2] // tall, column * above.shape[3] // wide
                mine = inner[index][..., row, column] + above[..., y, x]
                inner[index] = inner[index].clone()
                inner[index][..., row, column] = mine * share
    found = pyramid(maps)
    for one, layer, mine in zip(found, pyramid.out, inner, strict=False):
        torch.testing.assert_close(one, layer(mine), atol=1e-5, rtol=1e-5)
    assert torch.equal(found[3], found[2][..., ::2, ::2])


def test_further_maps_may_be_made_of_what_goes_in_or_comes_out():
    maps = [torch.randn(1, 4, 8, 8), torch.randn(1, 5, 4, 4)]
    for channels in (5, 6):
        pyramid = fresh(FeaturePyramid((4, 5), 6, Strided(channels, 6)))
        found = pyramid(maps)
        first = pyramid.extra.first(maps[-1] if channels == 5 else found[1])
        torch.testing.assert_close(found[2], first)
        torch.testing.assert_close(found[3], pyramid.extra.second(first.relu()))


def test_a_pyramid_may_norm_its_maps():
    pyramid = FeaturePyramid((3, 4), 6, norm=torch.nn.BatchNorm2d)
    assert pyramid.inner[0].bias is None
    assert len(pyramid([torch.randn(1, 3, 4, 4), torch.randn(1, 4, 2, 2)])) == 2
