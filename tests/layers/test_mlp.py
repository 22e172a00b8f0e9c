"""Mlps: activations write over what nobody else sees, and over nothing else."""

from __future__ import annotations

import pytest
import torch

from armature.layers.context import Context
from armature.layers.mlp import Dense


@pytest.mark.parametrize("act", ["gelu", "gelu_new", "relu", "silu", "quick_gelu"])
def test_an_activation_in_place_changes_no_result_and_nothing_that_a_hook_sees(act):
    mlp = Dense(8, 16, act, bias=True)
    for parameter in mlp.parameters():
        torch.nn.init.normal_(parameter, generator=torch.Generator().manual_seed(0))
    x, context, seen = torch.linspace(-2, 2, 24).view(3, 8), Context(None), []
    with_gradient = mlp(x, context)
    with torch.no_grad():
        assert torch.equal(mlp(x, context), with_gradient)
        mlp.up.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
        assert torch.equal(mlp(x, context), with_gradient)
        assert torch.equal(seen[0], mlp.up(x))
    with_gradient.sum().backward()
    assert all(parameter.grad is not None for parameter in mlp.parameters())
