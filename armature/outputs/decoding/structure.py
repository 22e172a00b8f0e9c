"""Structure: a text that follows a JSON schema, a regular expression or a grammar, by its tokens.

Before each choice, tokens with which the text could no longer be completed are forbidden; the end
is allowed once the text is complete. `llguidance` keeps track of what may follow.
"""

from __future__ import annotations

import contextlib
import json
import weakref
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.inputs.text.token_bytes import TokenBytes, token_bytes
from armature.outputs.decoding import logits
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.controls import Frame
from armature.outputs.decoding.history import History

if TYPE_CHECKING:
    from collections.abc import Callable

SETTINGS = ("json_schema", "regex", "grammar")

# Between the parts of a JSON text: a space, or a new line with its indent; else a model may go on
# with nothing but spaces.
_SPACES = r"( |\n {0,20})?"
_KEPT = 256  # states that are remembered, beside those of the rows
_MOST = 200  # letters of an error that are shown
_DEAD = object()  # the state of a beam that has left the form, because it is there to fill a place


def asked(setting: Callable[[str], Any]) -> str | None:
    """Return which of SETTINGS is set, given how to look them up.

    Raises:
        ArgumentError: several are.
    """
    names = [name for name in SETTINGS if setting(name) is not None]
    if len(names) > 1:
        both = " and ".join(f"`{name}`" for name in names)
        raise ArgumentError(f"{both} both say what the text must be.\n  → drop one of them")
    return names[0] if names else None


def structure(config: GenerationConfig, frame: Frame, tokenizer: Any) -> Structure | None:
    """Return the control that keeps a call's texts to what its settings ask for, if any does.

    Raises:
        ArgumentError: there is no tokenizer or no end token, the setting has an error, or no text
            can do what it asks for.
        ArmatureError: `llguidance` is not installed.
    """
    name = asked(lambda name: getattr(config, name))
    if name is None:
        return None
    if tokenizer is None:
        raise ArgumentError(
            f"`{name}` speaks of text, and generate() only sees ids.\n  → pass tokenizer=tokenizer"
        )
    ends = frame.tokens(config.eos_token_id)
    if not len(ends):
        raise ArgumentError(
            f"`{name}` needs a token that ends the text, but no `eos_token_id` is set.\n"
            "  → pass eos_token_id=tokenizer.eos_token_id"
        )
    words = _words(tokenizer, frame.vocabulary)
    matcher = _matcher(words, name, getattr(config, name))
    return Structure(name, words, matcher, ends, alone=(config.num_beams or 1) == 1)


class Words:
    """A tokenizer's vocabulary as `llguidance` reads it."""

    def __init__(self, tokenizer: Any, size: int) -> None:
        guidance = _guidance()
        self.size = size
        self.read: TokenBytes = token_bytes(tokenizer, size)
        self.spaced = torch.tensor(
            [bool(part and part[:1] == b" ") for part in self.read.parts], dtype=torch.bool
        )
        self._index = {part: i for i, part in enumerate(self.read.parts) if part}
        self._longest = max(map(len, self._index), default=0)
        self._tokenizer = weakref.ref(tokenizer)  # which this is kept for as long as it lives
        names = {i: t for t, i in tokenizer.get_vocab().items() if i < size}
        # What llguidance wants to know of a tokenizer. Its end is an id that no model has: which
        # tokens end a text is a setting of generate().
        special = [i for i, part in enumerate(self.read.parts) if part is None and i in names]
        self.tokens = [part or b"" for part in self.read.parts] + [b"<|end of text|>"]
        for index in special:
            self.tokens[index] = names[index].encode()
        self.special_token_ids = [*special, size]
        self.eos_token_id, self.bos_token_id = size, None
        self.guide = guidance.LLTokenizer(guidance.TokenizerWrapper(self))

    def __call__(self, text: bytes | str) -> list[int]:
        """Return the ids of a text that is certain to follow."""
        data = text.encode() if isinstance(text, str) else text
        tokenizer, ids = self._tokenizer(), []
        with contextlib.suppress(UnicodeDecodeError):
            if tokenizer is not None:
                ids = tokenizer(data.decode(), add_special_tokens=False)["input_ids"]
        if b"".join(self.read.parts[i] or b"" for i in ids if i < self.size) == data:
            return ids
        return self._greedily(data)

    def _greedily(self, data: bytes) -> list[int]:
        """Return the longest tokens that a text can be made of, from its beginning."""
        ids, place = [], 0
        while place < len(data):
            ends = range(min(len(data), place + self._longest), place, -1)
            end = next((e for e in ends if data[place:e] in self._index), None)
            if end is None:
                break
            ids.append(self._index[data[place:end]])
            place = end
        return ids


class Structure:
    """Forbids what a text could not go on with; what may follow depends on a row's tokens only.

    So rows may be repeated, moved, dropped and taken back, as every search does.
    """

    def __init__(self, name: str, words: Words, matcher: Any, ends: Tensor, *, alone: bool) -> None:
        self.name, self.words, self.ends, self.alone = name, words, ends.tolist(), alone
        self._root = matcher
        self._states: dict[tuple[int, ...], Any] = {}
        """New tokens → what may follow them; None: the row is over, _DEAD: nothing may."""
        self._bits = torch.arange(8)

    def __call__(self, history: History, scores: Tensor) -> Tensor:
        """Return scores in which what may not follow is impossible."""
        new = history.ids[:, history.prompt :].tolist()
        may: dict[tuple[int, ...], Tensor | None] = {}
        for ids in map(tuple, new):
            if ids not in may:
                may[ids] = self._allowed(ids)
        self._forget(_KEPT + 2 * len(may))
        everything = torch.ones(self.words.size, dtype=torch.bool)
        rows = [may[tuple(ids)] for ids in new]
        kept = torch.stack([everything if row is None else row for row in rows])
        return scores.masked_fill(~kept.to(scores.device), logits.NEVER)

    def _allowed(self, ids: tuple[int, ...]) -> Tensor | None:
        """Return which tokens may follow, (V,); None where nothing is said about it."""
        state = self._state(ids)
        if state is None:
            return None
        if state is _DEAD:
            return torch.zeros(self.words.size, dtype=torch.bool)
        mask = torch.frombuffer(bytearray(state.compute_bitmask()), dtype=torch.uint8)
        stuck = state.is_error()
        if stuck and "NoExtension" not in state.get_error():
            raise ArgumentError(f"`{self.name}` cannot be followed: {_short(state.get_error())}")
        may = torch.zeros(self.words.size, dtype=torch.bool)
        if not stuck:
            may = (mask[:, None] >> self._bits & 1).flatten()[: self.words.size].bool()
        if state is self._root and self.words.read.drops_space:
            may &= ~self.words.spaced
        may[self.ends] = not stuck and state.is_accepting()
        if self.alone and not bool(may.any()):
            text = b"".join(self.words.read.parts[i] or b"" for i in ids)
            raise ArgumentError(
                f"the vocabulary has no token with which `{self.name}` could go on after "
                f"{text.decode(errors='replace')[-_MOST:]!r}"
            )
        return may

    def _state(self, ids: tuple[int, ...]) -> Any:
        """Return what may follow some new tokens."""
        known = len(ids)
        while known and ids[:known] not in self._states:
            known -= 1
        state = self._states[ids[:known]] if known else self._root
        for end in range(known, len(ids)):
            state = self._states[ids[: end + 1]] = self._after(state, ids[end])
        return state

    def _after(self, state: Any, token: int) -> Any:
        if state is None or state is _DEAD:
            return state
        if token in self.ends:
            return None
        outside = not 0 <= token < self.words.size
        if not outside and state.validate_tokens([token]) == 1:
            state = state.deep_copy()
            state.consume_token(token)
            return state
        # A special token that another setting has put here is no part of the text. Any other means
        # that the row goes on only for its neighbours.
        if not outside and self.words.read.parts[token] is None:
            return state
        return None if self.alone else _DEAD

    def _forget(self, kept: int) -> None:
        for ids in list(self._states)[: max(0, len(self._states) - kept)]:
            del self._states[ids]


_known: weakref.WeakKeyDictionary[Any, dict[tuple[int, int], Words]] = weakref.WeakKeyDictionary()


def _words(tokenizer: Any, size: int) -> Words:
    """Return a tokenizer's vocabulary, which takes a moment to read, once."""
    found = _known.setdefault(tokenizer, {})
    key = size, len(tokenizer)
    if key not in found:
        found[key] = Words(tokenizer, size)
    return found[key]


def _matcher(words: Words, name: str, value: Any) -> Any:
    """Return what follows a text from its beginning.

    Raises:
        ArgumentError: the setting has an error, or nothing can do what it asks for.
    """
    matcher = _guidance().LLMatcher
    if name == "json_schema":
        schema = _schema(value)
        plain = isinstance(schema, dict) and "x-guidance" not in schema  # its own way to say it
        options = {"whitespace_pattern": _SPACES} if plain else None
        grammar = matcher.grammar_from_json_schema(json.dumps(schema), defaults=options)
    elif not isinstance(value, str):
        raise ArgumentError(f"`{name}` should be a text, but is {value!r:.60}")
    elif name == "regex":
        grammar = matcher.grammar_from_regex(value)
    else:
        grammar = matcher.grammar_from_lark(value)
    found = matcher(words.guide, grammar, log_level=0)
    if found.is_error():
        raise ArgumentError(f"`{name}` cannot be followed: {_short(found.get_error())}")
    return found


def _schema(value: Any) -> dict[str, Any] | bool:
    """Return a JSON schema: given as text, as a table, or as a class that has one."""
    if hasattr(value, "model_json_schema"):
        value = value.model_json_schema()
    try:
        read = json.loads(value) if isinstance(value, str) else value
        json.dumps(read)
    except (TypeError, ValueError) as error:
        raise ArgumentError(f"`json_schema` is no JSON: {error}") from error
    if not isinstance(read, dict | bool):
        raise ArgumentError(
            f"`json_schema` should be a JSON schema, a table, but is {value!r:.60}\n"
            '  → for example {"type": "object", "properties": {"name": {"type": "string"}}}'
        )
    return read


def _short(error: str) -> str:
    """Return what an error of llguidance says, without the state that it shows besides."""
    return error.partition("<state>")[0].strip()[:_MOST]


def _guidance() -> Any:
    try:
        import llguidance
    except ImportError as error:
        raise ArgumentError(
            "text that follows a schema, an expression or a grammar needs `llguidance`, which is "
            'not installed.\n  → pip install "armature-models[structured]"'
        ) from error
    return llguidance
