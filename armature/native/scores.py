"""Scores of a whole vocabulary: room for them, log-probabilities, and the best of each row."""

from __future__ import annotations

import torch
from torch import Tensor

from armature.native import library

HUGE = 1 << 21  # numbers from which on the system's large pages pay
_LARGE = 1 << 14  # scores from which on the kernels are worth their call
_MANY = 64  # of the best: with more, a selection is faster than keeping them in order


def empty(rows: int, width: int) -> Tensor:
    """Return a float32 tensor (rows, width) with nothing in it, on the CPU.

    The first touch of a large one costs more than filling it; it costs less in large pages.
    """
    found = torch.empty(rows, width)
    kernels = library.kernels() if found.numel() >= HUGE else None
    if kernels is not None:
        kernels.armature_widen(found.data_ptr(), found.nbytes)
    return found


def log_softmax(scores: Tensor) -> Tensor:
    """Return log-probabilities of scores (R, V), which may be written over."""
    kernels = library.kernels() if _suits(scores) else None
    if kernels is None:
        return scores.log_softmax(-1)
    kernels.armature_log_softmax(scores.data_ptr(), *scores.shape, torch.get_num_threads())
    return scores


def best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Return the `count` largest of each row of (R, V), largest first, and their columns."""
    kernels = library.kernels() if _suits(scores) and 0 < count <= _MANY else None
    if kernels is None:
        found = scores.topk(count)
        return found.values, found.indices
    values = scores.new_empty(len(scores), count)
    columns = torch.empty(len(scores), count, dtype=torch.long)
    kernels.armature_best(
        *(scores.data_ptr(), *scores.shape, count),
        *(values.data_ptr(), columns.data_ptr(), torch.get_num_threads()),
    )
    return values, columns


def _suits(scores: Tensor) -> bool:
    return (
        scores.numel() >= _LARGE
        and scores.dim() == 2
        and scores.dtype is torch.float32
        and scores.device.type == "cpu"
        and scores.is_contiguous()
        and not scores.requires_grad
    )
