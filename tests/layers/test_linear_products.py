"""Linear maps with an activation: in one pass or two, watched or not, the same numbers."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from armature.layers.act import ACTIVATIONS
from armature.layers.linear import Linear


def filled(bias):
    dice = torch.Generator().manual_seed(0)
    one = Linear(512, 640, bias=bias)
    with torch.no_grad():
        for weight in one.parameters():
            weight.copy_(torch.randn(weight.shape, generator=dice) / 20)
    return one


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("name", ["gelu", "gelu_new", "relu", "silu", "quick_gelu"])
@pytest.mark.parametrize("rows", [2, 40, 500])
def test_activated_maps_equal_the_two_steps(rows, name, bias):
    one, act = filled(bias), ACTIVATIONS[name]
    x = torch.randn(rows, 512, generator=torch.Generator().manual_seed(1))
    wanted = act(F.linear(x, one.weight, one.bias))
    with torch.no_grad():
        torch.testing.assert_close(one.activated(x, act), wanted, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(one.activated(x, act), wanted, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_hooks_see_what_a_map_makes_before_it_is_activated():
    one, seen = filled(bias=True), []
    x = torch.randn(40, 512, generator=torch.Generator().manual_seed(1))
    one.register_forward_hook(lambda module, given, made: seen.append(made))
    made = one.activated(x, torch.relu)
    assert float(seen[0].min()) < 0
    assert seen[0].relu().equal(made)
