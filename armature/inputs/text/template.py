"""Template: what a tokenizer puts around texts, as data that can be read and applied to ids."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tokenizers


@dataclass(frozen=True)
class Piece:
    """One part of a template: a special token, or the place of a text."""

    type_id: int
    token_ids: tuple[int, ...] = ()
    tokens: tuple[str, ...] = ()
    sequence: int | None = None
    """0 or 1 for the place of a text, None for special tokens."""


@dataclass
class Assembled:
    """Ids of one or two texts with special tokens around; it has the columns that rows read."""

    ids: list[int]
    type_ids: list[int]
    sequence_ids: list[int | None]

    @property
    def special_tokens_mask(self) -> list[int]:
        """Return 1 for added tokens, 0 for tokens of the texts."""
        return [int(sequence is None) for sequence in self.sequence_ids]

    def __len__(self) -> int:
        return len(self.ids)


TEXT, PAIR = Piece(0, sequence=0), Piece(1, sequence=1)


def read_template(backend: tokenizers.Tokenizer, *, pair: bool) -> list[Piece]:
    """Return what the post-processor of `backend` makes of one text, or of a pair."""
    if backend.post_processor is None:
        return [TEXT, PAIR] if pair else [TEXT]
    return _read(json.loads(backend.post_processor.__getstate__()), pair=pair)


def _read(state: dict[str, Any], *, pair: bool) -> list[Piece]:
    match state["type"]:
        case "Sequence":
            whole = [_read(inner, pair=pair) for inner in state["processors"]]
            return max(whole, key=len, default=[TEXT, PAIR] if pair else [TEXT])
        case "TemplateProcessing":
            return [_piece(item, state) for item in state["pair" if pair else "single"]]
        case "BertProcessing":
            cls, sep = _special(state["cls"], 0), _special(state["sep"], 0)
            return [cls, TEXT, sep, PAIR, _special(state["sep"], 1)] if pair else [cls, TEXT, sep]
        case "RobertaProcessing":
            cls, sep = _special(state["cls"], 0), _special(state["sep"], 0)
            return [cls, TEXT, sep, sep, Piece(0, sequence=1), sep] if pair else [cls, TEXT, sep]
        case _:  # ByteLevel only trims offsets
            return [TEXT, PAIR] if pair else [TEXT]


def _special(token: Sequence[Any], type_id: int) -> Piece:
    return Piece(type_id, (token[1],), (token[0],))


def _piece(item: dict[str, Any], state: dict[str, Any]) -> Piece:
    if "Sequence" in item:
        return Piece(item["Sequence"]["type_id"], sequence=int(item["Sequence"]["id"] == "B"))
    special = state["special_tokens"][item["SpecialToken"]["id"]]
    type_id = item["SpecialToken"]["type_id"]
    return Piece(type_id, tuple(special["ids"]), tuple(special["tokens"]))


def write_template(
    single: str, pair: str, tokens: Mapping[str, str], backend: tokenizers.Tokenizer
) -> Any:
    """Return a post-processor that puts special tokens around texts.

    Args:
        single: For one text, as in "cls $A sep"; a token's role, or a text, with its type behind a
            colon where it is not 0.
        pair: For two texts, as in "cls $A sep $B:1 sep:1".
        tokens: Role → token; roles without a token are left out.
        backend: Where the tokens' ids are looked up.
    """
    from tokenizers.processors import TemplateProcessing

    used: dict[str, Any] = {}

    def item(word: str) -> dict[str, Any]:
        role, _, type_id = word.partition(":")
        if role in ("$A", "$B"):
            return {"Sequence": {"id": role[1], "type_id": int(type_id or 0)}}
        token = tokens[role]
        used[token] = {"id": token, "ids": [backend.token_to_id(token)], "tokens": [token]}
        return {"SpecialToken": {"id": token, "type_id": int(type_id or 0)}}

    def known(word: str) -> bool:
        return word.startswith("$") or word.partition(":")[0] in tokens

    state = {
        "type": "TemplateProcessing",
        "single": [item(word) for word in single.split() if known(word)],
        "pair": [item(word) for word in pair.split() if known(word)],
        "special_tokens": used,
    }
    processor = TemplateProcessing(single="$A", pair="$A $B", special_tokens=[])
    # As JSON, because the library's short notation cannot spell tokens that hold a colon.
    processor.__setstate__(json.dumps(state).encode())
    return processor


def assemble(template: Sequence[Piece], *texts: Sequence[int]) -> Assembled:
    """Put special tokens around the ids of one or two texts."""
    row = Assembled([], [], [])
    for piece in template:
        ids = piece.token_ids if piece.sequence is None else texts[piece.sequence]
        row.ids.extend(ids)
        row.type_ids.extend([piece.type_id] * len(ids))
        row.sequence_ids.extend([piece.sequence] * len(ids))
    return row
