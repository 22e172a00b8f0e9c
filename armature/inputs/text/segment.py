"""SentencePiece's own way to split a text, to the last bit: its rules, its sums, its ties.

The tokenizers library comes close: it applies rules to letters as they are read, not as they are
coded, and adds the scores of pieces more precisely. Where a vocabulary is split by SentencePiece
itself, these decide.
"""

from __future__ import annotations

import heapq
import re
import struct
from collections.abc import Callable, Iterator

from armature.inputs.text.sentencepiece import (
    BPE,
    LETTERS,
    NORMAL,
    UNIGRAM,
    UNUSED,
    USER_DEFINED,
    SentencePieceModel,
)

SPACE = "▁"
_PENALTY = 10.0  # of an unknown letter, below the least likely piece


def _rounded(value: float) -> float:
    (kept,) = struct.unpack("<f", struct.pack("<f", value))
    return kept


class Rules:
    """The rules that replace characters: a double array of byte sequences, and the results."""

    def __init__(self, charsmap: bytes) -> None:
        size = int.from_bytes(charsmap[:4], "little")
        self._units = struct.unpack(f"<{size // 4}I", charsmap[4 : 4 + size])
        self._results = charsmap[4 + size :]

    def replace(self, text: bytes, start: int) -> tuple[bytes, int]:
        """Return what stands for the beginning of `text[start:]`, and how many bytes that is."""
        place, found, units = 0, None, self._units
        place ^= _offset(units[0])
        for position in range(start, len(text)):
            place ^= text[position]
            if place >= len(units) or units[place] & 0x800000FF != text[position]:
                break
            unit = units[place]
            place ^= _offset(unit)
            if unit >> 8 & 1:
                found = units[place] & 0x7FFFFFFF, position + 1 - start
        if found is None:
            length = _length(text[start])
            return text[start : start + length], length
        end = self._results.find(b"\0", found[0])
        return self._results[found[0] : end], found[1]


def _offset(unit: int) -> int:
    return unit >> 10 << ((unit & 1 << 9) >> 6)


def _length(byte: int) -> int:
    """Return how many bytes the letter has that begins with `byte`."""
    return 1 if byte < 0xC0 else 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4


class Segmenter:
    """Texts to pieces; letters that are in no piece come as they are, neighbours as one."""

    def __init__(self, model: SentencePieceModel) -> None:
        usable = (NORMAL, USER_DEFINED, UNUSED)
        pieces = [piece for piece in model.pieces if piece.kind in usable]
        normal = [piece.score for piece in pieces if piece.kind == NORMAL] or [0.0]
        self._scores = {piece.text: piece.score for piece in pieces if piece.kind != UNUSED}
        self._fixed = [piece.text for piece in pieces if piece.kind == USER_DEFINED]
        self._most, self._unknown = max(normal), _rounded(min(normal) - _PENALTY)
        for text in self._fixed:  # they shall always win
            self._scores[text] = _rounded(len(text.encode()) * self._most - 0.1)
        self._longest = max(map(len, self._scores), default=1)
        self._rules = Rules(model.charsmap) if len(model.charsmap) > 4 else None
        ways = {UNIGRAM: self._likeliest, BPE: self._merged, LETTERS: list}
        self._split: Callable[[str], list[str]] = ways[model.algorithm]
        names = sorted(self._fixed, key=len, reverse=True)
        self._whole = re.compile(f"({'|'.join(map(re.escape, names))})") if names else None
        self._prefix, self._trims = model.prefix, model.trims

    def __call__(self, text: str) -> list[str]:
        """Return the pieces of a text."""
        found: list[str] = []
        unknown = False
        normal = self.normalize(text)
        for piece in self._split(normal) if normal else ():
            known = piece in self._scores
            if not known and unknown:
                found[-1] += piece
            else:
                found.append(piece)
            unknown = not known
        return found

    def normalize(self, text: str) -> str:
        """Return a text with characters replaced and `▁` for spaces."""
        text = "".join(self._replaced(text))
        if self._trims:
            text = re.sub(" +", " ", text).strip(" ")
        text = (" " + text if self._prefix and text else text).replace(" ", SPACE)
        return text.rstrip(SPACE) if self._trims else text

    def _replaced(self, text: str) -> Iterator[str]:
        parts = self._whole.split(text) if self._whole else [text]
        for number, part in enumerate(parts):
            if number % 2 or self._rules is None:
                yield part
                continue
            coded, place, out = part.encode(), 0, bytearray()
            while place < len(coded):
                by, length = self._rules.replace(coded, place)
                out += by
                place += length
            yield out.decode(errors="replace")

    def _likeliest(self, text: str) -> list[str]:
        """Return the pieces whose scores have the greatest sum."""
        scores, longest = self._scores, self._longest
        best: list[float | None] = [0.0, *[None] * len(text)]
        begins = [0] * (len(text) + 1)
        for start in range(len(text)):
            here = best[start] or 0.0
            alone = False
            for end in range(start + 1, min(start + longest, len(text)) + 1):
                piece = text[start:end]
                score = scores.get(piece)
                if score is None:
                    continue
                total, other = _rounded(score + here), best[end]
                if other is None or total > other:
                    best[end], begins[end] = total, start
                alone = alone or end == start + 1
            if not alone:
                total, other = _rounded(self._unknown + here), best[start + 1]
                if other is None or total > other:
                    best[start + 1], begins[start + 1] = total, start
        found, end = [], len(text)
        while end:
            found.append(text[begins[end] : end])
            end = begins[end]
        return found[::-1]

    def _merged(self, text: str) -> list[str]:
        """Return the pieces that are left when no two neighbours make a piece."""
        fixed = self._whole.split(text) if self._whole else [text]
        parts = [p for n, part in enumerate(fixed) for p in ([part] if n % 2 else part) if p]
        frozen = {place for place, part in enumerate(parts) if part in self._fixed}
        after = [*range(1, len(parts)), -1]
        before = [-1, *range(len(parts) - 1)]
        waiting: list[tuple[float, int, int, int]] = []

        def offer(left: int, right: int) -> None:
            if left < 0 or right < 0 or left in frozen or right in frozen:
                return
            whole = parts[left] + parts[right]
            if whole in self._scores:
                heapq.heappush(waiting, (-self._scores[whole], left, right, len(whole)))

        for place in range(1, len(parts)):
            offer(place - 1, place)
        while waiting:
            _, left, right, size = heapq.heappop(waiting)
            if not parts[left] or not parts[right] or len(parts[left] + parts[right]) != size:
                continue
            parts[left], parts[right] = parts[left] + parts[right], ""
            after[left] = after[right]
            if after[right] >= 0:
                before[after[right]] = left
            offer(before[left], left)
            offer(left, after[left])
        return [part for part in parts if part]
