"""The older vocabulary files: vocab.txt, vocab.json with merges.txt, SentencePiece, pickles."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from armature.errors import CheckpointError
from armature.inputs.reading import AGAIN, read_file, read_json, read_text
from armature.inputs.text.sentencepiece import SentencePieceModel, read_sentencepiece

# What Unicode calls white space; str.rstrip() would take some control characters, too.
WHITE_SPACE = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


@dataclass
class Vocabulary:
    """What the older files of a tokenizer hold; which parts, depends on its kind."""

    ids: dict[str, int] = field(default_factory=dict)
    merges: list[tuple[str, str]] = field(default_factory=list)
    scores: list[tuple[str, float]] = field(default_factory=list)
    model: SentencePieceModel | None = None
    ranked: bool = False
    """Whether it is a list of byte sequences, of which the earlier merge first."""
    languages: dict[str, dict[str, int]] = field(default_factory=dict)
    """The ids of each language, where each has its own."""
    target: SentencePieceModel | None = None
    """The model for the texts that shall be produced, where it is another one."""


def read_vocabulary(files: Mapping[str, Path], *, unmerged: bool = False) -> Vocabulary:
    """Read the vocabulary from the files of a tokenizer.

    Args:
        files: By argument name: `vocab_file`; `merges_file` for BPE; `spm_file`; `source_spm`,
            `target_spm`.
        unmerged: Whether a vocab.json is all that there is.

    Raises:
        CheckpointError: a file is missing, damaged or of another kind.
    """
    path = files["vocab_file"]
    if "source_spm" in files:
        source, target = (read_sentencepiece(files[name]) for name in ("source_spm", "target_spm"))
        return Vocabulary(ids=read_ids(path), model=source, target=target)
    if "spm_file" in files:
        return Vocabulary(ids=read_ids(path), model=read_sentencepiece(files["spm_file"]))
    if unmerged:
        return _read_letters(path)
    if path.suffix == ".json":
        return _read_json(path, files.get("merges_file"))
    if path.suffix in (".txt", ".tokenizer"):
        return Vocabulary(ids=read_lines(path))
    if path.name in ("vocab.pkl", "vocab.bin"):
        return Vocabulary(ids=read_pickled(path))
    if ranks := read_ranks(path):
        return Vocabulary(ids=ranks, merges=merges_of_bytes(ranks), ranked=True)
    model = read_sentencepiece(path, letters=path.name == "spm_char.model")
    return Vocabulary(ids=model.ids, scores=model.scores, model=model)


def _read_json(path: Path, merges: Path | None) -> Vocabulary:
    if path.name.endswith("tokenizer.json"):
        return Vocabulary(ids=_ids_of(read_json(path).get("model"), path))
    if merges is None:
        raise CheckpointError(
            path, "comes without merges.txt, so its pieces cannot be merged", "Add merges.txt."
        )
    return Vocabulary(ids=read_ids(path), merges=read_merges(merges))


def _read_letters(path: Path) -> Vocabulary:
    """Read a vocab.json that needs no merges, for one language or for several."""
    table = read_json(path)
    if any(isinstance(part, dict) for part in table.values()):
        return Vocabulary(languages={k: _ids_of({"vocab": v}, path) for k, v in table.items()})
    return Vocabulary(ids=_ids_of({"vocab": table}, path))


def read_lines(path: Path) -> dict[str, int]:
    """Return the ids of a vocab.txt: a token's id is the number of its line."""
    lines = read_text(path).split("\n")
    if not lines[-1]:
        lines.pop()
    return {line.rstrip(WHITE_SPACE): index for index, line in enumerate(lines)}


def read_pickled(path: Path) -> dict[str, int]:
    """Return the ids of a vocabulary that was pickled, without executing anything.

    Raises:
        CheckpointError: there is none in the file.
    """
    from armature.checkpoint.formats.plain_pickle import read_plain_pickle

    content = read_plain_pickle(path)
    words = content.get("idx2sym") if isinstance(content, dict) else None
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise CheckpointError(path, "holds no list of words (idx2sym)", AGAIN)
    ids = {word: index for index, word in enumerate(words)}
    if content.get("sym2idx", ids) != ids or len(ids) != len(words):
        raise CheckpointError(path, "gives words other ids than their places in the list", AGAIN)
    return ids


def read_ids(path: Path) -> dict[str, int]:
    """Return the ids of a vocab.json."""
    return _ids_of({"vocab": read_json(path)}, path)


def _ids_of(model: Any, path: Path) -> dict[str, int]:
    ids = model.get("vocab") if isinstance(model, dict) else None
    if not isinstance(ids, dict):
        raise CheckpointError(path, "holds no table of tokens and ids", AGAIN)
    for token, index in ids.items():
        if isinstance(index, bool) or not isinstance(index, int) or not 0 <= index < 1 << 31:
            raise CheckpointError(path, f"gives {token!r} the id {index!r}", AGAIN)
    return ids


def read_merges(path: Path) -> list[tuple[str, str]]:
    """Return the pairs of a merges.txt, in their order; how often each was seen may follow it."""
    merges = []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        line = line.removesuffix("\r")
        if not line or line.startswith("#version"):
            continue
        first, _, rest = line.partition(" ")
        second, _, count = rest.partition(" ")
        if not first or not second or not (count or "0").isdigit():
            raise CheckpointError(path, f"line {number} is no pair of pieces: {line[:40]!r}", AGAIN)
        merges.append((first, second))
    return merges


# How bytes are written as visible letters: those that are none get letters behind Latin-1.
_VISIBLE = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
_HIDDEN = [byte for byte in range(256) if byte not in _VISIBLE]
LETTERS = dict(zip(_VISIBLE, map(chr, _VISIBLE), strict=True))
LETTERS |= {byte: chr(256 + place) for place, byte in enumerate(_HIDDEN)}
_RANK = re.compile(rb"[A-Za-z0-9+/]+={0,2} \d{1,9}\r?\n")


def read_ranks(path: Path) -> dict[str, int]:
    """Return the ids of a file that lists byte sequences (base64) and their ids; else nothing.

    Raises:
        CheckpointError: a line is damaged.
    """
    content = read_file(path)
    if not _RANK.match(content):
        return {}
    ids: dict[str, int] = {}
    for number, line in enumerate(content.splitlines(), 1):
        token, _, index = line.partition(b" ")
        try:
            letters = "".join(map(LETTERS.__getitem__, base64.b64decode(token, validate=True)))
            ids[letters] = int(index)
        except (binascii.Error, ValueError) as error:
            raise CheckpointError(path, f"line {number} is damaged ({error})", AGAIN) from error
    return ids


def merges_of_bytes(ranks: Mapping[str, int]) -> list[tuple[str, str]]:
    """Return every pair that makes up a sequence of the list, in the order of the sequences."""
    merges: list[tuple[str, str]] = []
    for token in sorted(ranks, key=ranks.__getitem__):
        cuts = ((token[:cut], token[cut:]) for cut in range(1, len(token)))
        pairs = [pair for pair in cuts if pair[0] in ranks and pair[1] in ranks]
        merges += sorted(pairs, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))
    return merges
