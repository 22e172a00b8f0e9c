"""Windows: what is cut is joined again, and attention in them equals attention by coordinates."""

from __future__ import annotations

import pytest
import torch

from armature.batch import Layout
from armature.layers.attention import WindowAttention
from armature.layers.context import Context, Record
from armature.layers.windows import Grid

CPU = torch.device("cpu")
MAPS = [(4, 4, 2), (6, 4, 2), (5, 7, 3), (8, 3, 5), (3, 3, 3), (2, 6, 4), (1, 1, 3), (7, 5, 1)]


@pytest.mark.parametrize(("height", "width", "side"), MAPS)
@pytest.mark.parametrize("shrink", [True, False])
@pytest.mark.parametrize("shifted", [True, False])
def test_joining_undoes_cutting(height, width, side, shrink, shifted):
    windows = Grid(height, width, shrink).windows(side, side // 2 if shifted else 0, CPU)
    x = torch.randn(3 * height * width, 5)
    cut = windows.cut(x)
    assert windows.join(cut).equal(x)
    layout = windows.layout(len(cut))
    assert layout.total == len(cut)
    assert set(layout.lengths) == {windows.side**2}
    assert (cut == 0).all(1).sum() == len(cut) - len(x)  # what was added is padding


def test_the_picture_in_the_module_is_right():
    letters = torch.arange(16)
    windows = Grid(4, 4).windows(2, 1, CPU)
    shown = "".join(chr(97 + int(i)) for i in letters[windows.order])
    assert shown == "fgjk" + "heli" + "nobc" + "pmda"
    assert windows.regions is not None
    kinds = [len(set(row)) for row in windows.regions.tolist()]
    assert kinds == [1, 2, 2, 4]


def naive(x, organ, height, width, side, shift):
    """Attention of one map (height · width, D), patch by patch, on the padded and rolled map."""
    down, across = height + -height % side, width + -width % side
    padded = torch.zeros(down, across, x.shape[1])
    padded[:height, :width] = x.view(height, width, -1)
    q, k, v = organ.qkv(padded)
    heads = organ.heads

    def seen(row, column):
        """The window and region of a patch: where it lies after the roll, and over which edge."""
        y, z = (row - shift) % down, (column - shift) % across
        over = (y >= down - shift and shift > 0, z >= across - shift and shift > 0)
        return (y // side, z // side, *over), (y % side, z % side)

    out = torch.zeros_like(padded)
    places = [(i, j) for i in range(down) for j in range(across)]
    for i, j in places:
        window, (y, z) = seen(i, j)
        peers = [(a, b) for a, b in places if seen(a, b)[0] == window]
        mixed = []
        for h in range(heads):
            part = slice(h * organ.head_width, (h + 1) * organ.head_width)
            scores = []
            for a, b in peers:
                dy, dz = y - seen(a, b)[1][0], z - seen(a, b)[1][1]
                full = organ.bias.side
                row = (dy + full - 1) * (2 * full - 1) + dz + full - 1
                dot = (q[i, j, part] @ k[a, b, part]) * organ.scale
                scores.append(dot + organ.bias.table[row, h])
            shares = torch.stack(scores).softmax(0)
            mixed.append(sum(s * v[a, b, part] for s, (a, b) in zip(shares, peers, strict=True)))
        out[i, j] = organ.out(torch.cat(mixed))
    return out[:height, :width].reshape(height * width, -1)


@pytest.mark.parametrize(
    ("height", "width", "side", "shrink"),
    [(4, 4, 2, True), (5, 4, 3, True), (2, 3, 3, False), (3, 5, 4, True), (4, 2, 3, True)],
)
@pytest.mark.parametrize("shifted", [True, False])
@torch.no_grad()
def test_attention_equals_attention_by_coordinates(height, width, side, shrink, shifted):
    torch.manual_seed(1)
    shift = side // 2 if shifted else 0
    organ = WindowAttention(6, 2, 3, side=side, shift=shift, bias=(True, True))
    for weight in organ.parameters():
        weight.normal_(0, 0.5)
    x = torch.randn(2 * height * width, 6)
    layout = Layout((height * width,) * 2, height * width, CPU)
    record = Record(attentions=frozenset({0}))
    found = organ(x, Context(layout, record=record, grid=Grid(height, width, shrink)))
    if shrink and min(height, width) <= side:
        side, shift = min(height, width), 0
    for one, wanted in zip(found.chunk(2), x.chunk(2), strict=True):
        wanted = naive(wanted, organ, height, width, side, shift)
        torch.testing.assert_close(one, wanted, atol=1e-5, rtol=1e-5)
    shares = record.kept_attentions[0]
    count = -(-height // side) * -(-width // side)
    assert shares.shape == (2 * count, 2, side**2, side**2)
    torch.testing.assert_close(shares.sum(-1), torch.ones(shares.shape[:3]))
