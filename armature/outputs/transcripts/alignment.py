"""Alignment: when each token was said, by where in the sound its attention lies.

Some heads of the attention to the sound follow what is being said; the path through the mean of
their weights that goes forward only (dynamic time warping) gives each token a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F


def token_times(
    found: Any,
    heads: Sequence[Sequence[int]],
    *,
    prompt: int,
    frames: Sequence[int] | None,
    smooth: int,
    step: float,
) -> Tensor:
    """Return the time in seconds of every token, (R, prompt + new).

    Args:
        found: a result of generate() with `cross_attentions`.
        heads: pairs of layer and head that follow the sound.
        prompt: how many tokens were there before.
        frames: of each row, how many frames of its sound are no padding; None: all.
        smooth: width of the median filter.
        step: seconds between two places of the encoder.
    """
    layers = {layer for layer, _ in heads}
    whole = {i: torch.cat([one[i] for one in found.cross_attentions], 2) for i in layers}
    weights = torch.stack([whole[layer][:, head] for layer, head in heads], 1)  # (R, heads, T, S)
    beams = getattr(found, "beam_indices", None)
    if beams is not None:
        weights = _of_beams(weights, beams, prompt)
    weights = weights[:, :, prompt:]
    times = torch.zeros(len(weights), prompt + weights.shape[2] + 1)
    for row in range(len(weights)) if weights.shape[2] else ():
        matrix = weights[row] if frames is None else weights[row, ..., : int(frames[row]) // 2]
        deviation = matrix.std(-2, keepdim=True, unbiased=False)
        matrix = (matrix - matrix.mean(-2, keepdim=True)) / deviation
        jumps = first_places(-_median(matrix, smooth).mean(0).double().cpu().numpy())
        times[row, prompt:-1] = torch.from_numpy(jumps * step)
        times[row, -1] = times[row, -2]
    return times


def _of_beams(weights: Tensor, beams: Tensor, prompt: int) -> Tensor:
    """Return the weights (R, heads, T, S) of the beams that the sequences came from."""
    width = int((beams != -1).sum(-1).max())
    chosen = beams[:, :width].to(weights.device)
    chosen = torch.cat((chosen[:, :1].expand(-1, prompt - 1), chosen), 1).clamp(min=0)
    return torch.stack([weights[chosen[:, i], :, i] for i in range(chosen.shape[1])], 2)


def _median(x: Tensor, width: int) -> Tensor:
    """Smooth (…, S) by the median of neighbours, edges reflected."""
    half = width // 2
    if x.shape[-1] <= half:
        return x
    flat = F.pad(x, (half, half, 0, 0), mode="reflect")
    return flat.unfold(-1, width, 1).sort()[0][..., half]


def first_places(cost: np.ndarray) -> np.ndarray:
    """Return where each row of (T, S) costs begins on the cheapest path that never goes back."""
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf, dtype=np.float32)
    total[0, 0] = 0
    step = np.zeros((rows + 1, columns + 1), dtype=np.int8)
    step[0, :], step[:, 0] = 2, 1
    for j in range(1, columns + 1):
        for i in range(1, rows + 1):
            both, down, right = total[i - 1, j - 1], total[i - 1, j], total[i, j - 1]
            if both < down and both < right:
                best, step[i, j] = both, 0
            elif down < both and down < right:
                best, step[i, j] = down, 1
            else:
                best, step[i, j] = right, 2
            total[i, j] = cost[i - 1, j - 1] + best
    path, i, j = [], rows, columns
    while i > 0 or j > 0:
        path.append((i - 1, j - 1))
        move = step[i, j]
        i, j = i - (move != 2), j - (move != 1)
    first: dict[int, int] = {}
    for row, column in reversed(path):
        first.setdefault(row, column)
    return np.array([first[row] for row in sorted(first)])
