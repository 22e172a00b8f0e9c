"""How the tokenizers that work in Python take texts apart: a vocabulary and options → a backend."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from tokenizers import models

from armature.errors import ArgumentError
from armature.inputs.text import recipes
from armature.inputs.text.plain import PlainBackend, Spelling, lookup
from armature.inputs.text.stored import content_of
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


def moses_text(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build `moses_letters` of text in the scripts' own format, which decoding undoes."""
    from armature.inputs.text import moses

    merge = merger(vocabulary.merges)

    def split(text: str) -> list[str]:
        return [p for word in moses.words(text, dashes=True, escape=True) for p in merge(word)]

    def join(tokens: Sequence[str], special: set[str]) -> str:
        return moses.join("".join(tokens).replace(END, " ").split())

    return _backend(vocabulary, options, Spelling(split, join))


_NUMBER_MARKS = re.compile(r"(?<=\d)[,.](?=\d)")


def whole_words(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build the words of the Moses scripts, with numbers in groups: `5,000` → `5 @,@ 000`."""
    from armature.inputs.text import moses

    if options["language"] not in (None, "en"):
        raise ArgumentError(f"Words are split as in English, not as in {options['language']!r}.")
    ids = {(line.split() or [line])[0]: index for line, index in vocabulary.ids.items()}
    extra = map(content_of, options["additional_special_tokens"] or ())
    specials = [content_of(options.get("unk_token")), content_of(options.get("eos_token")), *extra]
    kept = options["never_split"] if options["never_split"] is not None else specials
    names = sorted(filter(None, kept), key=len, reverse=True)
    # HF: these are expressions; here they are texts, for an expression may take for ever.
    whole = re.compile("|".join(map(re.escape, names)), re.IGNORECASE) if names else None

    def split(text: str) -> list[str]:
        text = text.strip()
        text = "".join(map(str.lower, text)) if options["lower_case"] else text
        if options["delimiter"] == "":
            return list(text)
        found = moses.words(moses.normalize_marks(text), dashes=True, whole=whole)
        return [p for word in found for p in _NUMBER_MARKS.sub(r" @\g<0>@ ", word).split()]

    def join(tokens: Sequence[str], special: set[str]) -> str:
        found: list[str] = []
        for old, group in groupby(tokens, lambda token: token in ids or token == "<unk>"):
            part = list(group)
            found += [_numbers(moses.join(part))] if old else part  # what was added stands apart
        return " ".join(filter(None, found))

    unk = next((name for name in ("<unk>", "<UNK>") if name in ids), options["unk_token"])
    return PlainBackend(ids, Spelling(split, join, protects=True), unk)


def _numbers(text: str) -> str:
    return text.replace(" @,@ ", ",").replace(" @.@ ", ".").strip()


def composed_words(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build the pieces of words, split at punctuation, after joining letters and accents (NFC)."""
    model = models.WordPiece(vocabulary.ids, unk_token=options["unk_token"])
    lowers, accents = options["do_lower_case"], options["strip_accents"]
    strips = lowers if accents is None else accents

    def words(text: str) -> list[str]:
        if not options["do_basic_tokenize"]:
            return text.split()
        text = "".join(map(_spaced if options["tokenize_chinese_chars"] else _clean, text))
        found = []
        for word in unicodedata.normalize("NFC", text).split():
            word = word.lower() if lowers else word
            word = _without_accents(word) if strips else word
            found += "".join(f" {c} " if _is_punctuation(c) else c for c in word).split()
        return found

    def split(text: str) -> list[str]:
        return [token.value for word in words(text) for token in model.tokenize(word)]

    def join(tokens: Sequence[str], special: set[str]) -> str:
        return " ".join(tokens).replace(" ##", "").strip()

    return _backend(vocabulary, options, Spelling(split, join))


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


def _plain_letters(text: str) -> str:
    return _without_accents(text.lower()).lower()


def _without_accents(text: str) -> str:
    letters = unicodedata.normalize("NFD", text)
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")


def listed_pieces(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build the pieces of a SentencePiece model whose ids are listed in a file of their own."""
    spelling = Spelling(_pieces_of(vocabulary), _sentences)
    codes = options.get("language_codes", ())
    names = lookup(vocabulary.ids, (f"__{code}__" for code in codes))
    return _backend(vocabulary, options, spelling, hidden=names)


def coded_pieces(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build `listed_pieces` of texts that may begin with the code of a language: `>>fra<<`.

    Without a SentencePiece model the result knows all tokens, but how to split texts it does not.
    """
    pieces = _pieces_of(vocabulary) if vocabulary.model else str.split

    def split(text: str) -> list[str]:
        end = text.find("<<") + 2 if text.startswith(">>") else 0
        code, text = (text[:end], text[end:]) if end > 1 else ("", text)
        return [*([code] if code else []), *pieces(text)]

    def join(tokens: Sequence[str], special: set[str]) -> str:
        return _sentences(tokens, special, behind=" ").replace(recipes.SPACE, " ").strip()

    return _backend(vocabulary, options, Spelling(split, join))


def spoken_pieces(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build `listed_pieces` of what was said, which may be written in capitals."""
    if options.get("lang_codes"):
        raise ArgumentError("Transcripts in several languages (lang_codes) cannot be written yet.")

    def join(tokens: Sequence[str], special: set[str]) -> str:
        text = _sentences(tokens, special, behind=" ")
        if not options["do_upper_case"]:
            return text
        marks = "|".join(map(re.escape, sorted(special, key=len, reverse=True)))
        parts = re.split(f"({marks})", text) if marks else [text]
        return "".join(part if part in special else part.upper() for part in parts)

    return _backend(vocabulary, options, Spelling(_pieces_of(vocabulary), join))


def whole_pieces(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build the pieces of a SentencePiece model with its own ids."""

    def join(tokens: Sequence[str], special: set[str]) -> str:
        return "".join(tokens).replace(recipes.SPACE, " ").strip()

    return _backend(vocabulary, options, Spelling(_pieces_of(vocabulary), join))


def _pieces_of(vocabulary: Vocabulary) -> Callable[[str], list[str]]:
    from armature.inputs.text.segment import Segmenter

    if vocabulary.model is None:
        raise ArgumentError("This tokenizer needs a SentencePiece model, not only a vocabulary.")
    return Segmenter(vocabulary.model)


def _sentences(tokens: Sequence[str], special: set[str], behind: str = "") -> str:
    """Join pieces; special tokens begin a new sentence, which has no space before it."""
    found, sentence = "", ""
    for token in tokens:
        if token in special:
            found, sentence = found + sentence + token + behind, ""
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
