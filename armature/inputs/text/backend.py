"""From files to a working backend: vocabulary, special tokens, and what stands around texts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken

from armature.errors import ArgumentError, ArmatureError, CheckpointError
from armature.inputs.reading import AGAIN, read_file
from armature.inputs.text import layouts, recipes, spellings
from armature.inputs.text.family import ROLES, Family
from armature.inputs.text.plain import PlainBackend
from armature.inputs.text.stored import as_token, content_of
from armature.inputs.text.template import write_template
from armature.inputs.text.vocabulary_files import Vocabulary, read_vocabulary

Token = str | AddedToken


@dataclass
class Lexicon:
    """A backend with the special tokens that have a name."""

    backend: tokenizers.Tokenizer
    named: dict[str, Token] = field(default_factory=dict)
    """Role → token."""
    extra: list[Token] = field(default_factory=list)
    """Special tokens without a role."""
    implied: dict[str, Any] = field(default_factory=dict)
    """Options that a tokenizer.json stands for."""
    encoders: list[tokenizers.Tokenizer] = field(default_factory=list)
    """What splits texts and target texts, where these are split differently."""


def open_backend(
    family: Family,
    files: Mapping[str, Any],
    options: Mapping[str, Any],
    added: Mapping[int, AddedToken],
) -> Lexicon:
    """Build the backend of a tokenizer.

    Args:
        family: Whose it is.
        files: `tokenizer_object`, `tokenizer_file`, or the older files by argument name.
        options: All options; what none of the files' authors nor the caller said has its default.
        added: Tokens that were added to the vocabulary, by id.

    Raises:
        CheckpointError: a file is missing or damaged.
    """
    named = _named_tokens(family, options, added)
    extra = _extra_tokens(options)
    place = " and ".join(str(f) for f in files.values() if isinstance(f, Path)) or family.name
    texts = {**options, **{role: content_of(token) for role, token in named.items()}}
    texts["unk_id"] = family.unk_id
    if "tokenizer_object" in files or "tokenizer_file" in files:
        backend = _from_json(files)
        implied = take_fit(backend)
        if "pad_token" not in {*options, *family.tokens} and "pad_token" in implied:
            named["pad_token"] = implied["pad_token"]
        if extra is None:
            extra = getattr(layouts, family.extras)(Vocabulary(), texts)
        _add_tokens(backend, added, named, extra)
        return Lexicon(backend, named, extra, implied)
    vocabulary = files.get("vocabulary") or read_vocabulary(files, unmerged=family.unmerged)
    if vocabulary.model and not vocabulary.target:
        vocabulary.scores = getattr(layouts, family.layout)(vocabulary.scores, texts)

    def build(part: Vocabulary) -> tokenizers.Tokenizer:
        backend = _assembled(family.recipe, part, texts)
        _add_tokens(backend, _gapless(added, part), named, extra or [])
        _add_unsplit_words(backend, options.get("never_split"))
        _check_ids(backend, added, place)
        frame(backend, family, options, named)
        return backend

    with explained(place):
        if extra is None:
            extra = getattr(layouts, family.extras)(vocabulary, texts)
        if not vocabulary.target:
            return Lexicon(build(vocabulary), named, extra)
        encoders = [
            build(replace(vocabulary, model=m)) for m in (vocabulary.model, vocabulary.target)
        ]
        return Lexicon(build(replace(vocabulary, model=None)), named, extra, encoders=encoders)


def _assembled(name: str, vocabulary: Vocabulary, options: Mapping[str, Any]) -> Any:
    """Return the normaliser, splitter, model and decoder that a recipe makes."""
    recipe = getattr(recipes, name, None) or getattr(spellings, name)
    recipe = recipes.ranked_bytes if vocabulary.ranked else recipe
    backend = recipe(vocabulary, options)
    if isinstance(backend, PlainBackend):
        backend.rebuild = recipe, vocabulary, options
    return backend


def _from_json(files: Mapping[str, Any]) -> tokenizers.Tokenizer:
    path = files.get("tokenizer_file")
    if path is not None:
        content = read_file(Path(path))
        with explained(path):
            backend = tokenizers.Tokenizer.from_buffer(content)
    else:
        backend = tokenizers.Tokenizer.from_str(files["tokenizer_object"].to_str())
    return backend


def take_fit(backend: tokenizers.Tokenizer) -> dict[str, Any]:
    """Remove how a tokenizer.json truncates and pads, and return the options that it stands for.

    Rows are truncated and padded outside: the backend's settings would be shared by all threads.
    """
    options: dict[str, Any] = {}
    if backend.truncation:
        cut = backend.truncation
        options["truncation_side"] = cut["direction"]
        options |= {"max_length": cut["max_length"], "stride": cut["stride"]}
        backend.no_truncation()
    if backend.padding:
        options["padding_side"] = backend.padding["direction"]
        options["pad_token"] = backend.padding["pad_token"]
        options["pad_to_multiple_of"] = backend.padding["pad_to_multiple_of"]
        options.setdefault("max_length", backend.padding["length"])
        backend.no_padding()
    return options


def _named_tokens(
    family: Family, options: Mapping[str, Any], added: Mapping[int, AddedToken]
) -> dict[str, Token]:
    """Return the special tokens that have a role, with the flags that the files give them."""
    flagged = {token.content: token for token in added.values()}
    roles = dict.fromkeys((*ROLES, *family.tokens))
    roles |= dict.fromkeys(k for k, v in options.items() if k.endswith("_token") and _is_token(v))
    if isinstance(options.get("extra_special_tokens"), dict):
        roles |= dict.fromkeys(options["extra_special_tokens"])
    named: dict[str, Token] = {}
    for role in roles:
        inner = options.get("extra_special_tokens")
        stated = inner.get(role) if isinstance(inner, dict) and role in inner else None
        token = as_token(stated or options.get(role, family.tokens.get(role)), "options", role)
        if token is None:
            continue
        if isinstance(token, str) and role in family.eats_space:
            late = not family.eats_before_rules
            token = AddedToken(token, lstrip=True, normalized=late, special=True)
        named[role] = flagged.get(str(content_of(token)), token)
    return named


def _is_token(value: Any) -> bool:
    return isinstance(value, str | AddedToken) or (isinstance(value, dict) and "content" in value)


def _extra_tokens(options: Mapping[str, Any]) -> list[Token] | None:
    """Return further special tokens; None where nothing is said about them."""
    names = ("extra_special_tokens", "additional_special_tokens")
    stated = [options[name] for name in names if name in options]
    if not stated:
        return None
    values = next((value for value in stated if value), [])
    if isinstance(values, dict):  # each has a role of its own
        return []
    tokens = [as_token(value, "options", "extra_special_tokens") for value in values]
    return [token for token in tokens if token is not None]


def _add_tokens(
    backend: tokenizers.Tokenizer,
    added: Mapping[int, AddedToken],
    named: Mapping[str, Token],
    extra: list[Token],
) -> None:
    """Make the backend keep these tokens whole; those that it does not know get the next ids."""
    present = backend.get_added_tokens_decoder().values()
    same = {repr(token) for token in present}
    new: list[AddedToken] = [added[i] for i in sorted(added) if repr(added[i]) not in same]
    known = {token.content for token in (*present, *new)}
    special = {content_of(token) for token in named.values()}
    for token in (*named.values(), *extra):
        if isinstance(token, str):
            token = AddedToken(token, special=True)
        # HF: a token that is listed twice has the flags of its last entry.
        if token.content not in known and token.content:
            token.special = token.special or token.content in special
            new.append(token)
    if new:
        backend.add_tokens(new)


def _gapless(added: Mapping[int, AddedToken], vocabulary: Vocabulary) -> dict[int, AddedToken]:
    """Return added tokens with others in the gaps between their ids, for a list of bytes."""
    if not vocabulary.ranked:
        return dict(added)
    ids = range(len(vocabulary.ids), max(added, default=-1) + 1)
    gaps = {i: AddedToken(f"<|reserved_token_{i}|>", normalized=False, special=True) for i in ids}
    return {**gaps, **added}


def _add_unsplit_words(backend: tokenizers.Tokenizer, words: list[str] | None) -> None:
    """Keep words whole that the vocabulary has."""
    if isinstance(backend, PlainBackend) and backend.spelling.protects:
        return
    whole = [word for word in words or [] if backend.token_to_id(word) is not None]
    if whole:
        backend.add_tokens([AddedToken(word, single_word=True, normalized=False) for word in whole])


def _check_ids(backend: tokenizers.Tokenizer, added: Mapping[int, AddedToken], place: str) -> None:
    """Refuse added tokens that would get other ids than the checkpoint's files say."""
    for index, token in added.items():
        found = backend.token_to_id(token.content)
        if found != index:
            cause = f"the added token {token.content!r} should get the id {index}, not {found}"
            raise CheckpointError(place, cause, f"A file may be missing or changed. {AGAIN}")


def frame(
    backend: tokenizers.Tokenizer,
    family: Family,
    options: Mapping[str, Any],
    named: Mapping[str, Token],
) -> None:
    """Set what stands around one text and around a pair."""
    tokens = {role.removesuffix("_token"): str(content_of(t)) for role, t in named.items()}
    if "src_lang" in family.options:
        tokens["lang"] = family.language_mark.format(options["src_lang"])
    if family.trims and {"sep", "cls"} <= tokens.keys():
        from tokenizers.processors import RobertaProcessing

        sep, cls = ((tokens[r], backend.token_to_id(tokens[r]) or 0) for r in ("sep", "cls"))
        trim = bool(options.get("trim_offsets", True))
        prefix = bool(options.get("add_prefix_space", False))
        backend.post_processor = RobertaProcessing(sep, cls, trim, prefix)
    elif options.get("legacy_behaviour"):
        backend.post_processor = write_template("$A eos lang", "$A $B eos lang", tokens, backend)
    elif family.single:
        backend.post_processor = write_template(family.single, family.pair, tokens, backend)
    else:
        backend.post_processor = write_template(*ends_of(options, tokens), tokens, backend)


def ends_of(options: Mapping[str, Any], tokens: Mapping[str, str]) -> tuple[str, str]:
    """Return what stands around one text and a pair where options alone decide about it."""
    begin = "bos" if options.get("add_bos_token") and "bos" in tokens else ""
    end = "eos" if options.get("add_eos_token") and "eos" in tokens else ""
    single = f"{begin} $A {end}"
    second = f"{begin and 'bos:1'} $B:1 {end and 'eos:1'}"
    return single, f"{single} {second}"


# Option → the components that it changes in a tokenizer.json, and how.
_PREFIX = {
    "ByteLevel": lambda value: {"add_prefix_space": value},
    "RobertaProcessing": lambda value: {"add_prefix_space": value},
    "Metaspace": lambda value: {} if value else {"prepend_scheme": "never"},
}
_CHANGES: dict[str, dict[str, Callable[[Any], dict[str, Any]]]] = {
    "do_lower_case": {"BertNormalizer": lambda value: {"lowercase": value}},
    "strip_accents": {"BertNormalizer": lambda value: {"strip_accents": value}},
    "tokenize_chinese_chars": {"BertNormalizer": lambda value: {"handle_chinese_chars": value}},
    "add_prefix_space": _PREFIX,
    "trim_offsets": {"RobertaProcessing": lambda value: {"trim_offsets": value}},
}
_PARTS = ("normalizer", "pre_tokenizer", "post_processor")


def adjust(backend: tokenizers.Tokenizer, options: Mapping[str, Any]) -> set[str]:
    """Apply options to a backend that came from a tokenizer.json.

    Returns:
        The names of the options that the backend has a component for.
    """
    wanted = {name: options[name] for name in _CHANGES.keys() & options.keys()}
    for name in ("add_prefix_space", "trim_offsets"):  # None says nothing about these
        if wanted.get(name, ...) is None:
            del wanted[name]
    used: set[str] = set()
    for part in _PARTS if wanted else ():
        component = getattr(backend, part)
        if component is None:
            continue
        before = json.loads(component.__getstate__())
        after = _changed(before, part, wanted, used)
        if after != before:
            component.__setstate__(json.dumps(after).encode())
            setattr(backend, part, component)
    return used


def _changed(node: Any, part: str, wanted: Mapping[str, Any], used: set[str]) -> Any:
    """Return a component's description with options applied, and note which were."""
    if isinstance(node, list):
        return [_changed(inner, part, wanted, used) for inner in node]
    if not isinstance(node, dict):
        return node
    node = {key: _changed(inner, part, wanted, used) for key, inner in node.items()}
    kind = str(node.get("type"))
    for name, value in wanted.items():
        rule = _CHANGES[name].get(kind)
        # HF: the same option of what trims offsets stays as it is.
        if rule and (kind, part) != ("ByteLevel", "post_processor"):
            used.add(name)
            node |= rule(value)
    return node


def vocabulary_of(vocab: Any, merges: Any) -> Vocabulary:
    """Return a vocabulary that the caller gives: token → id and merges, or (piece, score)s."""
    if isinstance(vocab, Mapping):
        pairs = [tuple(m.split(" ")) if isinstance(m, str) else tuple(m) for m in merges or ()]
        return Vocabulary(ids=dict(vocab), merges=pairs)  # type: ignore[arg-type]
    if isinstance(vocab, list | tuple):
        scores = [(str(piece), float(score)) for piece, score in vocab]
        return Vocabulary(ids={piece: i for i, (piece, _) in enumerate(scores)}, scores=scores)
    raise ArgumentError(f"vocab should be a table token → id or a list, not {type(vocab).__name__}")


@contextmanager
def explained(path: str | Path) -> Iterator[None]:
    """Turn what the tokenizers library raises over a bad file into an error that names the file.

    Its panics derive from BaseException, so that an ordinary `except` does not see them.
    """
    try:
        yield
    except (ArmatureError, MemoryError):
        raise
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        cause = f"cannot be used as a tokenizer ({error})"
        raise CheckpointError(path, cause, f"The file is damaged or too new. {AGAIN}") from error
