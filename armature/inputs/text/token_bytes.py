"""What each token adds to a text, in bytes: tokens may end in the middle of a character."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from armature.errors import ArgumentError
from armature.inputs.text.vocabulary_files import LETTERS

_BYTE = re.compile(r"<0x([0-9A-F]{2})>$")  # a token that stands for one byte
_BYTE_OF = {letter: byte for byte, letter in LETTERS.items()}
_TRIES, _LONG = 64, 12  # texts to check on, and how many tokens each has


@dataclass(frozen=True)
class TokenBytes:
    """The tokens of a vocabulary as bytes that, side by side, are the text."""

    parts: list[bytes | None]
    """By id; None for special tokens, and for ids that no token has."""
    drops_space: bool
    """Whether a text loses the space that its first token begins with."""


def token_bytes(tokenizer: Any, size: int) -> TokenBytes:
    """Return what each of the ids below `size` adds to a text.

    Raises:
        ArgumentError: a text of this tokenizer is not its tokens side by side.
    """
    pieces: list[str | None] = [None] * size
    for piece, index in tokenizer.get_vocab().items():
        if index < size:
            pieces[index] = piece
    added = tokenizer.added_tokens_decoder
    for index in {*tokenizer.all_special_ids, *(i for i, one in added.items() if one.special)}:
        if index is not None and index < size:
            pieces[index] = None
    said = _decoder_of(tokenizer)
    if "ByteLevel" in said:
        parts = [
            piece.encode() if piece is not None and index in added else _letters(piece)
            for index, piece in enumerate(pieces)
        ]
    else:
        parts = _read(tokenizer, pieces, single="ByteFallback" in said)
    return TokenBytes(parts, _checked(tokenizer, parts))


def _decoder_of(tokenizer: Any) -> str:
    """Return how the backend says that it joins tokens; "" where it does not say."""
    decoder = getattr(getattr(tokenizer, "backend_tokenizer", None), "decoder", None)
    says = getattr(decoder, "__getstate__", None)
    state = says() if says is not None else b""
    return state.decode() if isinstance(state, bytes) else ""


def _letters(piece: str | None) -> bytes | None:
    """Return the bytes of a piece whose letters stand for one byte each."""
    if not piece:
        return None
    found = [_BYTE_OF.get(letter) for letter in piece]
    return piece.encode() if None in found else bytes(byte for byte in found if byte is not None)


def _read(tokenizer: Any, pieces: list[str | None], *, single: bool) -> list[bytes | None]:
    """Read off what each token adds to the text of another one before it."""
    anchor = next((i for i, piece in enumerate(pieces) if (piece or "").isalnum()), None)
    ids = [i for i, piece in enumerate(pieces) if piece]
    parts: list[bytes | None] = [None] * len(pieces)
    if anchor is None:
        return parts
    before, *texts = _texts(tokenizer, [[anchor], *([anchor, i] for i in ids)])
    for index, text in zip(ids, texts, strict=True):
        byte = _BYTE.match(pieces[index] or "") if single else None
        if byte is not None:
            parts[index] = bytes([int(byte[1], 16)])
        elif text.startswith(before) and len(text) > len(before):
            parts[index] = text[len(before) :].encode()
    return parts


def _texts(tokenizer: Any, rows: list[list[int]]) -> list[str]:
    return tokenizer.batch_decode(
        rows, skip_special_tokens=False, clean_up_tokenization_spaces=False
    )


def _checked(tokenizer: Any, parts: list[bytes | None]) -> bool:
    """Check on some texts that they are their tokens' bytes; return whether they lose a space."""
    whole = dict(_whole(parts))
    spaced = [i for i, text in whole.items() if text.startswith(" ")][:_LONG]
    draw = random.Random(0)
    rows = [draw.choices([*whole], k=_LONG) for _ in range(_TRIES if whole else 0)]
    rows += [[index, *row] for index, row in zip(spaced, rows, strict=False)]
    drops = False
    for row, text in zip(rows, _texts(tokenizer, rows), strict=True):
        meant = "".join(whole[i] for i in row)
        if text != meant and f" {text}" != meant:
            raise ArgumentError(
                "texts of this tokenizer are not its tokens side by side: spaces come and go with "
                "their neighbours, so no rule can be kept token by token"
            )
        drops |= text != meant
    return drops


def _whole(parts: list[bytes | None]) -> Iterator[tuple[int, str]]:
    """Yield the tokens that are texts by themselves."""
    for index, part in enumerate(parts):
        try:
            text = "" if part is None else part.decode()
        except UnicodeDecodeError:
            continue
        if text:
            yield index, text
