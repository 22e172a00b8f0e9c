"""Files of sounds: WAV in all its spellings, what is damaged, and new sampling rates."""

from __future__ import annotations

import base64
import io
import struct
import sys
import wave

import numpy as np
import pytest

from armature.errors import ArgumentError
from armature.inputs.audio import sounds
from armature.inputs.audio.resample import resample

RATE = 8000
TONE = np.sin(2 * np.pi * 440 * np.arange(400) / RATE) * 0.5


def wav(samples, *, form=1, bits=16, channels=1, rate=RATE, extended=False, length=None):
    """Return the bytes of a WAV file with an odd chunk before its samples."""
    step = channels * bits // 8
    body = struct.pack(
        "<HHIIHH", 0xFFFE if extended else form, channels, rate, rate * step, step, bits
    )
    if extended:
        body += struct.pack("<HHI", 22, bits, 0) + struct.pack("<H", form) + b"\0" * 14
    data = struct.pack("<4sI", b"data", len(samples) if length is None else length) + samples
    chunks = struct.pack("<4sI", b"fmt ", len(body)) + body
    chunks += struct.pack("<4sI", b"LIST", 3) + b"abc\0" + data
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def coded(bits, form=1):
    if form == 3:
        return TONE.astype(f"<f{bits // 8}").tobytes()
    whole = np.round(TONE * (2 ** (bits - 1) - 1)).astype(np.int64)
    if bits == 8:
        return (whole + 128).astype(np.uint8).tobytes()
    return b"".join(int(n).to_bytes(bits // 8, "little", signed=True) for n in whole)


@pytest.mark.parametrize("extended", [False, True])
@pytest.mark.parametrize(("bits", "form"), [(8, 1), (16, 1), (24, 1), (32, 1), (32, 3), (64, 3)])
def test_wav_files_are_read_however_samples_are_written(bits, form, extended):
    found = sounds.read(wav(coded(bits, form), bits=bits, form=form, extended=extended), RATE)
    assert found.dtype == np.float32
    assert np.abs(found - TONE).max() < (0.01 if bits == 8 else 1e-4)


def test_a_file_may_come_in_many_ways(tmp_path):
    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, RATE, 0, "NONE", ""))
        both = np.stack([TONE, -0.5 * TONE], 1)
        file.writeframes((both * 32767).astype("<i2").tobytes())
    data = path.read_bytes()
    expected = sounds.read(path, RATE)
    assert np.abs(expected - TONE / 4).max() < 1e-4  # both channels mixed
    ways = [str(path), data, io.BytesIO(data), base64.b64encode(data).decode()]
    ways += [f"data:audio/wav;base64,{base64.b64encode(data).decode()}", {"path": str(path)}]
    ways += [{"bytes": data, "path": None}]
    for way in ways:
        assert np.array_equal(sounds.read(way, RATE), expected)
    assert len(sounds.read(path, 2 * RATE)) == 2 * len(expected)
    with path.open("rb") as file:
        assert np.array_equal(sounds.read(file, RATE), expected)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (wav(coded(16))[:-9], "cut short"),
        (wav(coded(16))[:30], "cut short"),
        (wav(b""), "no samples"),
        (wav(coded(16), channels=0), "damaged|cut short"),
        (wav(np.array([np.nan, 1], "<f4").tobytes(), bits=32, form=3), "NaN or infinite"),
        (wav(b"\0" * 16, rate=0), "damaged"),
        (b"RIFF\0\0\0\0WAVEdata\0\0\0\0", "cut short"),
    ],
)
def test_damaged_files_are_refused(data, message):
    with pytest.raises(ArgumentError, match=message):
        sounds.read(data, RATE)


def test_a_stream_of_unknown_length_is_read_to_its_end():
    found = sounds.read(wav(coded(16), length=0xFFFFFFFF), RATE)
    assert len(found) == len(TONE)


def test_ten_hours_are_refused_before_they_are_read(tmp_path):
    path = tmp_path / "long.wav"
    frames = 10 * 3600 * 16000
    head = wav(b"", rate=16000, length=2 * frames)
    with path.open("wb") as file:
        file.write(head)
        file.truncate(len(head) + 2 * frames)  # a hole: it takes no room on the disk
    with pytest.raises(ArgumentError, match="cut it into shorter sounds"):
        sounds.read(path, 16000)


def test_what_is_no_file_is_refused(tmp_path, monkeypatch):
    for source, message in (
        ("https://example.org/a.wav", "download"),
        (str(tmp_path / "none.wav"), "no such file"),
        ("\0", "no such file"),
    ):
        with pytest.raises(ArgumentError, match=message):
            sounds.read(source, RATE)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ArgumentError, match=r"armature-models\[audio\]"):
        sounds.read(b"fLaC and so on", RATE)


def test_other_formats_are_read_by_soundfile(tmp_path):
    soundfile = pytest.importorskip("soundfile")
    for name in ("a.flac", "a.ogg", "a.mp3"):
        soundfile.write(tmp_path / name, np.tile(TONE, 20), RATE)
        found = sounds.read(tmp_path / name, RATE)
        assert abs(len(found) - 20 * len(TONE)) < 3000
        assert 0.4 < np.abs(found).max() < 0.6
    with pytest.raises(ArgumentError, match="no sound that can be read"):
        sounds.read(b"no sound at all", RATE)


@pytest.mark.parametrize(
    ("old", "new"), [(44100, 16000), (8000, 16000), (16000, 16001), (48000, 1)]
)
def test_a_tone_stays_the_same_tone_at_another_rate(old, new):
    seconds = 0.5 if new > 1 else 20
    time = np.arange(int(old * seconds)) / old
    found = resample(np.sin(2 * np.pi * 300 * time).astype(np.float32), old, new)
    assert len(found) == -(-len(time) * new // old)
    if new > 1:
        middle = slice(len(found) // 4, -len(found) // 4)
        wanted = np.sin(2 * np.pi * 300 * np.arange(len(found)) / new)
        assert np.abs(found - wanted)[middle].max() < 2e-3
