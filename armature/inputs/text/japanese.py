"""Japanese words, which have no spaces between them: found by MeCab or Sudachi, both optional."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Lock
from typing import Any

from armature.errors import ArgumentError
from armature.inputs.text.family import ROLES
from armature.inputs.text.words_first import needed

Options = Mapping[str, Any]
Find = Callable[[str], list[str]]
PURPOSE = "Splitting Japanese text into words"
_DICTIONARIES = ("ipadic", "unidic_lite", "unidic")


def splitter(options: Options) -> Find:
    """Return what splits a Japanese text into words, as `word_tokenizer_type` says.

    Raises:
        ArgumentError: there is no such way here, or a package for it is missing.
    """
    kind = options["word_tokenizer_type"]
    if kind == "jumanpp":
        raise ArgumentError(
            "Words of Japanese are found here by MeCab or Sudachi, not by Juman++ "
            "(word_tokenizer_type='jumanpp'), which is a program of its own. Split the texts with "
            "it, join the words with spaces, and open the tokenizer with "
            "word_tokenizer_type='basic'."
        )
    if kind not in ("mecab", "sudachi"):
        raise ArgumentError(f"word_tokenizer_type={kind!r} is none of basic, mecab, sudachi.")
    told = dict(options[f"{kind}_kwargs"] or {})
    composes, trims = told.pop("normalize_text", True), told.pop("trim_whitespace", False)
    kept = {*(options["never_split"] or ()), *(options.get(role) for role in ROLES)}
    lowers = options["do_lower_case"]
    find = _mecab(told) if kind == "mecab" else _sudachi(told)
    one_at_a_time = Lock()  # neither library may be asked by two threads at once

    def split(text: str) -> list[str]:
        with one_at_a_time:
            words = find(unicodedata.normalize("NFKC", text) if composes else text)
        words = [word.lower() if lowers and word not in kept else word for word in words]
        return [word.strip() for word in words if word.strip()] if trims else words

    return split


def _mecab(told: dict[str, Any]) -> Find:
    dictionary = told.pop("mecab_dic", "unidic_lite")
    if dictionary not in _DICTIONARIES:
        raise ArgumentError(f"mecab_dic={dictionary!r} is none of {', '.join(_DICTIONARIES)}.")
    _refuse(told, "mecab_kwargs")
    fugashi = needed("fugashi", "japanese", PURPOSE)
    place = Path(needed(dictionary, "japanese", f"{PURPOSE} with {dictionary}").DICDIR)
    if not place.is_dir():
        raise ArgumentError(f"{PURPOSE} needs `python -m {dictionary} download`.")
    tagger = fugashi.GenericTagger(f'-d "{place}" -r "{place / "mecabrc"}" ')
    return lambda text: [str(word.surface) for word in tagger(text)]


def _sudachi(told: dict[str, Any]) -> Find:
    mode, size = told.pop("sudachi_split_mode", "A"), told.pop("sudachi_dict_type", "core")
    projection = told.pop("sudachi_projection", None)
    if mode not in ("A", "B", "C") or size not in ("small", "core", "full"):
        raise ArgumentError(f"Sudachi has no mode {mode!r} with the dictionary {size!r}.")
    _refuse(told, "sudachi_kwargs")
    sudachi = needed("sudachipy", "japanese", PURPOSE)
    needed(f"sudachidict_{size}", "japanese", f"{PURPOSE} with Sudachi")
    tokenizer = sudachi.Dictionary(dict=size).create(
        getattr(sudachi.SplitMode, mode), projection=projection
    )
    return lambda text: [word.surface() for word in tokenizer.tokenize(text)]


def _refuse(told: Mapping[str, Any], name: str) -> None:
    """Refuse what names files and options of the other program: a checkpoint may not do that."""
    given = sorted(key for key, value in told.items() if value not in (None, ""))
    if given:
        raise ArgumentError(f"{name} asks for {', '.join(given)}, which is not supported here.")
