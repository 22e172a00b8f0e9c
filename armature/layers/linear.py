"""Linear maps: the only home of what acts on weights (sharding, quantisation, adapters)."""

from __future__ import annotations

import platform
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_module

from armature.native import library
from armature.native.program import Plan, Weight, Writer
from armature.native.scores import HUGE, empty


def _maker() -> str:
    """Return what the system says of the processor's maker."""
    listing = Path("/proc/cpuinfo")
    if not listing.exists():
        return platform.processor()
    with listing.open(encoding="utf-8", errors="replace") as lines:
        return next((line for line in lines if line.startswith("vendor_id")), "")


# MKL has kernels of its own for Intel's processors. On AMD's, oneDNN's matrix product is twice as
# fast in float32. It reads the weight as it lies, so nothing is packed or held twice.
_ONEDNN = (
    torch.ops.mkldnn._linear_pointwise.default
    if "AuthenticAMD" in _maker()
    and torch.backends.mkldnn.is_available()
    and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    else None
)
_WORTH_IT = 1 << 20  # multiplications from which on the dearer call pays


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Map (…, D) to (…, rows) by the fastest product that fits: weight (rows, D), bias (rows,)."""
    plain = (
        x.dtype is weight.dtype is torch.float32
        and x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )
    if plain and _ONEDNN is not None and x.numel() * weight.shape[0] > _WORTH_IT:
        return _ONEDNN(x, weight, bias, "none", [], "")
    if plain and x.numel() // x.shape[-1] * weight.shape[0] >= HUGE:
        flat = x.reshape(-1, x.shape[-1])
        found = empty(len(flat), weight.shape[0])
        if bias is None:
            torch.mm(flat, weight.T, out=found)
        else:
            torch.addmm(bias, flat, weight.T, out=found)
        return found.view(*x.shape[:-1], -1)
    return F.linear(x, weight, bias)


class _Plans(threading.local):
    """The programs of single maps, for each thread its own: a program serves one at a time."""

    def __init__(self) -> None:
        self.known: WeakKeyDictionary[nn.Module, tuple[bytes, Plan]] = WeakKeyDictionary()
        self.steady = False


_PLANS = _Plans()


@contextmanager
def steadily() -> Iterator[None]:
    """Compute rows, if they are few, so that none depends on how many others there are."""
    before, _PLANS.steady = _PLANS.steady, True
    try:
        yield
    finally:
        _PLANS.steady = before


_FEW = 8  # rows up to which the native kernels read a large weight faster than a matrix product
_WORDS = 1 << 14  # outputs from which on they serve as many rows as decoding gives them
_FEW_WORDS = 32
_LARGE = 1 << 18  # numbers in a weight


def by_kernels(module: Linear, weight: Weight, input: Tensor) -> Tensor:
    """Map (…, D) → (…, rows) by the native kernels, as which `weight` the module's is read."""
    told = bytes(weight.map())  # where all of it lies: a bias may be replaced alone
    before, plan = _PLANS.known.get(module, (b"", None))
    if plan is None or before != told:
        writer = Writer()
        writer.linear("x", "y", weight)
        plan = Plan(writer, "x", "y")
        _PLANS.known[module] = (told, plan)
    flat = input.reshape(-1, weight.inputs)
    return plan.run(flat).view(*input.shape[:-1], weight.outputs)


class Linear(nn.Linear):
    """One linear map."""

    def forward(self, input: Tensor) -> Tensor:
        """(…, D) → (…, rows)."""
        large = _PLANS.steady or self.weight.numel() >= _LARGE
        weight = self.native() if large and self._suits(input) else None
        if weight is not None:
            return by_kernels(self, weight, input)
        return linear(input, self.weight, self.bias)

    def _suits(self, input: Tensor) -> bool:
        """Whether there are few rows, and the kernels can read them."""
        few = _FEW_WORDS if _PLANS.steady or self.out_features >= _WORDS else _FEW
        return (
            input.numel() <= few * self.in_features
            and input.dtype is torch.float32
            and not torch.is_grad_enabled()
            and not torch.compiler.is_compiling()
            and library.kernels() is not None
        )

    def native(self) -> Weight | None:
        """Return the map as the native kernels read it, or None where they cannot."""
        return Weight.of(self.weight.detach(), self.bias)

    @property
    def unwatched(self) -> bool:
        """Whether nobody but the caller gets what comes out: no gradient and no hook."""
        watched = self._forward_hooks or torch_module._global_forward_hooks
        return not (watched or torch.is_grad_enabled())

    def reset_parameters(self) -> None:
        """Leave the weights as they are: they are filled once, by a file or by the model."""


class LinearGroup(nn.Module):
    """Several linear maps of one input: queries, keys and values, or a gate and what it opens.

    Each keeps a weight of its own, so that a checkpoint that stores them apart is read without
    copying, and so is one that stores them fused: each is then a stretch of the fused tensor
    (`armature.checkpoint.views`).
    """

    def __init__(
        self, width: int, parts: dict[str, int], *, bias: bool = True, groups: int = 1
    ) -> None:
        super().__init__()
        self.parts = parts  # name → rows
        self.groups = groups  # key-value heads: how fused layouts on disk interleave
        for name, rows in parts.items():
            setattr(self, name, Linear(width, rows, bias=bias))

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """(N, D) → one (N, rows) for each part."""
        return tuple(self.part(x, name) for name in self.parts)

    def unbias(self, name: str) -> None:
        """Take the bias of one part away."""
        getattr(self, name).register_parameter("bias", None)

    def part(self, x: Tensor, name: str) -> Tensor:
        """(N, D) → (N, rows) of one part alone."""
        return getattr(self, name)(x)
