"""SentencePiece model files, read as the protocol-buffer messages they are.

Only what tokenizing needs is read: the pieces with their scores and kinds, how the model segments,
and how text is normalised. Every length is checked against the file before it is used.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from armature.errors import CheckpointError
from armature.inputs.reading import AGAIN, read_file

UNIGRAM, BPE, LETTERS = 1, 2, 4
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


@dataclass(frozen=True)
class Piece:
    """One entry of the vocabulary."""

    text: str
    score: float
    kind: int = NORMAL


@dataclass
class SentencePieceModel:
    """What a SentencePiece model file says; the defaults are those of the format."""

    pieces: list[Piece] = field(default_factory=list)
    algorithm: int = UNIGRAM
    byte_fallback: bool = False
    unk_id: int = 0
    bos_id: int = 1
    eos_id: int = 2
    unk_piece: str = "<unk>"
    bos_piece: str = "<s>"
    eos_piece: str = "</s>"
    charsmap: bytes = b""
    """Rules that replace characters before segmentation, compiled."""
    prefix: bool = True
    """Whether a space is added to the beginning of a text."""
    trims: bool = True
    """Whether spaces at the ends of a text go, and runs of them count as one."""

    @property
    def scores(self) -> list[tuple[str, float]]:
        """Return (piece, score) in the order of the ids."""
        return [(piece.text, piece.score) for piece in self.pieces]

    @property
    def ids(self) -> dict[str, int]:
        """Return piece → id."""
        return {piece.text: index for index, piece in enumerate(self.pieces)}


class _Malformed(Exception):  # noqa: N818 - it never leaves this file
    """The bytes are no protocol-buffer message."""


def read_sentencepiece(path: Path, *, letters: bool = False) -> SentencePieceModel:
    """Read a SentencePiece model file (`spiece.model`, `tokenizer.model`…).

    Args:
        path: The file.
        letters: Whether it may be a model that splits texts into letters.

    Raises:
        CheckpointError: the file is damaged, something else, or of an algorithm not known here.
    """
    content = read_file(path)
    try:
        model = _model(memoryview(content))
    except (_Malformed, UnicodeDecodeError) as error:
        cause = f"is not a SentencePiece model ({error})"
        raise CheckpointError(path, cause, AGAIN) from error
    if not model.pieces:
        raise CheckpointError(path, "is not a SentencePiece model: it has no pieces", AGAIN)
    if model.algorithm not in (UNIGRAM, BPE, *([LETTERS] if letters else [])):
        raise CheckpointError(
            path,
            f"holds a SentencePiece model of kind {model.algorithm} (words or characters)",
            "Unigram and BPE models can be read; save this one as tokenizer.json.",
        )
    if not 0 <= model.unk_id < len(model.pieces):
        cause = f"names {model.unk_id} as its unknown piece, of {len(model.pieces)} pieces"
        raise CheckpointError(path, cause, AGAIN)
    return model


def _model(content: memoryview) -> SentencePieceModel:
    model = SentencePieceModel()
    for number, value in _fields(content):
        if number == 1:
            model.pieces.append(_piece(_message(value)))
        elif number == 2:
            _read_trainer(model, _message(value))
        elif number == 3:
            _read_normalizer(model, _message(value))
    return model


def _read_normalizer(model: SentencePieceModel, content: memoryview) -> None:
    for number, value in _fields(content):
        if number == 2:
            model.charsmap = bytes(_message(value))
        elif number == 3:
            model.prefix = bool(_number(value))
        elif number == 4:
            model.trims = bool(_number(value))


def _piece(content: memoryview) -> Piece:
    text, score, kind = "", 0.0, NORMAL
    for number, value in _fields(content):
        if number == 1:
            text = _text(value)
        elif number == 2:
            (score,) = struct.unpack("<f", struct.pack("<I", _number(value) & 0xFFFFFFFF))
            if not math.isfinite(score):
                raise _Malformed("a piece has no score")
        elif number == 3:
            kind = _number(value)
    return Piece(text, score, kind)


# The numbers of the trainer's settings that matter, and what they are called here.
_NUMBERS = {3: "algorithm", 35: "byte_fallback", 40: "unk_id", 41: "bos_id", 42: "eos_id"}
_TEXTS = {45: "unk_piece", 46: "bos_piece", 47: "eos_piece"}


def _read_trainer(model: SentencePieceModel, content: memoryview) -> None:
    for number, value in _fields(content):
        if number in _NUMBERS:
            whole = _number(value)
            signed = whole - (1 << 64) if whole >= 1 << 63 else whole
            setattr(model, _NUMBERS[number], bool(whole) if number == 35 else signed)
        elif number in _TEXTS:
            setattr(model, _TEXTS[number], _text(value))


def _fields(content: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the fields of a message as (number, value)."""
    position, end = 0, len(content)
    while position < end:
        key, position = _varint(content, position)
        kind = key & 7
        if kind == _VARINT:
            value, position = _varint(content, position)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, position = _varint(content, position)
        elif kind in (_FIXED32, _FIXED64):
            size = 4 if kind == _FIXED32 else 8
        else:
            raise _Malformed(f"field of unknown type {kind}")
        part = content[position : position + size]
        if len(part) != size:
            raise _Malformed("a field is longer than the file")
        position += size
        yield key >> 3, part if kind == _BYTES else int.from_bytes(part, "little")


def _varint(content: memoryview, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(content) and shift < 70:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
    raise _Malformed("a number does not end")


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise _Malformed("a number stands where a message should")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)).decode()


def _number(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise _Malformed("a message stands where a number should")
    return value


def merges_of(ids: dict[str, int]) -> list[tuple[str, str]]:
    """Return the merges of a BPE vocabulary that only lists its pieces, in the order of their ids.

    A piece can be merged from every two pieces that make it up; earlier pieces merge first.
    """
    merges: list[tuple[str, str]] = []
    for piece, _ in sorted(ids.items(), key=lambda item: item[1]):
        splits = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
        merges.extend(split for split in splits if split[0] in ids and split[1] in ids)
    return merges
