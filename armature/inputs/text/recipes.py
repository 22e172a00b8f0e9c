"""How the kinds of tokenizers work: a vocabulary and options become a backend of the library.

Each function builds normaliser, splitter, model and decoder; special tokens come later. These are
used where a checkpoint has only the older files: a tokenizer.json says all of this itself.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

from armature.inputs.text.sentencepiece import UNIGRAM, merges_of
from armature.inputs.text.vocabulary_files import Vocabulary

log = logging.getLogger(__name__)
Options = Mapping[str, Any]
NO_TEXT = "\uffff"  # a code that no text has
SPACE = "▁"  # what stands for a space in SentencePiece vocabularies

_CLIP_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
_QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_RANKED_WORDS = _QWEN_WORDS.replace(r"\p{N}|", r"\p{N}{1,3}|", 1)


def wordpiece(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build words, split at punctuation, in pieces: `walking` → `walk ##ing`."""
    backend = Tokenizer(models.WordPiece(vocabulary.ids, unk_token=options["unk_token"]))
    if options["do_basic_tokenize"]:
        backend.normalizer = normalizers.BertNormalizer(
            clean_text=True,
            handle_chinese_chars=options["tokenize_chinese_chars"],
            strip_accents=options["strip_accents"],
            lowercase=options["do_lower_case"],
        )
        backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    else:
        backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    backend.decoder = decoders.WordPiece(prefix="##")
    return backend


def chinese_wordpiece(vocabulary: Vocabulary, options: Options) -> Any:
    """Build `wordpiece` of Chinese words, as jieba finds them."""
    from armature.inputs.text.words_first import WordsFirst, chinese_words

    spaced = {"do_basic_tokenize": True, "tokenize_chinese_chars": False}
    return WordsFirst(wordpiece(vocabulary, {**options, **spaced}), chinese_words)


def byte_level(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build merged bytes, each written as a visible letter: ` walking` → `Ġwalk ing`."""
    backend = Tokenizer(_bpe(vocabulary))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=options["add_prefix_space"])
    backend.decoder = decoders.ByteLevel()
    return backend


def byte_level_composed(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build `byte_level`, after joining letters and accents (NFC)."""
    backend = byte_level(vocabulary, options)
    backend.normalizer = normalizers.NFC()
    return backend


def byte_level_digits(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build merged bytes with every digit on its own."""
    backend = byte_level_composed(vocabulary, options)
    prefix = bool(options["add_prefix_space"])
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_QWEN_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=prefix, use_regex=False),
        ]
    )
    return backend


def ranked_bytes(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build merged bytes; words that are in the vocabulary as a whole are not taken apart."""
    model = models.BPE(vocabulary.ids, vocabulary.merges, fuse_unk=False, ignore_merges=True)
    backend = Tokenizer(model)
    words = pre_tokenizers.Split(Regex(_RANKED_WORDS), behavior="isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([words, letters])
    backend.decoder = decoders.ByteLevel()
    return backend


def byte_level_words(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build merged bytes of lower-case words whose last piece ends in `</w>`."""
    backend = Tokenizer(_bpe(vocabulary, end="</w>", unk=options["unk_token"]))
    backend.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = pre_tokenizers.Split(Regex(_CLIP_WORDS), behavior="removed", invert=True)
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.pre_tokenizer = pre_tokenizers.Sequence([words, byte_level])
    backend.decoder = decoders.ByteLevel()
    return backend


def letter_words(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build merged letters of lower-case words whose last piece ends in `</w>`."""
    backend = Tokenizer(_bpe(vocabulary, end="</w>", unk=options["unk_token"]))
    backend.normalizer = normalizers.BertNormalizer(lowercase=True)
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.BPEDecoder(suffix="</w>")
    return backend


def _bpe(vocabulary: Vocabulary, end: str = "", unk: str | None = None) -> models.BPE:
    merges = vocabulary.merges
    return models.BPE(
        vocabulary.ids,
        merges,
        unk_token=unk,
        continuing_subword_prefix="",
        end_of_word_suffix=end,
        fuse_unk=False,
    )


def unigram(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build the likeliest pieces of words that begin with `▁`."""
    backend = _unigram(vocabulary, options)
    if charsmap := _charsmap(vocabulary):
        backend.normalizer = charsmap
    return backend


def unigram_raw(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build `unigram` of text as it is.

    HF: the rules of the SentencePiece file that replace characters (`½` → `1/2`) are not applied.
    """
    return _unigram(vocabulary, options)


def unigram_plain_letters(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build `unigram` of text without accents, in lower case if asked for."""
    backend = _unigram(vocabulary, options)
    steps: list[Any] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
    if not options["keep_accents"]:
        steps += [normalizers.NFKD(), normalizers.StripAccents()]
    if options["do_lower_case"]:
        steps.append(normalizers.Lowercase())
    if charsmap := _charsmap(vocabulary):
        steps.append(charsmap)
    backend.normalizer = normalizers.Sequence(steps)
    return backend


def unigram_spaced(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build the likeliest pieces of text whose runs of spaces count as one."""
    backend = _unigram(vocabulary, options)
    charsmap, spaces = _charsmap(vocabulary), normalizers.Replace(Regex(" {2,}"), " ")
    backend.normalizer = normalizers.Sequence([charsmap, spaces] if charsmap else [spaces])
    backend.pre_tokenizer = _metaspace("always")
    return backend


def unigram_single_spaces(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build the likeliest pieces of text in which runs of spaces count as one."""
    backend = _unigram(vocabulary, options)
    spaces = normalizers.Replace(Regex(" {2,}"), " ")
    first = _charsmap(vocabulary) or normalizers.Replace(Regex(r"\n"), " ")
    backend.normalizer = normalizers.Sequence([first, spaces])
    backend.pre_tokenizer = _metaspace("always")
    return backend


def unigram_trimmed(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build the likeliest pieces of text without white space at its end.

    HF: the rules of the SentencePiece file that replace characters (`½` → `1/2`) are not applied.
    """
    backend = _unigram(vocabulary, options)
    lower = [normalizers.Lowercase()] if options["do_lower_case"] else []
    spaces = normalizers.Replace(Regex(r"\s{2,}|[\n\r\t]"), " ")
    end = normalizers.Strip(left=False, right=True)
    backend.normalizer = normalizers.Sequence([*lower, spaces, normalizers.NFC(), end])
    scheme = "always" if options["add_prefix_space"] else "first"
    punctuation = [pre_tokenizers.Punctuation("isolated")] if options["split_by_punct"] else []
    backend.pre_tokenizer = pre_tokenizers.Sequence([*punctuation, _metaspace(scheme)])
    backend.decoder = decoders.Metaspace(SPACE, prepend_scheme=scheme)
    return backend


def _unigram(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build the model, and the words and the decoder that most of its users share."""
    unk = options["unk_token"]
    backend = Tokenizer(_unigram_model(vocabulary, unk, fixed=options.get("unk_id")))
    scheme = "always" if options.get("add_prefix_space", True) else "never"
    words = [pre_tokenizers.WhitespaceSplit(), _metaspace(scheme)]
    backend.pre_tokenizer = pre_tokenizers.Sequence(words)
    backend.decoder = decoders.Metaspace(SPACE, prepend_scheme=scheme)
    return backend


def _unigram_model(
    vocabulary: Vocabulary, unk: str, *, fixed: int | None = None, byte_fallback: bool = False
) -> models.Unigram:
    ids = (index for index, (piece, _) in enumerate(vocabulary.scores) if piece == unk)
    unk_id = next(ids, vocabulary.model.unk_id if vocabulary.model else 0)
    if fixed is not None and fixed != unk_id:
        found = vocabulary.scores[fixed : fixed + 1]
        log.warning("Unknown letters become %r (id %d), not %r (id %d).", found, fixed, unk, unk_id)
    return models.Unigram(
        vocabulary.scores, unk_id if fixed is None else fixed, byte_fallback=byte_fallback
    )


def _metaspace(scheme: str, *, split: bool = True) -> pre_tokenizers.Metaspace:
    return pre_tokenizers.Metaspace(SPACE, prepend_scheme=scheme, split=split)


def _charsmap(vocabulary: Vocabulary) -> normalizers.Precompiled | None:
    charsmap = vocabulary.model.charsmap if vocabulary.model else b""
    return normalizers.Precompiled(charsmap) if charsmap else None


def pieces_of_line(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build merged letters of whole lines; unknown ones become bytes: `<0xE2> <0x82> <0xAC>`."""
    prefix = options["add_prefix_space"] is not False
    scheme = ("always" if options["legacy"] else "first") if prefix else "never"
    backend = Tokenizer(_letter_model(vocabulary, unk=None, byte_fallback=True))
    backend.pre_tokenizer = _metaspace(scheme, split=False)
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence([*steps, *([decoders.Strip(" ", 1, 0)] if prefix else [])])
    return backend


def pieces_of_text(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build merged letters of text to whose beginning no space is added."""
    unk = options["unk_token"]
    backend = Tokenizer(_letter_model(vocabulary, unk=unk, byte_fallback=True))
    backend.normalizer = normalizers.Replace(" ", SPACE)
    backend.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    backend.decoder = decoders.Sequence(steps)
    return backend


def pieces_as_stored(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build what a SentencePiece file alone says, where no class is known for it.

    HF: no space is added to the beginning, whatever the file says.
    """
    model = vocabulary.model
    fallback = bool(model and model.byte_fallback)
    unk = model.unk_piece if model else options["unk_token"]
    if model and model.algorithm == UNIGRAM:
        backend = Tokenizer(_unigram_model(vocabulary, unk, byte_fallback=fallback))
    else:
        backend = Tokenizer(_letter_model(vocabulary, unk=unk, byte_fallback=fallback))
    charsmap = _charsmap(vocabulary)
    spaces = normalizers.Replace(" ", SPACE)
    backend.normalizer = normalizers.Sequence([charsmap, spaces] if charsmap else [spaces])
    whole = [decoders.ByteFallback(), decoders.Fuse()] if fallback else []
    backend.decoder = decoders.Sequence([decoders.Replace(SPACE, " "), *whole])
    return backend


def merged_pieces(vocabulary: Vocabulary, options: Options) -> Tokenizer:
    """Build merged letters of words that begin with `▁`."""
    ids = {piece: index for index, (piece, _) in enumerate(vocabulary.scores)}
    placed = replace(vocabulary, ids=ids, merges=merges_of(vocabulary.ids))
    backend = Tokenizer(_letter_model(placed, options["unk_token"], byte_fallback=False))
    if charsmap := _charsmap(vocabulary):
        spaces = normalizers.Replace(Regex(" {2,}"), " ")
        backend.normalizer = normalizers.Sequence([charsmap, spaces])
    backend.pre_tokenizer = _metaspace("always")
    backend.decoder = decoders.Metaspace(SPACE, prepend_scheme="always")
    return backend


def _letter_model(vocabulary: Vocabulary, unk: str | None, *, byte_fallback: bool) -> models.BPE:
    # HF: a file that was trained to find the likeliest pieces is used to merge letters, too.
    if vocabulary.model and vocabulary.model.algorithm == UNIGRAM:
        log.warning("The vocabulary is a Unigram model, but its class merges its pieces as BPE.")
    merges = vocabulary.merges or merges_of(vocabulary.ids)
    return models.BPE(
        vocabulary.ids, merges, unk_token=unk, fuse_unk=True, byte_fallback=byte_fallback
    )
