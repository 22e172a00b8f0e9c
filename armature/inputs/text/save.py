"""A tokenizer becomes files again: tokenizer.json, or the older vocabulary files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armature.checkpoint.transaction import Transaction
from armature.errors import CheckpointError
from armature.inputs.reading import read_file
from armature.inputs.text.family import COMMON
from armature.inputs.text.languages import CODES
from armature.inputs.text.plain import PlainBackend
from armature.inputs.text.stored import CONFIG, TOKENIZER
from armature.inputs.text.template import read_template

if TYPE_CHECKING:
    from armature.inputs.text.tokenizer import Tokenizer

MAP = "special_tokens_map.json"
ADDED = "added_tokens.json"
TEMPLATE = "chat_template.jinja"


def save_tokenizer(tokenizer: Tokenizer, folder: Path, *, legacy: bool) -> tuple[str, ...]:
    """Write a tokenizer into a folder, all files or none.

    Args:
        tokenizer: What to save.
        folder: Where; it is made when missing.
        legacy: Whether to write the older files instead of tokenizer.json.

    Returns:
        The paths of the files.

    Raises:
        CheckpointError: the folder cannot be written, or the older files cannot express it.
    """
    legacy = legacy or tokenizer.family.plain
    files = _older_files(tokenizer) if legacy else {TOKENIZER: _json_file(tokenizer)}
    files[CONFIG] = _text(_settings(tokenizer, legacy=legacy))
    files[MAP] = _text(_special_tokens(tokenizer))
    with Transaction(folder) as transaction:
        for name, content in files.items():
            transaction.write(name, content)
        for name in (ADDED, TEMPLATE, *([TOKENIZER] if legacy else [])):
            if name not in files:  # of an earlier save: it would win over what is saved now
                transaction.remove(name)
    return tuple(str(folder / name) for name in files)


def _json_file(tokenizer: Tokenizer) -> bytes:
    return tokenizer.backend_tokenizer.to_str(pretty=True).encode()


def _settings(tokenizer: Tokenizer, *, legacy: bool) -> dict[str, Any]:
    options = {
        key: value
        for key, value in tokenizer.options.items()
        if value is not None and (key in tokenizer.family.options or value != COMMON.get(key))
    }
    codes = options.pop("language_codes", None)
    if codes in CODES.values():
        options["language_codes"] = next(name for name in CODES if CODES[name] == codes)
    for key in ("extra_special_tokens", "additional_special_tokens", "max_len"):
        options.pop(key, None)
    for key in ("padding_side", "truncation_side", "clean_up_tokenization_spaces"):
        options[key] = getattr(tokenizer, key)
    options["model_max_length"] = tokenizer.model_max_length
    options["model_input_names"] = tokenizer.model_input_names
    options["tokenizer_class"] = type(tokenizer).__name__
    # A role without a token is said, too: its class would give it one.
    silent = dict.fromkeys(role for role in tokenizer.family.tokens)
    options |= {**silent, **tokenizer.special_tokens_map}
    if tokenizer.additional_special_tokens:
        options["additional_special_tokens"] = tokenizer.additional_special_tokens
    if legacy:
        options |= _ends(tokenizer)
        options["added_tokens_decoder"] = {
            str(index): token.__getstate__()
            for index, token in tokenizer.added_tokens_decoder.items()
        }
    options["chat_template"] = _templates(tokenizer.chat_template)
    return {key: value for key, value in options.items() if value is not None or key in silent}


def _ends(tokenizer: Tokenizer) -> dict[str, bool]:
    """Return whether texts begin and end with special tokens, where the class does not say it."""
    if tokenizer.family.single:
        return {}
    pieces = read_template(tokenizer.backend_tokenizer, pair=False)
    return {
        "add_bos_token": tokenizer.bos_token in pieces[0].tokens,
        "add_eos_token": tokenizer.eos_token in pieces[-1].tokens,
    }


def _templates(template: str | Mapping[str, str] | None) -> Any:
    if isinstance(template, Mapping):
        return [{"name": name, "template": text} for name, text in template.items()]
    return template


def _special_tokens(tokenizer: Tokenizer) -> dict[str, Any]:
    extra = tokenizer.additional_special_tokens
    more = {"additional_special_tokens": extra} if extra else {}
    return {**tokenizer.special_tokens_map, **more}


def _text(value: Any) -> bytes:
    text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, default=_plain)
    return (text + "\n").encode()


def _plain(value: Any) -> Any:
    """Return a token with its flags as a table."""
    return {**value.__getstate__(), "__type": "AddedToken"}


def _older_files(tokenizer: Tokenizer) -> dict[str, bytes]:
    """Return the vocabulary as files of the older kind.

    Raises:
        CheckpointError: a SentencePiece model, which cannot be written, is not at hand.
    """
    family, added = tokenizer.family, tokenizer.added_tokens_encoder
    names, backend = family.vocab_files, tokenizer.backend_tokenizer
    if isinstance(backend, PlainBackend):
        paths = {
            key: path
            for key, path in tokenizer.files.items()
            if path.suffix not in (".pkl", ".bin")
        }
        whole = {family.files[key][0]: read_file(path) for key, path in paths.items()}
        return {**(whole or _listed(backend, names[0])), **_added(added, tokenizer.vocab_size)}
    model = json.loads(backend.to_str())["model"]
    if names[0].endswith(".model"):
        return {names[0]: _sentencepiece(tokenizer), **_added(added, tokenizer.vocab_size)}
    ids = dict(sorted(model["vocab"].items(), key=lambda item: item[1]))
    if names[0] == "vocab.txt":
        return {"vocab.txt": _lines(tokenizer, ids), **_added(added, len(ids))}
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    return {
        "vocab.json": json.dumps(ids, ensure_ascii=False).encode(),
        "merges.txt": "\n".join(["#version: 0.2", *merges, ""]).encode(),
        **_added(added, len(ids)),
    }


def _listed(backend: PlainBackend, name: str) -> dict[str, bytes]:
    """Return the vocabulary of a tokenizer that was given one as tables."""
    ids = sorted(backend.ids, key=backend.ids.__getitem__)
    if not name.endswith(".json"):
        return {name: "".join(f"{token}\n" for token in ids).encode()}
    merges = [" ".join(pair) for pair in backend.merges]
    return {
        name: json.dumps({token: backend.ids[token] for token in ids}, ensure_ascii=False).encode(),
        "merges.txt": "\n".join(["#version: 0.2", *merges, ""]).encode(),
    }


def _lines(tokenizer: Tokenizer, ids: Mapping[str, int]) -> bytes:
    if list(ids.values()) != list(range(len(ids))):
        cause = "cannot be written as vocab.txt: some ids have no token"
        raise CheckpointError(type(tokenizer).__name__, cause, "Save without legacy_format.")
    return "".join(f"{token}\n" for token in ids).encode()


def _added(added: Mapping[str, int], size: int) -> dict[str, bytes]:
    beyond = {token: index for token, index in added.items() if index >= size}
    return {ADDED: _text(beyond)} if beyond else {}


def _sentencepiece(tokenizer: Tokenizer) -> bytes:
    path = _model_file(tokenizer)
    if path is None or not _says_the_same(tokenizer, path):
        raise CheckpointError(
            type(tokenizer).__name__,
            "cannot be written as a SentencePiece model: it was not read from one with the same "
            "vocabulary",
            "Save without legacy_format.",
        )
    return read_file(path)


def _model_file(tokenizer: Tokenizer) -> Path | None:
    """Return the SentencePiece file that it was read from, or that lies beside its file."""
    path = tokenizer.files.get("vocab_file")
    if path is None and "tokenizer_file" in tokenizer.files:
        folder = tokenizer.files["tokenizer_file"].parent
        beside = (folder / name for name in tokenizer.family.vocab_files)
        path = next((file for file in beside if file.exists()), None)
    return path if path is not None and path.suffix not in (".txt", ".json") else None


def _says_the_same(tokenizer: Tokenizer, path: Path) -> bool:
    added = tokenizer.added_tokens_decoder
    try:
        twin = type(tokenizer).of_files({"vocab_file": path}, tokenizer.options, added, {})
    except CheckpointError:
        return False
    return twin.get_vocab() == tokenizer.get_vocab()
