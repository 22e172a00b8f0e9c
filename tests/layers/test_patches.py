"""Patches: an image's squares in their order, hidden ones, stretched positions, merging."""

from __future__ import annotations

import pytest
import torch

from armature.errors import ArgumentError
from armature.layers.patches import Images, Merge, Patches


def filled(module):
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in module.parameters():
            weight.normal_()
    return module


@torch.no_grad()
def test_each_square_is_embedded_by_itself_and_edges_are_padded_with_black():
    patches = filled(Patches(4, (2, 3, 2)))
    image = torch.randn(1, 2, 7, 5)
    found = patches(Images(image))
    assert found.shape == (1, 4, 3, 3)
    black = torch.zeros(1, 2, 9, 6)
    black[..., :7, :5] = image
    flat = patches.patch.weight.flatten(1)
    for row in range(3):
        for column in range(3):
            square = black[0, :, 3 * row : 3 * row + 3, 2 * column : 2 * column + 2].flatten()
            wanted = flat @ square + patches.patch.bias
            torch.testing.assert_close(found[0, :, row, column], wanted)


@torch.no_grad()
def test_hidden_patches_are_one_vector_whatever_they_show():
    patches = filled(Patches(4, (1, 2, 2)))
    patches.learn_mask()
    filled(patches)
    masked = torch.tensor([[1, 0, 0, 1]])
    one, two = (patches(Images(torch.randn(1, 1, 4, 4), masked)).flatten(2) for _ in range(2))
    assert one[..., [0, 3]].equal(two[..., [0, 3]])
    assert one[0, :, 0].equal(patches.mask[0, 0])
    assert not one[..., 1].equal(two[..., 1])


@torch.no_grad()
def test_positions_are_added_or_stretched_when_asked():
    patches = filled(Patches(4, (1, 2, 2), grid=(2, 3)))
    patches.patch.weight.zero_()
    patches.patch.bias.zero_()
    table = patches.position.view(2, 3, 4).permute(2, 0, 1)
    assert patches(Images(torch.zeros(1, 1, 4, 6)))[0].equal(table)
    with pytest.raises(ArgumentError, match="2 × 3"):
        patches(Images(torch.zeros(1, 1, 6, 4)))  # as many patches, in another shape
    wide = patches(Images(torch.zeros(1, 1, 8, 12), interpolate=True))[0]
    wanted = torch.nn.functional.interpolate(table[None], (4, 6), mode="bicubic")[0]
    torch.testing.assert_close(wide, wanted)


@torch.no_grad()
def test_merging_reads_columns_before_rows_and_pads_odd_edges():
    merge = filled(Merge(1))
    merge.norm = torch.nn.Identity()
    merge.reduce.weight = torch.nn.Parameter(torch.eye(4))
    found = merge(torch.arange(6.0).view(1, 1, 2, 3))  # 0 1 2 over 3 4 5
    assert found[0, :, 0].T.tolist() == [[0, 3, 1, 4], [2, 5, 0, 0]]
