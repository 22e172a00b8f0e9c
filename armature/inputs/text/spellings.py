"""How the tokenizers that work in Python take texts apart: a vocabulary and options → a backend."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from tokenizers import Tokenizer, models

from armature.inputs.text import recipes
from armature.inputs.text.plain import PlainBackend, Spelling, lookup
from armature.inputs.text.sentencepiece import UNIGRAM
from armature.inputs.text.vocabulary_files import Vocabulary

Options = Mapping[str, Any]
END = "</w>"
KEPT = 10_000  # words whose pieces are remembered


def merger(merges: Sequence[tuple[str, str]]) -> Callable[[str], list[str]]:
    """Return a function: a word → its letters, merged; the last piece ends in `</w>`.

    Letters that no merge names stay as they are, whether or not the vocabulary has them.
    """
    names = dict.fromkeys(name for pair in merges for name in (*pair, "".join(pair)))
    unknown = recipes.NO_TEXT
    ids = {name: index for index, name in enumerate([unknown, *names])}
    model = models.BPE(ids, list(merges), unk_token=unknown, end_of_word_suffix=END)

    @lru_cache(KEPT)
    def split(word: str) -> tuple[str, ...]:
        letters = word.encode()
        found = [
            letters[slice(*token.offsets)].decode() if token.value == unknown else token.value
            for token in model.tokenize(word)
        ]
        if not found[-1].endswith(END):
            found[-1] += END
        return tuple(found)

    return lambda word: list(split(word))


def _joined(pieces: list[str]) -> list[str]:
    """Spell pieces so that all but a word's last end in `@@`."""
    return [f"{piece}@@" for piece in pieces[:-1]] + [pieces[-1].removesuffix(END)]


def _without_joints(tokens: Sequence[str], special: set[str]) -> str:
    return " ".join(tokens).replace("@@ ", "").strip()


def joined_letters(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build merged letters of words at white space: `walking` → `walk@@ ing`."""
    merge = merger(vocabulary.merges)

    def split(text: str) -> list[str]:
        return [p for word in re.findall(r"\S+\n?", text) for p in _joined(merge(word))]

    return _backend(vocabulary, options, Spelling(split, _without_joints))


def joined_letters_lower(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build `joined_letters` of lower-case words, split at punctuation."""
    merge = merger(vocabulary.merges)

    def split(text: str) -> list[str]:
        found: list[str] = []
        for word in re.findall(r"\S+\n?", text):
            spaced = re.sub(r"([.,!?()])", r" \1", word).replace("'", " ' ")
            spaced = re.sub(r"\s{2,}", " ", spaced).replace("\n", " __newln__")
            for part in spaced.split(" "):
                found += _joined(merge(part.lower())) if part else []
        return found

    return _backend(vocabulary, options, Spelling(split, _without_joints, str.lower))


def moses_letters(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build merged letters of words as the Moses scripts split them: `walking` → `walk ing</w>`."""
    from armature.inputs.text.moses import clean, normalize, words

    merge = merger(vocabulary.merges)
    lowers = options["do_lowercase_and_remove_accent"]

    def split(text: str) -> list[str]:
        found = words(clean(normalize(text)))
        if lowers:
            found = _plain_letters(" ".join(found)).split(" ")
        return [piece for word in found if word for piece in merge(word)]

    def join(tokens: Sequence[str], special: set[str]) -> str:
        return "".join(tokens).replace(END, " ").strip()

    return _backend(vocabulary, options, Spelling(split, join))


def _plain_letters(text: str) -> str:
    letters = unicodedata.normalize("NFD", text.lower())
    return "".join(c for c in letters if unicodedata.category(c) != "Mn").lower()


def listed_pieces(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build the pieces of a SentencePiece model whose ids are listed in a file of their own."""
    spelling = Spelling(_pieces_of(vocabulary), _sentences)
    codes = options.get("language_codes", ())
    names = lookup(vocabulary.ids, (f"__{code}__" for code in codes))
    return _backend(vocabulary, options, spelling, hidden=names)


def whole_pieces(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build the pieces of a SentencePiece model with its own ids."""

    def join(tokens: Sequence[str], special: set[str]) -> str:
        return "".join(tokens).replace(recipes.SPACE, " ").strip()

    return _backend(vocabulary, options, Spelling(_pieces_of(vocabulary), join))


def _pieces_of(vocabulary: Vocabulary) -> Callable[[str], list[str]]:
    model = vocabulary.model
    unk = model.unk_piece if model else ""
    whole = Vocabulary(ids=model.ids, scores=model.scores, model=model) if model else vocabulary
    if model and model.algorithm == UNIGRAM:
        backend = recipes.unigram(whole, {"unk_token": unk})
    else:
        backend = recipes.merged_pieces(whole, {"unk_token": unk})

    def split(text: str) -> list[str]:
        return backend.encode(text, add_special_tokens=False).tokens

    return split


def _sentences(tokens: Sequence[str], special: set[str]) -> str:
    """Join pieces; special tokens begin a new sentence, which has no space before it."""
    found, sentence = "", ""
    for token in tokens:
        if token in special:
            found, sentence = found + sentence + token, ""
            continue
        piece = token.removeprefix(recipes.SPACE) if not sentence else token
        sentence += piece.replace(recipes.SPACE, " ")
    return (found + sentence).strip()


def _backend(
    vocabulary: Vocabulary,
    options: Options,
    spelling: Spelling,
    hidden: Mapping[str, int] | None = None,
) -> PlainBackend:
    unk = options["unk_token"]
    return PlainBackend(vocabulary.ids, spelling, unk, dict(hidden or {}), vocabulary.merges)
