"""EfficientDet: published names and sizes, and its organs against plain loops."""

from __future__ import annotations

import math

import pytest
import torch

from armature import auto
from armature.checkpoint.load import places
from armature.errors import ConfigError
from armature.layers.bifpn import nodes, pooled
from armature.model.level_boxes import around, matched, shaped

KIND = "EfficientDetForObjectDetection"


def built(**settings):
    made = auto.model_class(KIND)
    assert made is not None
    return made(made.config_class(**settings))


def published():
    """Return the shapes of all tensors in the published file of the smallest model (d0)."""
    found: dict[str, tuple[int, ...]] = {}

    def norm(name: str, width: int) -> None:
        for end in ("weight", "bias", "running_mean", "running_var"):
            found[f"{name}.{end}"] = (width,)
        found[f"{name}.num_batches_tracked"] = ()

    def conv(name: str, outputs: int, inputs: int, side: int, *, bias: bool = False) -> None:
        found[f"{name}.weight"] = (outputs, inputs, side, side)
        found.update({f"{name}.bias": (outputs,)} if bias else {})

    conv("backbone.conv_stem", 32, 3, 3)
    norm("backbone.bn1", 32)
    before = 32
    sides, widths = (3, 3, 5, 3, 5, 5, 3), (16, 24, 40, 80, 112, 192, 320)
    for stage, depth in enumerate((1, 2, 2, 3, 3, 4, 1)):
        for block in range(depth):
            at, width = f"backbone.blocks.{stage}.{block}", widths[stage]
            wide = before * (6 if stage else 1)
            steps = [("conv_dw", wide, 1, sides[stage])]
            steps += [("conv_pwl" if stage else "conv_pw", width, wide, 1)]
            steps = [("conv_pw", wide, before, 1), *steps] if stage else steps
            for number, step in enumerate(steps, 1):
                conv(f"{at}.{step[0]}", *step[1:])
                norm(f"{at}.bn{number}", step[1])
            conv(f"{at}.se.conv_reduce", before // 4, wide, 1, bias=True)
            conv(f"{at}.se.conv_expand", wide, before // 4, 1, bias=True)
            before = width
    conv("fpn.resample.3.conv.conv", 64, 320, 1, bias=True)
    norm("fpn.resample.3.conv.bn", 64)
    read = [(3, 4), (2, 5), (1, 6), (0, 7), (1, 7, 8), (2, 6, 9), (3, 5, 10), (4, 11)]
    for cell in range(3):
        for index, inputs in enumerate(read):
            at = f"fpn.cell.{cell}.fnode.{index}"
            found[f"{at}.combine.edge_weights"] = (len(inputs),)
            for place in inputs:
                if cell == 0 and place < 3:
                    inner = f"{at}.combine.resample.{place}.conv"
                    conv(f"{inner}.conv", 64, (40, 112, 320)[place], 1, bias=True)
                    norm(f"{inner}.bn", 64)
            conv(f"{at}.after_combine.conv.conv_dw", 64, 1, 3)
            conv(f"{at}.after_combine.conv.conv_pw", 64, 64, 1, bias=True)
            norm(f"{at}.after_combine.conv.bn", 64)
    for net, outputs in (("class_net", 810), ("box_net", 36)):
        for index in range(3):
            conv(f"{net}.conv_rep.{index}.conv_dw", 64, 1, 3)
            conv(f"{net}.conv_rep.{index}.conv_pw", 64, 64, 1, bias=True)
            for level in range(5):
                norm(f"{net}.bn_rep.{index}.{level}.bn", 64)
        conv(f"{net}.predict.conv_dw", 64, 1, 3)
        conv(f"{net}.predict.conv_pw", outputs, 64, 1, bias=True)
    return found


def test_the_smallest_has_the_published_tensors_once_each():
    with torch.device("meta"):
        model = built()
    known = places(model, model.disk_names(model.config))
    names = [pair.name for place in known for pair in place.pairs]
    assert len(names) == len(set(names))
    wanted = published()
    assert set(names) == set(wanted)
    assert len(names) == 784
    numbers = sum(tensor.numel() for tensor in model.state_dict().values())
    assert sum(math.prod(shape) for shape in wanted.values()) == numbers


def test_a_larger_one_has_more():
    with torch.device("meta"):
        model = built(
            backbone_name="tf_efficientnet_b1", fpn_name="bifpn_sum", head_bn_level_first=True
        )
    names = {p.name for place in places(model, model.disk_names(model.config)) for p in place.pairs}
    assert "backbone.blocks.6.1.conv_pwl.weight" in names
    assert "class_net.bn_rep.4.2.weight" in names
    assert not any("edge_weights" in name for name in names)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backbone_name": "resnet50"}, "efficientnet_b0 to"),
        ({"max_level": 5}, "num_levels is 5"),
        ({"fpn_name": "pan_fa"}, "fpn_name"),
        ({"soft_nms": True}, "soft_nms"),
        ({"backbone_args": {"se_layer": "eca"}}, "se_layer"),
    ],
)
def test_what_is_not_done_is_refused(settings, words):
    with pytest.raises(ConfigError, match=words):
        built(**settings)


def test_maps_meet_as_drawn_in_the_paper():
    assert nodes(3) == [(1, [1, 2]), (0, [0, 3]), (1, [1, 3, 4]), (2, [2, 5])]


@pytest.mark.parametrize("size", [(8, 6), (7, 5), (2, 2)])
def test_pools_against_a_loop(size):
    x = torch.randn(1, 2, *size)
    small = [(side - 1) // 2 + 1 for side in size]
    for same in (True, False):
        shift = [1 if not same or side % 2 else 0 for side in size]
        wanted = torch.empty(1, 2, *small)
        for i in range(small[0]):
            for j in range(small[1]):
                top, left = 2 * i - shift[0], 2 * j - shift[1]
                part = x[:, :, max(top, 0) : top + 3, max(left, 0) : left + 3]
                wanted[:, :, i, j] = part.amax((2, 3))
        torch.testing.assert_close(pooled(x, small, same=same), wanted)


def test_anchors_against_a_loop():
    shapes = shaped(4.0, 2, [[1.0, 1.0], 4.0])
    found, index = around(torch.zeros(1, 1, 2, 3), shapes, (16, 48)), 0
    for row in range(2):
        for column in range(3):
            x, y = (column + 0.5) * 16, (row + 0.5) * 8
            for octave in range(2):
                for wide, tall in ((1.0, 1.0), (2.0, 0.5)):
                    w, h = (4 * 2 ** (octave / 2) * part / 2 for part in (wide * 16, tall * 8))
                    wanted = torch.tensor([x - w, y - h, x + w, y + h])
                    torch.testing.assert_close(found[index], wanted)
                    index += 1
    assert index == len(found)


def test_each_thing_gets_an_anchor():
    anchors = torch.tensor([[0.0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 9, 10]])
    things = torch.tensor([[0.0, 0, 10, 10], [28, 28, 40, 40]])
    assert matched(things, anchors).tolist() == [0, 1, 0]
    assert matched(things[:0], anchors).tolist() == [-1, -1, -1]


def test_losses_against_a_loop():
    torch.manual_seed(0)
    model = built(
        image_size=[64, 64], width_coefficient=0.25, depth_coefficient=0.3, fpn_channels=16,
        fpn_cell_repeats=1, box_class_repeats=1, num_labels=3,
    ).eval()  # fmt: skip
    told = {"boxes": torch.tensor([[5.0, 6, 25, 30]]), "class_labels": torch.tensor([2])}
    body = model.body
    seen = {}
    old = body._losses
    body._losses = lambda *given: seen.update(given=given) or old(*given)
    with torch.no_grad():
        found = model(pixel_values=torch.rand(1, 3, 64, 64), labels=[told]).loss_dict
    scores, codes, line, _ = seen["given"]
    place = matched(told["boxes"], line)
    count, wrong, far = int((place >= 0).sum()) + 1, 0.0, 0.0
    for index in range(len(line)):
        for label in range(3):
            yes = place[index] >= 0 and label == 2
            share = float(scores[0, index, label].sigmoid())
            right = share if yes else 1 - share
            wrong -= (0.25 if yes else 0.75) * (1 - right) ** 1.5 * math.log(right)
        if place[index] >= 0:
            left, top, end, bottom = line[index].tolist()
            wide, tall = end - left, bottom - top
            wanted = [(15 - (left + end) / 2) / wide, (18 - (top + bottom) / 2) / tall]
            wanted += [math.log(20 / wide), math.log(24 / tall)]
            for one, two in zip(codes[0, index].tolist(), wanted, strict=True):
                apart = abs(one - two)
                far += apart**2 / 2 if apart < 0.1 else 0.1 * (apart - 0.05)
    assert float(found["class_loss"]) == pytest.approx(wrong / count, rel=1e-4)
    assert float(found["box_loss"]) == pytest.approx(50 * far / (4 * count), rel=1e-4)
