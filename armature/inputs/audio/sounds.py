"""Sounds: paths, bytes, data URLs, files, arrays, lists and tensors → arrays (T,), float32."""

from __future__ import annotations

import base64
import binascii
import io
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from armature.errors import ArgumentError
from armature.inputs.audio import wav
from armature.inputs.audio.resample import resample

MOST_SAMPLES = 1 << 28  # a gigabyte: four and a half hours at 16,000 samples per second
_RATES = range(1, 1_000_001)

Sound = Any
"""A path, bytes, a data URL, an open file; numbers as an array, list or tensor; or one of these
with its samples per second: `{"array": …, "sampling_rate": 16000}`."""


def read(source: Sound, rate: int) -> np.ndarray:
    """Return a sound (T,) at `rate` samples per second; numbers alone are taken to be at it.

    Raises:
        ArgumentError: it is no sound, is damaged, too long, or holds nothing or no numbers.
    """
    own = rate
    if isinstance(source, Mapping):
        source, own = _with_rate(source)
    if is_file(source):
        sound, own = _of_file(source)
    else:
        sound = numbers(source)
    if own != rate:
        _check_length(round(len(sound) / own * rate), "the sound")
        sound = resample(sound, own, rate)
    return sound


def is_file(source: Sound) -> bool:
    """Say whether a sound is in a file, or in the bytes of one."""
    return isinstance(source, str | bytes | bytearray | os.PathLike) or hasattr(source, "read")


def is_one(source: Any) -> bool:
    """Say whether this is one sound, and not several."""
    if is_file(source) or isinstance(source, Mapping):
        return True
    if isinstance(source, list | tuple):
        return bool(source) and isinstance(source[0], int | float)
    return getattr(source, "ndim", 2) == 1


def many(sources: Any) -> list[Sound]:
    """Return a list of sounds: of one, of several, or of an array or tensor (B, T) of them.

    Raises:
        ArgumentError: there is none.
    """
    if is_one(sources):
        return [sources]
    if getattr(sources, "ndim", 2) != 2 or not len(sources):
        shape = getattr(sources, "shape", (0,))
        raise ArgumentError(
            f"There is no sound of one channel in this ({type(sources).__name__} of the shape "
            f"{tuple(shape)}): give (samples) or (sounds, samples)"
        )
    return list(sources)


def numbers(source: Any) -> np.ndarray:
    """Return the numbers of an array, list or tensor as they are, float32 (T,).

    Raises:
        ArgumentError: they are none, are NaN or infinite, or have several channels.
    """
    if hasattr(source, "detach"):
        source = source.detach().cpu().float().numpy()
    try:
        found = np.asarray(source)
        sound = found.astype(np.float32, copy=False)
    except (TypeError, ValueError):
        raise ArgumentError(
            f"{type(source).__name__} is no sound: give a path, bytes, an array, a list of numbers "
            "or a tensor"
        ) from None
    if found.dtype.kind not in "fiu" or sound.ndim != 1:
        raise ArgumentError(
            f"A sound should be numbers (samples,) of one channel, but has the shape {sound.shape} "
            f"and the type {found.dtype}.\n  → mix the channels first: sound.mean(axis=…)"
        )
    return _checked(sound, "the sound")


# -------------------------------------------------------------------- files


def _with_rate(table: Mapping[str, Any]) -> tuple[Sound, int]:
    """Read a sound with its samples per second, as pipelines and data sets write them."""
    names = ("raw", "array", "path", "bytes")
    source = next((table[name] for name in names if table.get(name) is not None), None)
    rate = table.get("sampling_rate")
    if source is None or (rate is None and not is_file(source)):
        raise ArgumentError(
            'A sound in a mapping should be {"array": …, "sampling_rate": …}, but this one has '
            f"{', '.join(map(str, table)) or 'nothing'}"
        )
    rate = 1 if rate is None else rate
    if isinstance(rate, bool) or not isinstance(rate, int) or rate not in _RATES:
        raise ArgumentError(f"sampling_rate={rate!r} should be a whole number up to {_RATES[-1]:,}")
    return source, rate


def _of_file(source: Any) -> tuple[np.ndarray, int]:
    """Return a file's sound, its channels mixed, and its samples per second."""
    file, name, size = _opened(source)
    try:
        header = wav.read_header(file, size)
        _check_length(header.frames, name)
        return _mixed(wav.blocks(file, header), header.frames, name), header.rate
    except wav.OtherFormatError as error:
        file.seek(0)
        return _of_other(file, name, error)
    except ArgumentError as error:
        raise error if name in str(error) else ArgumentError(f"{name}: {error}") from None
    finally:
        if not hasattr(source, "read"):
            file.close()


def _mixed(blocks: Iterator[np.ndarray], frames: int, name: str) -> np.ndarray:
    sound, done = np.empty(frames, np.float32), 0
    for block in blocks:
        sound[done : done + len(block)] = block.mean(axis=1)
        done += len(block)
    return _checked(sound[:done], name)


def _of_other(file: BinaryIO, name: str, why: Exception) -> tuple[np.ndarray, int]:
    """Read what is no plain WAV file: FLAC, OGG, MP3."""
    try:
        import soundfile  # type: ignore[import-not-found]
    except ImportError as error:
        raise ArgumentError(
            f"{name}: only WAV files with plain samples are read without soundfile, which is not "
            f'installed ({why}).\n  → pip install "armature-models[audio]"'
        ) from error
    try:
        with soundfile.SoundFile(file) as opened:
            _check_length(opened.frames, name)
            blocks = opened.blocks(1 << 20, dtype="float32", always_2d=True)
            return _mixed(blocks, opened.frames, name), opened.samplerate
    except soundfile.SoundFileError as error:
        raise ArgumentError(f"{name}: this is no sound that can be read ({error})") from None


def _opened(source: Any) -> tuple[BinaryIO, str, int]:
    """Return an open file at its beginning, what to call it, and how many bytes it has."""
    if isinstance(source, bytes | bytearray):
        return io.BytesIO(source), f"a sound of {len(source)} bytes", len(source)
    if hasattr(source, "read"):
        file, name = source, str(getattr(source, "name", "a sound"))
        if not getattr(file, "seekable", lambda: False)():
            file = io.BytesIO(file.read())
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        return file, name, size
    return _named(os.fspath(source))


def _named(text: str) -> tuple[BinaryIO, str, int]:
    """Open a path, a data URL or base64; see `_opened`."""
    if text.startswith(("http://", "https://")):
        raise ArgumentError(f"{text}: download the sound first, and give its path or bytes")
    if not text.startswith("data:"):
        path = Path(text)
        try:
            if path.is_file():
                return path.open("rb"), text, path.stat().st_size
        except (OSError, ValueError):  # a name that no file can have
            pass
    body = text.partition(",")[2] if text.startswith("data:") else text
    try:
        raw = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        shown = text if len(text) < 200 else f"{text[:100]}…"
        raise ArgumentError(f"{shown}: there is no such file, nor is it a data URL") from None
    return io.BytesIO(raw), "a sound in base64", len(raw)


def _check_length(samples: int, name: str) -> None:
    if samples > MOST_SAMPLES:
        raise ArgumentError(
            f"{name}: it has {samples:,} samples, more than {MOST_SAMPLES:,}.\n"
            "  → cut it into shorter sounds first"
        )


def _checked(sound: np.ndarray, name: str) -> np.ndarray:
    _check_length(len(sound), name)
    if not len(sound):
        raise ArgumentError(f"{name}: it has no samples")
    if not np.isfinite(sound).all():
        raise ArgumentError(f"{name}: it holds NaN or infinite samples")
    return sound
