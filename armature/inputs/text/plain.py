"""PlainBackend: a tokenizer's work in Python, for those that the tokenizers library cannot express.

It answers the questions that the rest asks of the library's tokenizers. What it puts around texts
is a template of the library, so that it is read and written in one way.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import tokenizers
from tokenizers import AddedToken

from armature.errors import ArgumentError
from armature.inputs.text.template import Assembled, assemble, read_template

Backend = tokenizers.Tokenizer


@dataclass
class Spelling:
    """How a kind of tokenizer takes texts apart and puts them together again."""

    split: Callable[[str], list[str]]
    """A text without added tokens → its pieces, also those that have no id."""
    join: Callable[[Sequence[str], set[str]], str]
    """Pieces and which of them are special tokens → the text."""
    fold: Callable[[str], str] = str
    """How a piece is spelt in the vocabulary."""
    protects: bool = False
    """Whether it sees itself to the words that are never split."""


class _Row(Assembled):
    """The pieces of a text or pair. Texts are rewritten before they are split: no way back."""

    tokens: list[str]

    def _lost(self) -> Any:
        raise ArgumentError(
            "This tokenizer rewrites texts before it splits them, so that its tokens have no "
            "offsets and no words. Leave out return_offsets_mapping and the like."
        )

    offsets = word_ids = property(_lost)


@dataclass
class PlainBackend:
    """Texts to ids and back, with added tokens that are never split."""

    ids: dict[str, int]
    spelling: Spelling
    unk: str
    hidden: dict[str, int] = field(default_factory=dict)
    """Pieces that have an id, but are not counted as a part of the vocabulary."""
    merges: list[tuple[str, str]] = field(default_factory=list)
    post_processor: Any = None
    encode_special_tokens: bool = False
    """Whether added tokens in a text are plain text."""
    model: None = None
    rebuild: tuple[Any, ...] = ()
    """The function and the arguments that build it anew in another process."""

    def __post_init__(self) -> None:
        self._pieces = {index: piece for piece, index in (self.hidden | self.ids).items()}
        self._added: dict[int, AddedToken] = {}
        self._added_ids: dict[str, int] = {}
        self._pattern: re.Pattern[str] | None = None
        self.decoder = SimpleNamespace(decode=self._join)

    def copy(self) -> PlainBackend:
        """Return a twin that may be changed."""
        twin = copy.copy(self)
        twin._added, twin._added_ids = dict(self._added), dict(self._added_ids)
        twin.decoder = SimpleNamespace(decode=twin._join)
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        state = [*self._added.items()], self.post_processor, self.encode_special_tokens
        return _again, (*self.rebuild, self.rebuild, state)

    def add_tokens(self, tokens: Iterable[str | AddedToken]) -> int:
        """Keep tokens whole; those that the vocabulary lacks get the next ids."""
        return self._add(tokens, special=False)

    def add_special_tokens(self, tokens: Iterable[str | AddedToken]) -> int:
        """Keep tokens whole that may be left out of decoded text."""
        return self._add(tokens, special=True)

    def _add(self, tokens: Iterable[str | AddedToken], *, special: bool) -> int:
        size = self.get_vocab_size()
        for token in tokens:
            if isinstance(token, str):
                token = AddedToken(token, normalized=not special, special=special)
            elif special:
                token.special = True
            index = self.token_to_id(token.content)
            index = self.get_vocab_size() if index is None else index
            self._added[index], self._added_ids[token.content] = token, index
        names = sorted(self._added_ids, key=len, reverse=True)
        self._pattern = re.compile(f"({'|'.join(map(re.escape, names))})") if names else None
        return self.get_vocab_size() - size

    def token_to_id(self, token: str) -> int | None:
        """Return the id of a token."""
        return self._added_ids.get(token, self.ids.get(token, self.hidden.get(token)))

    def id_to_token(self, index: int) -> str | None:
        """Return the token of an id."""
        added = self._added.get(index)
        return added.content if added else self._pieces.get(index)

    def get_vocab(self, with_added_tokens: bool = True) -> dict[str, int]:  # noqa: FBT001, FBT002
        """Return token → id."""
        return {**self.ids, **self._added_ids} if with_added_tokens else dict(self.ids)

    def get_vocab_size(self, with_added_tokens: bool = True) -> int:  # noqa: FBT001, FBT002
        """Return how many tokens there are."""
        more = sum(token not in self.ids for token in self._added_ids) if with_added_tokens else 0
        return len(self.ids) + more

    def get_added_tokens_decoder(self) -> dict[int, AddedToken]:
        """Return id → added token."""
        return dict(self._added)

    def num_special_tokens_to_add(self, pair: bool) -> int:  # noqa: FBT001
        """Return how many special tokens stand around texts."""
        return sum(len(piece.token_ids) for piece in self._template(pair=pair))

    def _template(self, *, pair: bool) -> Any:
        return read_template(self, pair=pair)  # type: ignore[arg-type]

    def encode_batch(
        self,
        inputs: Iterable[Any],
        is_pretokenized: bool,  # noqa: FBT001
        add_special_tokens: bool,  # noqa: FBT001
    ) -> list[_Row]:
        """Return the tokens of texts and pairs, of which each may be a list of words."""
        found = []
        for text in inputs:
            kind = list | tuple if is_pretokenized else str
            pair = not isinstance(text, str) and all(isinstance(part, kind) for part in text)
            texts = text if pair and len(text) == 2 else [text]
            pieces = [
                [p for word in ([one] if isinstance(one, str) else one) for p in self.pieces(word)]
                for one in texts
            ]
            found.append(self._row(pieces, special=add_special_tokens))
        return found

    encode_batch_fast = encode_batch

    def _row(self, texts: list[list[str]], *, special: bool) -> _Row:
        template = self._template(pair=len(texts) == 2) if special else ()
        if not template:
            plain = copy.copy(self)
            plain.post_processor = None
            template = plain._template(pair=len(texts) == 2)
        unknown = self.token_to_id(self.unk)
        ids = [[self._id(piece, unknown) for piece in pieces] for pieces in texts]
        whole = assemble(template, *ids)
        row = _Row(whole.ids, whole.type_ids, whole.sequence_ids)
        parts = (p.tokens if p.sequence is None else texts[p.sequence] for p in template)
        row.tokens = [piece for part in parts for piece in part]
        return row

    def _id(self, piece: str, unknown: int | None) -> int:
        index = self._added_ids.get(piece)
        if index is None:
            index = self.token_to_id(self.spelling.fold(piece))
        if index is None:
            index = unknown
        if index is None:
            raise ArgumentError(f"{piece!r} has no id, and there is no token for what is unknown.")
        return index

    def pieces(self, text: str) -> list[str]:
        """Return the pieces of a text; added tokens are pieces of their own."""
        if self.encode_special_tokens or self._pattern is None:
            return self.spelling.split(text)
        parts = [part for part in self._pattern.split(text) if part]
        for place, part in enumerate(parts):
            if part in self._added_ids:
                self._take_neighbours(parts, place, self._added[self._added_ids[part]])
        found: list[str] = []
        for part in parts:
            whole = part in self._added_ids
            found += [part] if whole else self.spelling.split(part) if part else []
        return found

    @staticmethod
    def _take_neighbours(parts: list[str], place: int, token: AddedToken) -> None:
        """Apply an added token's flags to the texts at its sides."""
        left = parts[place - 1] if place else ""
        right = parts[place + 1] if place + 1 < len(parts) else ""
        if token.rstrip and right:
            parts[place + 1] = right.lstrip()
        if token.lstrip and left:
            parts[place - 1] = left.rstrip()
        if token.single_word and left and left[-1] != " ":
            parts[place - 1], parts[place] = left + token.content, ""
        elif token.single_word and right and right[0] != " ":
            parts[place + 1], parts[place] = token.content + right, ""

    def decode(self, ids: Iterable[int], skip_special_tokens: bool) -> str:  # noqa: FBT001
        """Return the text of ids."""
        left_out = {i for i, token in self._added.items() if token.special and skip_special_tokens}
        return self._join([self.id_to_token(i) or self.unk for i in ids if i not in left_out])

    def _join(self, tokens: Sequence[str]) -> str:
        special = {token.content for token in self._added.values() if token.special}
        return self.spelling.join(tokens, special)


def _again(build: Any, vocabulary: Any, options: Any, rebuild: Any, state: Any) -> PlainBackend:
    backend: PlainBackend = build(vocabulary, options)
    backend.rebuild = rebuild
    added, backend.post_processor, backend.encode_special_tokens = state
    backend.add_tokens(token for _, token in added)
    return backend


def twin_of(backend: Any) -> Any:
    """Return a copy of a backend that may be changed."""
    if hasattr(backend, "copy"):
        return backend.copy()
    return type(backend).from_str(backend.to_str())


def lookup(ids: Mapping[str, int], names: Iterable[str]) -> dict[str, int]:
    """Return the ids that follow those of a vocabulary, for tokens that it does not count."""
    return {name: len(ids) + place for place, name in enumerate(names)}
