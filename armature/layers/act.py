"""Activations by the names that checkpoints use."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.errors import ConfigError, nearest


def _gelu_tanh(x: Tensor) -> Tensor:
    return F.gelu(x, approximate="tanh")


def _gelu_clipped(x: Tensor) -> Tensor:
    return F.gelu(x).clip(-10, 10)


def _quick_gelu(x: Tensor) -> Tensor:
    return x * torch.sigmoid(1.702 * x)


def _laplace(x: Tensor) -> Tensor:
    return 0.5 * (1 + torch.erf((x - 0.707107) / (0.282095 * math.sqrt(2))))


def _sqrt_softplus(x: Tensor) -> Tensor:
    return F.softplus(x).sqrt()


def _linear(x: Tensor) -> Tensor:
    return x


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_python": F.gelu,
    "gelu_new": _gelu_tanh,
    "gelu_fast": _gelu_tanh,
    "gelu_accurate": _gelu_tanh,
    "gelu_pytorch_tanh": _gelu_tanh,
    "gelu_python_tanh": _gelu_tanh,
    "gelu_10": _gelu_clipped,
    "quick_gelu": _quick_gelu,
    "relu": F.relu,
    "relu2": lambda x: F.relu(x).square(),
    "relu6": F.relu6,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
    "hardswish": F.hardswish,
    "sqrtsoftplus": _sqrt_softplus,
    "silu": F.silu,
    "swish": F.silu,
    "mish": F.mish,
    "laplace": _laplace,
    "linear": _linear,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "softmax": lambda x: x.softmax(-1),
}


# Fresh memory for a large tensor costs more than computing an activation does.
_IN_PLACE: dict[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]] = {
    F.gelu: torch.ops.aten.gelu_.default,
    _gelu_tanh: partial(torch.ops.aten.gelu_.default, approximate="tanh"),
    F.relu: torch.relu_,
    F.silu: partial(F.silu, inplace=True),
}


# As oneDNN calls them, which computes them in one pass with the matrix product before.
FUSED: dict[Callable[[Tensor], Tensor], tuple[str, str]] = {
    F.gelu: ("gelu", "none"),
    _gelu_tanh: ("gelu", "tanh"),
    F.relu: ("relu", ""),
}


def overwrite(act: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply an activation to a tensor that nobody else holds, in its own memory if that goes."""
    return _IN_PLACE.get(act, act)(x)


def activation(name: str) -> Callable[[Tensor], Tensor]:
    """Return the activation of this name.

    Raises:
        ConfigError: no activation has this name.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(f"no activation is called {name!r}.{nearest(str(name), ACTIVATIONS)}")
    return ACTIVATIONS[name]
