"""Transcripts made comparable: no case, no punctuation, nothing in brackets."""

from __future__ import annotations

import re
import unicodedata
from typing import Literal

_LETTERS = str.maketrans(
    {"œ": "oe", "ø": "o", "æ": "ae", "ß": "ss", "đ": "d", "ð": "d", "þ": "th", "ł": "l"}
)


def plainly(text: str, *, remove_diacritics: bool = False) -> str:
    """Return a text of any language in lower case, without punctuation and brackets."""
    text = without_brackets(text.lower())
    text = without_accents(text) if remove_diacritics else _blanked(text, "NFKC")
    return re.sub(r"\s+", " ", text.lower())


def without_brackets(text: str) -> str:
    """Leave out what stands in brackets, with these."""
    text = _without(r"[<\[][^>\]]*[>\]]", text, ">]")
    return _without(r"\([^)]+\)", text, ")")


def without_accents(text: str, keep: str = "") -> str:
    """Return a text without accents, and with spaces for signs, except those to keep."""
    return _blanked(text, "NFKD", keep)


def _without(pattern: str, text: str, ends: str) -> str:
    """Leave out what a pattern matches; behind the last of its ends nothing is looked for."""
    last = max(text.rfind(end) for end in ends) + 1  # so that it takes no longer than it must
    return re.sub(pattern, "", text[:last]) + text[last:]


def _blanked(text: str, form: Literal["NFKC", "NFKD"], keep: str = "") -> str:
    """Put a space for every mark, sign and punctuation; accents go without one."""
    found = []
    for letter in unicodedata.normalize(form, text):
        category = unicodedata.category(letter)
        if letter in keep:
            found.append(letter)
        elif form == "NFKD" and letter.lower().translate(_LETTERS) != letter.lower():
            plain = letter.lower().translate(_LETTERS)
            found.append(plain if letter.islower() or letter == "Þ" else plain.upper())
        elif form != "NFKD" or category != "Mn":
            found.append(" " if category[0] in "MSP" else letter)
    return "".join(found)
