"""Decoders of feature maps: what they make of maps of several sizes."""

from __future__ import annotations

import torch

from armature.layers.drop import skip
from armature.layers.pyramid_pooling import ConvolutionDecoder, FourSizes, PyramidDecoder

MAPS = [torch.randn(2, 3, 12, 8), torch.randn(2, 5, 6, 4), torch.randn(2, 7, 3, 2)]


@torch.no_grad()
def test_every_pixel_of_the_finest_map_gets_scores():
    decoder = PyramidDecoder([3, 5, 7], 4, (1, 2), labels=6).eval()
    assert decoder(MAPS).shape == (2, 6, 12, 8)


@torch.no_grad()
def test_the_finest_scores_know_of_the_coarsest_map():
    decoder = PyramidDecoder([3, 5, 7], 4, (1,), labels=2).eval()
    for weight in decoder.parameters():
        weight.copy_(torch.linspace(0.1, 1, weight.numel()).view_as(weight))
    changed = [*MAPS[:2], MAPS[2].abs() + 10]
    assert not torch.allclose(decoder(MAPS), decoder(changed), atol=0.1)


@torch.no_grad()
def test_convolutions_alone_keep_the_size():
    for depth, rejoin in ((1, False), (2, True)):
        decoder = ConvolutionDecoder(3, 4, depth, labels=6, rejoin=rejoin).eval()
        assert decoder(MAPS[0]).shape == (2, 6, 12, 8)


@torch.no_grad()
def test_maps_of_one_size_become_a_pyramid():
    made = FourSizes(3).eval()([MAPS[0]] * 4)
    assert [tuple(x.shape[2:]) for x in made] == [(48, 32), (24, 16), (12, 8), (6, 4)]
    assert made[2] is MAPS[0]


def test_rows_are_dropped_whole_and_the_others_made_up_for():
    torch.manual_seed(0)
    kept = skip(torch.ones(40 * 3, 2), 40, 0.5).unflatten(0, (40, 3))
    assert all(row.unique().numel() == 1 for row in kept)
    assert set(kept.unique().tolist()) == {0.0, 2.0}
