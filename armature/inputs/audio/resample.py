"""Resampling: a sound at another number of samples per second, through a windowed sinc.

Each new sample is a weighted sum of the old ones around it; the weights are a sinc, cut off by a
Hann window after six of its zeros, that lets pass 99 % of the frequencies that both rates can hold.
https://ccrma.stanford.edu/~jos/resample/
"""

from __future__ import annotations

from math import ceil, gcd

import numpy as np

_ZEROS, _KEPT = 6, 0.99
_BLOCK = 1 << 17  # weights that are held at once


def resample(sound: np.ndarray, old: int, new: int) -> np.ndarray:
    """Return a sound (T,) at `new` samples per second instead of `old`."""
    if old == new:
        return sound
    divisor = gcd(old, new)
    old, new = old // divisor, new // divisor
    low = min(old, new) * _KEPT
    reach = ceil(_ZEROS * old / low)
    length = ceil(new * len(sound) / old)
    taps = np.arange(-reach, reach + 1)
    block = max(1, _BLOCK // len(taps))
    if new <= block:  # the weights of a whole number of rounds serve all blocks
        block = block // new * new
    padded = np.concatenate([np.zeros(reach, np.float32), sound, np.zeros(reach + 1, np.float32)])
    found = np.empty(length, np.float32)
    weights, shared = np.empty(0), new <= block
    for start in range(0, length, block):
        numbers = np.arange(start, min(start + block, length), dtype=np.int64)
        middle, phase = np.divmod(numbers * old, new)
        if not (shared and len(weights) >= len(numbers)):
            weights = _weights(taps - (phase / new)[:, None], low / old)
        near = padded[middle[:, None] + (taps + reach)]
        found[start : start + len(numbers)] = np.einsum("nt,nt->n", near, weights[: len(numbers)])
    return found


def _weights(distance: np.ndarray, band: float) -> np.ndarray:
    """Return the weights of samples at these distances; `band` is the share of what passes."""
    place = np.clip(distance * band, -_ZEROS, _ZEROS)
    return (np.sinc(place) * np.cos(place * np.pi / _ZEROS / 2) ** 2 * band).astype(np.float32)
