"""Spectra: sounds (T,) → how loud each band of pitch is in each frame, (frames, bands).

The mel scale of Stevens, Volkmann & Newman 1937 in its three published curves, and the two ways to
spectra that models were trained with: Kaldi's filter banks, and the logarithms of Whisper (Radford
et al. 2022).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from armature.errors import ArgumentError

_FRAMES = 4096  # that are transformed at once


def mel_of(hertz: np.ndarray, curve: str) -> np.ndarray:
    """Return pitches in mel: of the curve "htk", "kaldi" or "slaney" (even up to 1000 Hz)."""
    hertz = np.asarray(hertz, np.float64)
    if curve == "htk":
        return 2595.0 * np.log10(1.0 + hertz / 700.0)
    if curve == "kaldi":
        return 1127.0 * np.log(1.0 + hertz / 700.0)
    high = 15.0 + np.log(np.maximum(hertz, 1.0) / 1000.0) * (27.0 / np.log(6.4))
    return np.where(hertz >= 1000.0, high, 3.0 * hertz / 200.0)


def hertz_of(mel: np.ndarray, curve: str) -> np.ndarray:
    """Return the frequencies of pitches; the way back of `mel_of`."""
    if curve == "htk":
        return 700.0 * (10.0 ** (mel / 2595.0) - 1.0)
    high = 1000.0 * np.exp(np.log(6.4) / 27.0 * (mel - 15.0))
    return np.where(mel >= 15.0, high, 200.0 * mel / 3.0)


@lru_cache(maxsize=32)
def kaldi_bank(bands: int, rate: int, size: int = 512) -> np.ndarray:
    """Return Kaldi's filters (frequencies, bands): triangles in mel, from 20 Hz upwards."""
    low, high = mel_of(np.array([20.0, rate // 2]), "kaldi")
    edges = np.linspace(low, high, bands + 2)
    pitches = mel_of(rate / size * np.arange(size // 2 + 1), "kaldi")
    return _triangles(pitches, edges)


@lru_cache(maxsize=32)
def slaney_bank(bands: int, rate: int, size: int, highest: float) -> np.ndarray:
    """Return Slaney's filters (frequencies, bands): triangles in hertz, all of one area."""
    low, high = mel_of(np.array([0.0, highest]), "slaney")
    edges = hertz_of(np.linspace(low, high, bands + 2), "slaney")
    bank = _triangles(np.linspace(0, rate // 2, size // 2 + 1), edges)
    return bank * (2.0 / (edges[2:] - edges[:-2]))


def _triangles(places: np.ndarray, edges: np.ndarray) -> np.ndarray:
    slopes = edges - places[:, None]
    widths = np.diff(edges)
    return np.maximum(0, np.minimum(-slopes[:, :-2] / widths[:-1], slopes[:, 2:] / widths[1:]))


def hann(length: int) -> np.ndarray:
    """Return Hann's window, which is 0 at both ends."""
    return np.hanning(length)


def povey(length: int) -> np.ndarray:
    """Return Povey's window: like Hann's, but not 0 at its ends."""
    return np.hanning(length) ** 0.85


def kaldi(
    sound: np.ndarray, bank: np.ndarray, window: np.ndarray, *, hop: int = 160, size: int = 512
) -> np.ndarray:
    """Return the logarithms of filter banks as Kaldi computes them, float32 (frames, bands).

    Args:
        sound: (T,).
        bank: (frequencies, bands).
        window: as long as a frame.
        hop: samples from one frame to the next.
        size: of the transform.

    Raises:
        ArgumentError: the sound is shorter than a frame.
    """
    length = len(window)
    if len(sound) < length:
        raise ArgumentError(
            f"A sound has {len(sound)} samples, fewer than the {length} of one frame: it is too "
            "short"
        )
    frames = np.lib.stride_tricks.sliding_window_view(sound, length)[::hop]
    found = np.empty((bank.shape[1], len(frames)), np.float32).T  # sums over a band run faster
    for start in range(0, len(frames), _FRAMES):
        part = frames[start : start + _FRAMES].astype(np.float64)
        part -= part.mean(axis=1, keepdims=True)
        part[:, 1:] -= 0.97 * part[:, :-1]
        part[:, 0] *= 1 - 0.97
        turned = np.fft.rfft(part * window, size).astype(np.complex64)  # as models were trained
        energy = np.abs(turned, dtype=np.float64) ** 2
        bands = np.maximum(np.finfo(np.float32).eps, energy @ bank)
        found[start : start + _FRAMES] = np.log(bands)
    return found


def log_mel(sound: np.ndarray, bank: np.ndarray, *, size: int, hop: int) -> np.ndarray:
    """Return Whisper's spectrum of a sound, float32 (bands, frames): 8 powers of ten deep.

    Args:
        sound: (T,).
        bank: (frequencies, bands).
        size: of the transform.
        hop: samples from one frame to the next.

    Raises:
        ArgumentError: the sound is shorter than half a transform.
    """
    import torch

    if len(sound) <= size // 2:
        raise ArgumentError(
            f"A sound has {len(sound)} samples, but {size // 2 + 1} are needed for a spectrum: it "
            "is too short"
        )
    turned = torch.stft(
        torch.from_numpy(np.ascontiguousarray(sound)),
        size,
        hop,
        window=torch.hann_window(size),
        return_complex=True,
    )
    energy = (turned[:, :-1].abs() ** 2).contiguous()
    bands = torch.from_numpy(bank.astype(np.float32)).T @ energy
    found = bands.clamp(min=1e-10).log10()
    return ((found.clamp(min=float(found.max()) - 8.0) + 4.0) / 4.0).numpy()
