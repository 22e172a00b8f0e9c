"""Ways: the words of `Kind.way` → how sounds become rows that a model reads, told by settings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from armature.inputs.audio import spectrum
from armature.inputs.audio.rows import Fit, padded

Settings = Mapping[str, Any]
Rows = list[np.ndarray]


def samples(sounds: Sequence[np.ndarray], s: Settings, fit: Fit, *, masked: bool) -> Any:
    """Make rows (T) of the samples themselves, of mean 0 and deviation 1."""
    cut = fit.cut(sounds)
    rows, masks = padded(cut, fit.length(cut), s)
    if s["do_normalize"]:
        # HF: padding counts for the mean, too, unless a mask is asked for, and then a row's length
        # is counted from its left end.
        ends = [int(mask.sum()) for mask in masks]
        ends = ends if masked and fit.how != "do_not_pad" else [len(row) for row in rows]
        rows = [_normed(row, end, s) for row, end in zip(rows, ends, strict=True)]
    return rows, masks


def normed_banks(sounds: Sequence[np.ndarray], s: Settings, fit: Fit, *, masked: bool) -> Any:
    """Make rows (frames, bands) of Kaldi's filter banks, normed over each sound."""
    bank = spectrum.kaldi_bank(s["num_mel_bins"], s["sampling_rate"])
    window = spectrum.povey(400)
    made = [spectrum.kaldi(_noisy(one * 2**15, s), bank, window) for one in sounds]
    cut = fit.cut(made)
    rows, masks = padded(cut, fit.length(cut), s)
    if s["do_ceptral_normalize"]:
        if len({row.shape for row in rows}) == 1:
            rows = [
                np.ascontiguousarray(row) for row in rows
            ]  # HF: the order in memory decides how sums are rounded
        rows = [_even(row, int(m.sum()), s) for row, m in zip(rows, masks, strict=True)]
    return rows, masks


def fixed_banks(sounds: Sequence[np.ndarray], s: Settings, fit: Fit, *, masked: bool) -> Any:
    """Make rows (frames, bands) of Kaldi's filter banks, all of the length that the model has."""
    bank = spectrum.kaldi_bank(s["num_mel_bins"], s["sampling_rate"])
    window, most = spectrum.hann(400), s["max_length"]
    made = [spectrum.kaldi(one, bank, window)[:most] for one in sounds]
    rows, _ = padded(made, most, {"padding_side": "right", "padding_value": 0.0})
    if s["do_normalize"]:
        rows = [(row - s["mean"]) / (s["std"] * 2) for row in rows]
    return rows, None


def logarithms(sounds: Sequence[np.ndarray], s: Settings, fit: Fit, *, masked: bool) -> Any:
    """Make rows (bands, frames) of Whisper's spectra; short sounds are followed by silence."""
    bank = spectrum.slaney_bank(s["feature_size"], s["sampling_rate"], s["n_fft"], 8000.0)
    cut = fit.cut(sounds)
    rows, masks = padded(cut, fit.length(cut), s)
    if s["do_normalize"]:
        ends = [int(mask.sum()) for mask in masks]
        rows = [_normed(row, end, s) for row, end in zip(rows, ends, strict=True)]
    hop = s["hop_length"]
    made = [spectrum.log_mel(_noisy(row, s), bank, size=s["n_fft"], hop=hop) for row in rows]
    return made, [mask[::hop][: len(mask) // hop] for mask in masks]


WAYS: dict[str, Callable[..., tuple[Rows, Rows | None]]] = {
    "samples": samples,
    "normed_banks": normed_banks,
    "fixed_banks": fixed_banks,
    "logarithms": logarithms,
}
"""Each returns rows and, for each, which parts of it are sound, or None."""


def _normed(row: np.ndarray, end: int, s: Settings) -> np.ndarray:
    """Return samples of mean 0 and deviation 1; what comes after `end` is padding."""
    found = (row - row[:end].mean()) / np.sqrt(row[:end].var() + 1e-7)
    found[end:] = s["padding_value"]
    return found


def _even(row: np.ndarray, end: int, s: Settings) -> np.ndarray:
    """Return a spectrum whose bands have the mean 0 and the deviation 1 over its frames."""
    if s["normalize_means"]:
        row = row - row[:end].mean(axis=0)
    if s["normalize_vars"]:
        spread = row[:end].std(axis=0)
        row = row / np.where(spread > 0, spread, 1)
    row = row.astype(np.float32)  # a copy
    row[end:] = s["padding_value"]
    return row


def _noisy(sound: np.ndarray, s: Settings) -> np.ndarray:
    """Add a little noise, where a checkpoint asks for it: silence has no logarithm."""
    if not s["dither"]:
        return sound
    import torch

    return sound + s["dither"] * torch.randn(len(sound)).numpy()
