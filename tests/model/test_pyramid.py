"""Pyramids: what is kept at which stage, and how far a backbone goes."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from armature.layers.context import Record
from armature.layers.drop import skip
from armature.layers.patches import Images, Merge
from armature.model import spec
from armature.model.build import build
from armature.model.pyramid import Pyramid


def block(width, kind=spec.Windows):
    norm = spec.LayerNorm()
    return spec.Block(spec.Pre(norm), kind(2, width // 2, window=2), spec.Dense(width, "gelu"))


@pytest.fixture
def pyramid() -> Pyramid:
    anatomy = spec.Pyramid(
        embed=spec.Patches(4, (3, 2, 2)),
        stages=(
            spec.Stage((block(4), block(4, spec.ShiftedWindows)), spec.Own(lambda: Merge(4))),
            spec.Stage((block(8),), spec.Own(lambda: Merge(8))),
            spec.Stage((block(16), block(16, spec.ShiftedWindows), block(16))),
        ),
        norm=spec.LayerNorm(),
        dropout=spec.Dropout(0.1, 0.2, 0.5),
    )
    body = build(anatomy)
    assert isinstance(body, Pyramid)
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in body.parameters():
            weight.normal_(0, 0.3)
    return body.eval()


@pytest.fixture
def images():
    return Images(torch.randn(2, 3, 22, 16))  # 11 × 8 patches


def asked(states=(), attentions=()):
    return Record(frozenset(states), frozenset(attentions))


def ran(pyramid, call):
    """Which blocks and halvings ran during a call."""
    seen, hooks = [], []
    for path, module in pyramid.named_modules():
        if re.fullmatch(r"stages\.\d\.(blocks\.\d|down)", path):

            def note(_module, _args, path=path):
                seen.append(path)

            hooks.append(module.register_forward_pre_hook(note))
    call()
    for hook in hooks:
        hook.remove()
    return seen


@torch.no_grad()
def test_states_are_kept_as_the_next_stage_sees_them(pyramid, images):
    record = asked(range(4), range(3))
    last = pyramid(images, record)
    shapes = [tuple(record.kept_states[i].shape) for i in range(4)]
    assert shapes == [(2, 4, 11, 8), (2, 8, 6, 4), (2, 16, 3, 2), (2, 16, 3, 2)]
    normed = pyramid.norm(record.kept_states[3])
    assert last.equal(normed)
    assert [tuple(record.kept_attentions[i].shape) for i in range(3)] == [
        (2 * 6 * 4, 2, 4, 4),
        (2 * 3 * 2, 2, 4, 4),
        (2 * 2 * 1, 2, 4, 4),
    ]
    assert pyramid.channels == (4, 4, 8, 16)


@torch.no_grad()
def test_only_what_is_asked_for_is_kept(pyramid, images):
    record = asked({2}, {1})
    pyramid(images, record)
    assert set(record.kept_states) == {2}
    assert set(record.kept_attentions) == {1}


@torch.no_grad()
def test_features_are_kept_before_they_are_halved_and_nothing_further_runs(pyramid, images):
    record = asked({0, 1})
    seen = ran(pyramid, lambda: pyramid.features(images, record))
    assert seen == ["stages.0.blocks.0", "stages.0.blocks.1"]
    assert {i: tuple(x.shape) for i, x in record.kept_states.items()} == {
        0: (2, 4, 11, 8),
        1: (2, 4, 11, 8),
    }
    assert ran(pyramid, lambda: pyramid.features(images, asked({0}))) == []
    assert "stages.1.blocks.0" in ran(pyramid, lambda: pyramid.features(images, asked((), {1})))


@torch.no_grad()
def test_features_pad_maps_that_are_smaller_than_a_window_instead_of_shrinking_it(pyramid):
    small = Images(torch.randn(1, 3, 2, 2))
    record = asked({3}, {2})
    pyramid.features(small, record)
    assert record.kept_attentions[2].shape == (1, 2, 4, 4)
    record = asked({3}, {2})
    pyramid(small, record)
    assert record.kept_attentions[2].shape == (1, 2, 1, 1)


def test_dropout_reaches_every_organ_and_branches_drop_more_often_later(pyramid):
    rates = [one.attn.path for stage in pyramid.stages for one in stage.blocks]
    torch.testing.assert_close(rates, [0.0, 0.1, 0.2, 0.3, 0.4, 0.5])
    assert {m.p for m in pyramid.modules() if isinstance(m, nn.Dropout)} == {0.1}
    assert {one.attn.dropout for stage in pyramid.stages for one in stage.blocks} == {0.2}


def test_a_dropped_branch_is_dropped_for_whole_images_and_the_rest_is_scaled_up(pyramid):
    organ = pyramid.stages[2].blocks[2].attn
    found = skip(torch.ones(40 * 6, 16), 40, organ.path).view(40, -1)
    for image in found:
        assert set(image.tolist()) in ({0.0}, {2.0})
    assert 5 < int((found[:, 0] > 0).sum()) < 35
