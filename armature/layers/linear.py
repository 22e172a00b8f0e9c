"""Linear maps: the only home of what acts on weights (sharding, quantisation, adapters)."""

from __future__ import annotations

import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules import module as torch_module

from armature.layers.act import FUSED, overwrite
from armature.layers.memory import plain, pooled
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


# oneDNN's matrix product reads a weight as it lies, and activates what it writes. On AMD's
# processors it is twice as fast in float32 as MKL's, which has kernels of its own for Intel's but
# packs the weight at each call: there oneDNN is ahead by up to a fifth where rows are few.
_ONEDNN = (
    torch.ops.mkldnn._linear_pointwise.default
    if torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    else None
)
_ALWAYS = "AuthenticAMD" in _maker()
_WORTH_IT = 1 << 20  # multiplications from which on the dearer call pays
_ROWS = 320  # from which on packing a weight pays
_UNPACKED = 1 << 20  # numbers of a weight from which on packing it costs more than a few rows gain


def _onednn(x: Tensor, weight: Tensor, *, fused: bool = False) -> Callable[..., Tensor] | None:
    """Return oneDNN's product where it is the fastest for an input that `_large` has passed."""
    few = x.numel() <= _ROWS * x.shape[-1]
    return _ONEDNN if _ALWAYS or (few and (fused or weight.numel() > _UNPACKED)) else None


def _large(x: Tensor, weight: Tensor) -> bool:
    """Whether it matters which product maps (…, D): plain numbers, and enough of them."""
    return x.numel() * weight.shape[0] > _WORTH_IT and plain(x, weight)


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Map (…, D) to (…, rows) by the fastest product that fits: weight (rows, D), bias (rows,)."""
    if not _large(x, weight):
        return F.linear(x, weight, bias)
    onednn = _onednn(x, weight)
    if onednn is not None:
        return onednn(x, weight, bias, "none", [], "")
    rows, width = x.numel() // x.shape[-1], weight.shape[0]
    out = pooled(rows, width)
    if out is None and rows * width >= HUGE:
        out = empty(rows, width)
    if out is None:
        return F.linear(x, weight, bias)
    flat = x.reshape(rows, -1)
    if bias is None:
        torch.mm(flat, weight.T, out=out)
    else:
        torch.addmm(bias, flat, weight.T, out=out)
    return out.view(*x.shape[:-1], width)


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
        weight = self.native() if self._suits(input) else None
        if weight is not None:
            return by_kernels(self, weight, input)
        return linear(input, self.weight, self.bias)

    def activated(self, input: Tensor, act: Callable[[Tensor], Tensor]) -> Tensor:
        """(…, D) → (…, rows), activated, in one pass where that is the fastest."""
        if not self.unwatched:
            return act(self(input))
        fused = None if type(self) is not Linear or self._suits(input) else FUSED.get(act)
        if fused and _large(input, self.weight):
            onednn = _onednn(input, self.weight, fused=True)
            if onednn is not None:
                return onednn(input, self.weight, self.bias, fused[0], [], fused[1])
        return overwrite(act, self(input))

    def _suits(self, input: Tensor) -> bool:
        """Whether the weight is large, there are few rows, and the kernels can read them."""
        few = _FEW_WORDS if _PLANS.steady or self.out_features >= _WORDS else _FEW
        return (
            (_PLANS.steady or self.out_features * self.in_features >= _LARGE)
            and input.numel() <= few * self.in_features
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
        """Whether nobody but the caller sees what goes in and comes out: no gradient, no hook."""
        watched = (
            *(self._forward_hooks, torch_module._global_forward_hooks),
            *(self._forward_pre_hooks, torch_module._global_forward_pre_hooks),
        )
        return not (any(watched) or torch.is_grad_enabled())

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
