"""Tokenizers of the library whose texts are split into words by another library before.

Those libraries are optional: each is imported when a checkpoint needs it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from typing import Any

import tokenizers
from tokenizers import normalizers, pre_tokenizers

from armature.errors import ArgumentError

Words = Callable[[str], list[tuple[int, int]]]


def needed(package: str, extra: str, purpose: str) -> Any:
    """Import a package that only some tokenizers need.

    Raises:
        ArgumentError: it is not installed.
    """
    try:
        return import_module(package)
    except ImportError as error:
        raise ArgumentError(
            f"{purpose} needs the package `{package}`, which is not installed: "
            f"pip install 'armature-models[{extra}]'"
        ) from error


class WordsFirst:
    """A tokenizer of the library, with words from elsewhere; saved, it has the library's own."""

    def __init__(self, backend: tokenizers.Tokenizer, find: Callable[[Any], Words]) -> None:
        """Take a tokenizer.

        Args:
            backend: Whose words are replaced. It is changed.
            find: A vocabulary → what finds the beginnings and ends of words in a text.
        """
        find_words = find(backend.get_vocab(with_added_tokens=False))
        self.__dict__ |= {"_inner": backend, "_find": find, "_stored": backend.pre_tokenizer}
        backend.pre_tokenizer = pre_tokenizers.PreTokenizer.custom(_Splitter(find_words))

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_inner" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._inner, name, value)

    def copy(self) -> WordsFirst:
        """Return a twin that may be changed."""
        return WordsFirst(self._plain(), self._find)

    def to_str(self, pretty: bool = False) -> str:  # noqa: FBT001, FBT002 - the library's signature
        """Return the content of its tokenizer.json."""
        return self._plain().to_str(pretty)

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (self.to_str(), self._find, self._inner.encode_special_tokens)

    def _plain(self) -> tokenizers.Tokenizer:
        """Return a twin with the library's own words."""
        old = self._inner
        model = json.loads(old.model.__getstate__())
        twin = tokenizers.Tokenizer(type(old.model)(model["vocab"], unk_token=model["unk_token"]))
        for part in ("normalizer", "decoder", "post_processor"):
            if getattr(old, part) is not None:
                setattr(twin, part, getattr(old, part))
        twin.pre_tokenizer = self._stored
        twin.add_tokens([token for _, token in sorted(old.get_added_tokens_decoder().items())])
        twin.encode_special_tokens = old.encode_special_tokens
        return twin


def _again(content: str, find: Callable[[Any], Words], special: bool) -> WordsFirst:  # noqa: FBT001
    backend = tokenizers.Tokenizer.from_str(content)
    backend.encode_special_tokens = special
    return WordsFirst(backend, find)


class _Splitter:
    """What the library asks to split a text."""

    def __init__(self, words: Words) -> None:
        self._words = words

    def pre_tokenize(self, text: tokenizers.PreTokenizedString) -> None:
        """Split every part of a text."""
        text.split(self._split)

    def _split(self, place: int, part: tokenizers.NormalizedString) -> list[Any]:
        return [part[start:end] for start, end in self._words(str(part))]


def chinese_words(vocabulary: Any) -> Words:
    """Return what splits Chinese text; words that are not in the vocabulary become letters."""
    jieba = needed("rjieba", "chinese", "Splitting Chinese text into words")
    letters = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=True, strip_accents=False, lowercase=False
    )

    def find(text: str) -> list[tuple[int, int]]:
        found = []
        for word, start, end in jieba.tokenize(text, hmm=False):
            if word in vocabulary:
                found.append((start, end))
                continue
            for part in letters.normalize_str(word).split():
                found.append((start, start + len(part)))
                start += len(part)
        return found

    return find
