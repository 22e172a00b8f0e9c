"""The native kernels against plain PyTorch, at every level of instructions."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from armature.layers import act
from armature.layers.linear import Linear, by_kernels
from armature.layers.packed import PRECISIONS, PackedLinear, pack, unpack
from armature.native import library
from armature.native.program import Plan, Weight, Writer

kernels = library.kernels()
pytestmark = pytest.mark.skipif(kernels is None, reason="the kernels are not built")
SIZES = [(1, 1), (16, 16), (77, 65), (300, 1000), (768, 130), (1555, 77)]
ROWS = (1, 2, 3, 7, 8, 21, 45)
ACTS = ("linear", "gelu", "gelu_new", "relu", "silu", "quick_gelu", "tanh", "sigmoid", "relu2")


@pytest.fixture(autouse=True)
def quiet():
    torch.manual_seed(0)
    with torch.inference_mode():
        yield


def mapped(x, weight, **how):
    writer = Writer()
    writer.linear("x", "y", weight, **how)
    return Plan(writer, "x", "y").run(x)


@pytest.mark.parametrize(("outputs", "inputs"), SIZES)
@pytest.mark.parametrize("lying", ["rows", "columns"])
def test_a_linear_map_is_exact(level, outputs, inputs, lying):
    weight = torch.randn(outputs, inputs)
    weight = weight if lying == "rows" else weight.t().contiguous().t()
    bias = torch.randn(outputs)
    for rows in ROWS:
        x = torch.randn(rows, inputs)
        found = mapped(x, Weight.of(weight, bias))
        expected = F.linear(x.double(), weight.double(), bias.double())
        assert (found - expected).abs().max() < 1e-6 * math.sqrt(inputs) * 4


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("outputs", "inputs"), SIZES)
def test_a_rounded_map_computes_with_rounded_numbers_and_nothing_else(
    level, outputs, inputs, precision
):
    bits, weight = PRECISIONS[precision], torch.randn(outputs, inputs)
    linear = Linear(inputs, outputs, bias=False)
    linear.weight = torch.nn.Parameter(weight)
    PackedLinear.replace(linear, bits)
    for rows in ROWS:
        x = torch.randn(rows, inputs)
        groups = F.pad(x, (0, -inputs % bits.group)).view(rows, -1, bits.group)
        scales = groups.abs().amax(-1, keepdim=True) / 127
        rounded = ((groups / scales).nan_to_num().round() * scales).flatten(1)[:, :inputs]
        expected = rounded.double() @ linear.weight.double().T
        # Where a number lies just between two whole ones, either is right.
        assert (linear(x) - expected).abs().max() < 0.05
        assert (linear(x) - expected).abs().mean() < 1e-4


@pytest.mark.parametrize("precision", PRECISIONS)
def test_packing_keeps_what_few_bits_can_hold(precision):
    bits = PRECISIONS[precision]
    step = 1 / 127 if precision == "int8" else 1 / 8
    weight = torch.randn(50, 70)
    back = unpack(*pack(weight, bits), bits, 70)[:50]
    most = F.pad(weight, (0, -70 % bits.group)).view(50, -1, bits.group).abs().amax(-1)
    bound = most.repeat_interleave(bits.group, 1)[:, :70] * step
    assert bool(((weight - back).abs() <= bound * 1.01).all())


@pytest.mark.parametrize("precision", [None, *PRECISIONS])
@pytest.mark.parametrize("lying", ["rows", "columns"])
def test_a_row_comes_out_the_same_bit_for_bit_whatever_its_neighbours(level, precision, lying):
    linear = Linear(200, 96)
    weight = torch.randn(96, 200)
    linear.weight = torch.nn.Parameter(
        weight if lying == "rows" else weight.t().contiguous().t(), requires_grad=False
    )
    linear.bias = torch.nn.Parameter(torch.randn(96))
    if precision:
        PackedLinear.replace(linear, PRECISIONS[precision])
    x = torch.randn(23, 200)
    together = by_kernels(linear, linear.native(), x)
    for row in range(23):
        assert torch.equal(by_kernels(linear, linear.native(), x[row : row + 1])[0], together[row])


@pytest.mark.parametrize("put", [library.PUT, library.ADD, library.MULTIPLY])
@pytest.mark.parametrize(
    ("code", "name"),
    list(enumerate(ACTS)),
)
def test_activations_and_what_becomes_of_them(level, code, name, put):
    weight, x = torch.randn(40, 24), torch.randn(3, 24) * 3
    writer = Writer()
    writer.linear("x", "y", Weight.of(weight, None), act=code)
    writer.linear("x", "y", Weight.of(weight, None), act=code, put=put)
    found = Plan(writer, "x", "y").run(x)
    y = act.activation(name)(F.linear(x.double(), weight.double()))
    expected = {library.PUT: y, library.ADD: y + y, library.MULTIPLY: y * y}[put]
    torch.testing.assert_close(found.double(), expected, atol=3e-5, rtol=3e-6)


@pytest.mark.parametrize(("groups", "width"), [(1, 40), (3, 16), (2, 7)])
@pytest.mark.parametrize("centred", [True, False])
def test_norms(level, groups, width, centred):
    x = torch.randn(5, groups * width) + 1
    weight, bias = torch.randn(groups, width), torch.randn(width)
    apart = groups > 1
    writer = Writer()
    writer.norm(
        "x",
        "y",
        width,
        weight=weight if apart else weight[0],
        bias=bias if centred and not apart else None,
        eps=1e-3,
        centred=centred,
        groups=groups,
    )
    writer.buffer("x", groups * width)
    found = Plan(writer, "x", "y").run(x)
    parts = x.view(5, groups, width)
    if centred:
        parts = parts - parts.mean(-1, keepdim=True)
    y = parts / (parts.square().mean(-1, keepdim=True) + 1e-3).sqrt() * weight
    y = y + bias if centred and not apart else y
    torch.testing.assert_close(found, y.flatten(1), atol=1e-5, rtol=1e-5)


def test_they_can_be_switched_off(monkeypatch):
    monkeypatch.setenv(library.SWITCH, "0")
    assert library.kernels.__wrapped__() is None
