"""How SentencePiece pieces become a model's vocabulary: which ids they get, which are special."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from armature.inputs.text.sentencepiece import CONTROL, USER_DEFINED
from armature.inputs.text.vocabulary_files import Vocabulary

if TYPE_CHECKING:
    from tokenizers import AddedToken

Options = Mapping[str, Any]
Scores = list[tuple[str, float]]


def stored(scores: Scores, options: Options) -> Scores:
    """Keep the ids of the file."""
    return scores


def fairseq(scores: Scores, options: Options) -> Scores:
    """Put four special tokens in place of the file's first three, and the mask at the end."""
    roles = ("bos" if "bos_token" in options else "cls", "pad", "eos", "unk")
    first = [options[f"{role}_token"] for role in roles]
    last = [*options.get("language_codes", ()), options["mask_token"]]
    return [*_zero(first), *scores[3:], *_zero(last)]


def framed_first(scores: Scores, options: Options) -> Scores:
    """Put four special tokens in front of the file's other pieces."""
    first = [options[f"{role}_token"] for role in ("bos", "pad", "eos", "unk")]
    return [*_zero(first), *(pair for pair in scores if pair[0] not in first)]


def unused_first(scores: Scores, options: Options) -> Scores:
    """Put five entries in place of the file's first, and the mask at the end."""
    first = ["<s>NOTUSED", options["pad_token"], "</s>NOTUSED", options["unk_token"]]
    return [*_zero(first), ("<unk>NOTUSED", -100.0), *scores[1:], *_zero([options["mask_token"]])]


def sentinels(scores: Scores, options: Options) -> Scores:
    """Add the sentinels `<extra_id_99>` … `<extra_id_0>` behind the file's pieces."""
    return [*scores, *_zero(f"<extra_id_{i}>" for i in reversed(range(options["extra_ids"])))]


def gap_sentences(scores: Scores, options: Options) -> Scores:
    """Put padding, end, masks and unused entries in front of the file's pieces."""
    masks = dict.fromkeys([options["mask_token_sent"], options["mask_token"]])
    first = [options["pad_token"], options["eos_token"], *(mask for mask in masks if mask)]
    unused = [(f"<unk_{i}>", -100.0) for i in range(2, options["offset"])]
    return [*_zero(first), *unused, *scores[2:]]


def _zero(tokens: Iterable[str]) -> Scores:
    return [(token, 0.0) for token in tokens]


def marked(vocabulary: Vocabulary, options: Options) -> list[str | AddedToken]:
    """Return the pieces that the file marks as never to be split."""
    from tokenizers import AddedToken

    pieces = vocabulary.model.pieces if vocabulary.model else []
    return [
        AddedToken(piece.text, normalized=False, special=piece.kind == CONTROL)
        for piece in pieces
        if piece.kind in (CONTROL, USER_DEFINED)
    ]


def marked_or_ends(vocabulary: Vocabulary, options: Options) -> list[str | AddedToken]:
    """Return the marked pieces, or, without a SentencePiece file, the ends of texts."""
    return marked(vocabulary, options) if vocabulary.model else ["<eop>", "<eod>"]


def marked_and_sentinels(vocabulary: Vocabulary, options: Options) -> list[str | AddedToken]:
    """Return the marked pieces and the sentinels."""
    found = marked(vocabulary, options)
    if any("<extra_id_" in str(token.content) for token in found if not isinstance(token, str)):
        return found
    return [*found, *(f"<extra_id_{i}>" for i in range(options["extra_ids"]))]


def languages_and_marked(vocabulary: Vocabulary, options: Options) -> list[str | AddedToken]:
    """Return the codes of the languages and the marked pieces."""
    return [*options["language_codes"], *marked(vocabulary, options)]


def gap_sentence_tokens(vocabulary: Vocabulary, options: Options) -> list[str | AddedToken]:
    """Return the mask of a sentence and the unused entries."""
    mask = [options["mask_token_sent"]] if options["mask_token_sent"] else []
    return [*mask, *(f"<unk_{i}>" for i in range(2, options["offset"]))]


def ten_specials(vocabulary: Vocabulary, options: Options) -> list[str | AddedToken]:
    """Return the ten tokens that are kept for what a user needs."""
    return [f"<special{i}>" for i in range(10)]


def none(vocabulary: Vocabulary, options: Options) -> list[str | AddedToken]:
    """Return nothing."""
    return []
