"""How the tokenizers that work in Python take texts apart: a vocabulary and options → a backend."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

from tokenizers import AddedToken, models

from armature.errors import ArgumentError, nearest
from armature.inputs.text import recipes
from armature.inputs.text.basic_words import basic_words, without_accents
from armature.inputs.text.plain import PlainBackend, Spelling, lookup
from armature.inputs.text.sentencepiece import CONTROL
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
            found = without_accents(" ".join(found).lower()).lower().split(" ")
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

    exact = _either(specials)

    def split(text: str) -> list[str]:
        text = text.strip()
        text = "".join(map(str.lower, text)) if options["lower_case"] else text
        if options["delimiter"] == "":
            return list(text)
        found: list[str] = []
        for part in exact.split(text) if options["lower_case"] else [text]:
            if part in specials:
                found.append(str(part))
                continue
            found += _grouped(moses.words(moses.normalize_marks(part), dashes=True, whole=whole))
        return found

    def join(tokens: Sequence[str], special: set[str]) -> str:
        found: list[str] = []
        for old, group in groupby(tokens, lambda token: token in ids or token == "<unk>"):
            part = list(group)
            found += [_numbers(moses.join(part))] if old else part  # what was added stands apart
        return " ".join(filter(None, found))

    unk = [*filter(ids.__contains__, ("<unk>", "<UNK>")), options["unk_token"]][0]
    return PlainBackend(ids, Spelling(split, join, protects=True), unk)


def _grouped(words: Sequence[str]) -> list[str]:
    return [part for word in words for part in _NUMBER_MARKS.sub(r" @\g<0>@ ", word).split()]


def _either(names: Sequence[str | None]) -> re.Pattern[str]:
    return re.compile(f"({'|'.join(re.escape(name) for name in names if name)})")


def _numbers(text: str) -> str:
    return text.replace(" @,@ ", ",").replace(" @.@ ", ".").strip()


def composed_words(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build the pieces of words, split at punctuation, after joining letters and accents (NFC)."""
    words = basic_words(options) if options["do_basic_tokenize"] else str.split
    spelling = Spelling(_in_pieces(vocabulary, options, words), _words, protects=True)
    return _backend(vocabulary, options, spelling)


def japanese_words(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build the pieces or letters of Japanese words."""
    words = _japanese(options) if options["do_word_tokenize"] else lambda text: [text]
    kind = options["subword_tokenizer_type"] if options["do_subword_tokenize"] else None
    if kind == "sentencepiece":
        return _japanese_sentences(vocabulary, words)
    if vocabulary.model:
        raise ArgumentError(f"Japanese tokens of the kind {kind!r} need a vocab.txt.")

    def letters(text: str) -> list[str]:
        found = (letter for word in words(text) for letter in unicodedata.normalize("NFKC", word))
        return [letter if letter in vocabulary.ids else options["unk_token"] for letter in found]

    ways = {
        None: words,
        "wordpiece": _in_pieces(vocabulary, options, lambda t: " ".join(words(t)).split()),
        "character": letters,
    }
    if kind not in ways:
        raise ArgumentError(f"subword_tokenizer_type={kind!r} is none of {[*ways][1:]}.")
    spelling = Spelling(ways[kind], _words, protects=True)
    return _backend(vocabulary, options, spelling)


def _japanese(options: Options) -> Callable[[str], list[str]]:
    """Return what splits Japanese text into words."""
    if options["word_tokenizer_type"] == "basic":
        chosen = {"strip_accents": None, "tokenize_chinese_chars": False}
        return basic_words({**options, **chosen})
    from armature.inputs.text.japanese import splitter

    return splitter(options)


def _japanese_sentences(vocabulary: Vocabulary, words: Callable[[str], list[str]]) -> PlainBackend:
    pieces = _pieces_of(vocabulary)

    def split(text: str) -> list[str]:
        found: list[str] = []
        for word in words(text):
            plain = " ".join(word.split()).replace("``", '"').replace("''", '"')
            for piece in pieces(plain):
                found += _comma_apart(piece, pieces)
        return found

    listed = vocabulary.model.pieces if vocabulary.model else []
    kinds = {piece.text: piece.kind for piece in listed}
    unk = vocabulary.model.unk_piece if vocabulary.model else "<unk>"

    def join(tokens: Sequence[str], special: set[str]) -> str:
        text = ""
        for token in tokens:
            known = token in kinds and token != unk
            piece = token.removeprefix(recipes.SPACE) if known and not text else token
            piece = piece.replace(recipes.SPACE, " ") if known else piece
            piece = " ⁇ " if token == unk else piece
            text += "" if kinds.get(token) == CONTROL else piece
        return text

    return PlainBackend(vocabulary.ids, Spelling(split, join, protects=True), unk)


def _comma_apart(piece: str, pieces: Callable[[str], list[str]]) -> list[str]:
    """Split `,` from digits before it."""
    if len(piece) < 2 or piece[-1] != "," or not piece[-2].isdigit():
        return [piece]
    found = pieces(piece[:-1].replace(recipes.SPACE, ""))
    if piece[0] != recipes.SPACE and found[0].startswith(recipes.SPACE):
        found[:1] = [found[0][1:]] if len(found[0]) > 1 else []
    return [*found, ","]


def _in_pieces(
    vocabulary: Vocabulary, options: Options, words: Callable[[str], list[str]]
) -> Callable[[str], list[str]]:
    """Return what splits a text into words, and these into pieces."""
    model = models.WordPiece(vocabulary.ids, unk_token=options["unk_token"])
    return lambda text: [token.value for word in words(text) for token in model.tokenize(word)]


def _words(tokens: Sequence[str], special: set[str]) -> str:
    return " ".join(tokens).replace(" ##", "").strip()


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

    def join(tokens: Sequence[str], special: set[str]) -> str:
        text = _sentences(tokens, special, behind=" ")
        if not options["do_upper_case"]:
            return text
        marks = "|".join(map(re.escape, sorted(special, key=len, reverse=True)))
        parts = re.split(f"({marks})", text) if marks else [text]
        return "".join(part if part in special else part.upper() for part in parts)

    return _backend(vocabulary, options, Spelling(_pieces_of(vocabulary), join))


def heard_letters(vocabulary: Vocabulary, options: Options) -> PlainBackend:
    """Build single letters, with a token between words: `a cat` → `a | c a t`."""
    ids, languages = vocabulary.ids, vocabulary.languages
    chosen, between = options["target_lang"], options["word_delimiter_token"]
    if languages and chosen not in languages:
        raise ArgumentError(
            f"The vocabulary has the letters of {len(languages)} languages, and target_lang="
            f"{chosen!r} is none of them.{nearest(str(chosen), languages)}\n"
            f"  → pass target_lang=…, one of {', '.join([*languages][:20])}"
        )
    ids = languages[chosen] if languages else ids

    def split(text: str) -> list[str]:
        text = text.upper() if options["do_lower_case"] else text
        return list(text.replace(" ", between))

    backend = PlainBackend(
        ids, Spelling(split, lambda tokens, _: "".join(tokens)), options["unk_token"]
    )
    special = {options.get(role) for role in ("bos_token", "eos_token", "unk_token", "pad_token")}
    backend.add_tokens(
        AddedToken(token, lstrip=True, rstrip=True, normalized=False, special=token in special)
        for token in ids
        if len(token) > 1
    )
    return backend


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
