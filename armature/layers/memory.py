"""Memory that one pass uses again: to touch fresh memory costs more than to fill it.

What large maps and additions make is short-lived and of few sizes, but the system takes large
blocks back as soon as they are let go, and hands out zeros the next time. While a pass runs, they
come from a pool here.
"""

from __future__ import annotations

import math
import mmap
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor

_LARGE = 1 << 21  # float32 numbers from which on it matters
_SPARE = 2  # a block may be this much larger than what is asked for
_KEPT = 4  # blocks that wait for another use, while a larger or smaller one is wanted


class Pool:
    """Blocks of memory, each lent to one tensor at a time."""

    def __init__(self) -> None:
        self._open = True
        self._free: list[mmap.mmap] = []
        self._lent: dict[int, weakref.ref[memoryview]] = {}

    def empty(self, *shape: int) -> Tensor:
        """Return a float32 tensor with nothing in it; its block comes back when nobody holds it."""
        count = math.prod(shape)
        size = count * 4
        fitting = [block for block in self._free if size <= len(block) <= _SPARE * size]
        if fitting:
            block = min(fitting, key=len)
            self._free.remove(block)
        else:
            del self._free[:-_KEPT]  # sizes of earlier layers: let the system have them
            block = mmap.mmap(-1, size)
        lease = memoryview(block)  # which the tensor's storage holds, and every view of it
        self._lent[id(lease)] = weakref.ref(lease, partial(self._back, block, id(lease)))
        return torch.frombuffer(lease, dtype=torch.float32, count=count).view(shape)

    def _back(self, block: mmap.mmap, lease: int, _ended: weakref.ref[memoryview]) -> None:
        del self._lent[lease]
        if self._open:
            self._free.append(block)

    def close(self) -> None:
        """Give back what nobody holds, now, and the rest as soon as it is let go."""
        self._open = False
        self._free.clear()


class _Passes(threading.local):
    pool: Pool | None = None


_PASSES = _Passes()


@contextmanager
def reused() -> Iterator[None]:
    """Take large tensors from one pool, which goes when the outermost pass of a thread ends."""
    if _PASSES.pool is not None:
        yield
        return
    _PASSES.pool = pool = Pool()
    try:
        yield
    finally:
        _PASSES.pool = None
        pool.close()


def pooled(*shape: int) -> Tensor | None:
    """Return an empty float32 tensor of the CPU from the running pass's pool, if it is large."""
    pool = _PASSES.pool
    return None if pool is None or math.prod(shape) < _LARGE else pool.empty(*shape)


def plain(x: Tensor, y: Tensor) -> bool:
    """Whether both are float32 on the CPU, and neither gradients nor a compiler look."""
    return (
        x.dtype is y.dtype is torch.float32
        and x.device.type == "cpu"
        and not torch.is_grad_enabled()
        and not torch.compiler.is_compiling()
    )


def add(x: Tensor, y: Tensor) -> Tensor:
    """Return x + y, both of one shape."""
    out = pooled(*x.shape) if x.numel() >= _LARGE and plain(x, y) else None
    return x + y if out is None else torch.add(x, y, out=out)
