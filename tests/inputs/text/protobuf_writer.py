"""Writes SentencePiece models for tests: the format that the reader under test reads."""

from __future__ import annotations

import struct


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def message(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def number(field, value):
    return varint(field << 3) + varint(value)


def piece(text, score=0.0, kind=1):
    inner = message(1, text.encode()) + varint(2 << 3 | 5) + struct.pack("<f", score)
    return message(1, inner + (number(3, kind) if kind != 1 else b""))


def model(pieces, *, algorithm=1, unk_id=0, byte_fallback=False, charsmap=b""):
    """Return the bytes of a model; `pieces` are (text, score, kind)."""
    trainer = number(3, algorithm) + number(40, unk_id) + number(35, int(byte_fallback))
    body = b"".join(piece(*one) for one in pieces)
    return body + message(2, trainer) + message(3, message(2, charsmap) if charsmap else b"")
