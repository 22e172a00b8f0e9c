"""WAV files: the header and the samples of whole numbers and floats, read block by block.

RIFF (Microsoft, IBM 1991): chunks of a name, a length and a body; `fmt ` says how samples are
written, `data` holds them, channel after channel.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from armature.errors import ArgumentError

_WHOLE, _FLOAT, _EXTENDED = 1, 3, 0xFFFE
_UNKNOWN_LENGTH = 0xFFFFFFFF  # what programs write that do not know it yet
_BLOCK = 1 << 20  # frames that are read at once


class OtherFormatError(Exception):
    """This is no WAV file with plain samples; another reader may know it."""


@dataclass(frozen=True)
class Header:
    """How a file's samples are written."""

    format: int
    channels: int
    rate: int
    bits: int
    frames: int
    """How many samples each channel says that it has."""


def read_header(file: BinaryIO, size: int) -> Header:
    """Read a header, and leave the file where its samples begin.

    Args:
        file: At its beginning.
        size: How many bytes it has.

    Raises:
        OtherFormatError: it is no WAV file, or its samples are coded.
        ArgumentError: it is damaged.
    """
    start = file.read(12)
    if start[:4] != b"RIFF" or start[8:] != b"WAVE":
        raise OtherFormatError("no RIFF")
    body, length = _to_samples(file)
    form, channels, rate, _, step, bits = struct.unpack("<HHIIHH", body[:16])
    if form == _EXTENDED and len(body) >= 26:
        form = struct.unpack("<H", body[24:26])[0]
    if (form, bits) not in _READERS:
        raise OtherFormatError(f"format {form} with {bits} bits")
    if not channels or not rate or step != channels * bits // 8:
        raise ArgumentError(f"the WAV header is damaged: {channels} channels, {rate} Hz, {step} B")
    left = size - file.tell()
    length = left if length == _UNKNOWN_LENGTH else length
    if length > left:
        raise ArgumentError(
            f"the WAV file is cut short: {length} bytes of samples are said, {left} are there"
        )
    return Header(form, channels, rate, bits, length // step)


def _to_samples(file: BinaryIO) -> tuple[bytes, int]:
    """Go to the samples; return how they are written, and how many bytes there should be."""
    body = b""
    while len(head := file.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        if name == b"data" and len(body) >= 16:
            return body, length
        here = file.tell()
        if name == b"fmt ":
            body = file.read(min(length, 40))
        file.seek(here + length + length % 2)
    raise ArgumentError("the WAV file ends before its samples: it is cut short or damaged")


def blocks(file: BinaryIO, header: Header) -> Iterator[np.ndarray]:
    """Yield the samples, float32 (frames, channels), from -1 to 1."""
    width = header.channels * header.bits // 8
    left = header.frames
    while left:
        raw = file.read(min(left, _BLOCK) * width)
        frames = len(raw) // width
        if not frames:
            raise ArgumentError("the WAV file is cut short")
        left -= frames
        samples = _READERS[header.format, header.bits](raw[: frames * width])
        yield samples.reshape(frames, header.channels)


def _of_24_bits(raw: bytes) -> np.ndarray:
    parts = np.frombuffer(raw, np.uint8).reshape(-1, 3)
    whole = np.zeros((len(parts), 4), np.uint8)
    whole[:, 1:] = parts
    return whole.view("<i4")[:, 0].astype(np.float32) / 2**31


_READERS = {
    (_WHOLE, 8): lambda raw: (np.frombuffer(raw, np.uint8).astype(np.float32) - 128) / 128,
    (_WHOLE, 16): lambda raw: np.frombuffer(raw, "<i2").astype(np.float32) / 2**15,
    (_WHOLE, 24): _of_24_bits,
    (_WHOLE, 32): lambda raw: (np.frombuffer(raw, "<i4") / 2**31).astype(np.float32),
    (_FLOAT, 32): lambda raw: np.frombuffer(raw, "<f4").astype(np.float32),
    (_FLOAT, 64): lambda raw: np.frombuffer(raw, "<f8").astype(np.float32),
}
