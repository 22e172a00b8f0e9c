"""Words at white space and punctuation: how the first models of their kind split every language."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from typing import Any

from armature.inputs.text.family import ROLES


def basic_words(options: Mapping[str, Any]) -> Callable[[str], list[str]]:
    """Return what splits a text into words and punctuation marks.

    Args:
        options: `do_lower_case`, `strip_accents`, `tokenize_chinese_chars`, `never_split`, and the
            special tokens, which are never split either.
    """
    lowers, accents = options["do_lower_case"], options["strip_accents"]
    strips = lowers if accents is None else accents
    write = _spaced if options["tokenize_chinese_chars"] else _clean
    kept = {*(options["never_split"] or ()), *(options.get(role) for role in ROLES)} - {None}

    def split(text: str) -> list[str]:
        found = []
        for word in unicodedata.normalize("NFC", "".join(map(write, text))).split():
            if word not in kept:
                word = word.lower() if lowers else word
                word = without_accents(word) if strips else word
            parts = [word] if word in kept else map(_apart, word)
            found += "".join(parts).split()
        return found

    return split


def _apart(letter: str) -> str:
    return f" {letter} " if _is_punctuation(letter) else letter


_CHINESE = (
    *((0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F)),
    *((0x2B740, 0x2B81F), (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F)),
)


def _clean(letter: str) -> str:
    kind = unicodedata.category(letter)
    if letter in " \t\n\r" or kind == "Zs":
        return " "
    return "" if kind[0] == "C" or letter == "\ufffd" else letter


def _spaced(letter: str) -> str:
    chinese = letter > "\u33ff" and any(a <= ord(letter) <= b for a, b in _CHINESE)
    return f" {letter} " if chinese else _clean(letter)


def _is_punctuation(letter: str) -> bool:
    return unicodedata.category(letter)[0] == "P" or letter in "$+<=>^`|~"


def without_accents(text: str) -> str:
    """Return a text without the accents of its letters."""
    letters = unicodedata.normalize("NFD", text)
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")
