"""What a checkpoint's files say of its tokenizer, besides the vocabulary."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from armature.errors import CheckpointError
from armature.inputs.reading import AGAIN, read_json, read_text
from armature.inputs.text.family import ROLES
from armature.inputs.text.languages import CODES

if TYPE_CHECKING:
    from tokenizers import AddedToken

    from armature.checkpoint.hub import Source

CONFIG = "tokenizer_config.json"
TOKENIZER = "tokenizer.json"
# Options that name files, classes or places: nothing that a checkpoint's own file may decide.
_NOT_FOR_FILES = {"tokenizer_class", "init_inputs", "name_or_path", "is_local", "local_files_only"}
_NOT_FOR_FILES |= {"vocab_file", "merges_file", "tokenizer_file", "special_tokens_map_file"}
_NOT_FOR_FILES |= {"auto_map", "backend", "added_tokens_decoder", "tokenizer_object", "use_fast"}
_NOT_FOR_FILES |= {"language_codes"}

MOST = 100_000  # no vocabulary has more tokens of one kind that are only counted

# What a value must be → how to say so → the options for which it holds.
_Check = Callable[[Any], bool]
_RULES: list[tuple[_Check, str, str]] = [
    (
        lambda value: isinstance(value, bool),
        "true or false",
        "do_lower_case do_basic_tokenize tokenize_chinese_chars strip_accents keep_accents "
        "add_prefix_space add_bos_token add_eos_token split_by_punct trim_offsets "
        "clean_up_tokenization_spaces split_special_tokens do_lowercase_and_remove_accent "
        "legacy_behaviour lower_case do_word_tokenize do_subword_tokenize",
    ),
    (
        lambda value: isinstance(value, int | float) and 0 <= value < math.inf,
        "a length",
        "model_max_length max_len",
    ),
    (
        lambda value: isinstance(value, int) and 0 <= value <= MOST,
        f"a count up to {MOST}",
        "extra_ids offset",
    ),
    (
        lambda value: isinstance(value, list) and all(isinstance(part, str) for part in value),
        "a list of texts",
        "model_input_names never_split",
    ),
    (
        lambda value: isinstance(value, str),
        "a text",
        "padding_side truncation_side src_lang tgt_lang language delimiter",
    ),
    (
        lambda value: isinstance(value, dict),
        "a table",
        "mecab_kwargs sudachi_kwargs",
    ),
    (lambda value: isinstance(value, str | list | dict), "a text or a list", "chat_template"),
    (
        lambda value: isinstance(value, list | dict),
        "a list of tokens",
        "extra_special_tokens additional_special_tokens",
    ),
]
_KINDS = {name: (check, kind) for check, kind, names in _RULES for name in names.split()}


@dataclass
class Stored:
    """The settings that a checkpoint's files hold."""

    options: dict[str, Any] = field(default_factory=dict)
    """tokenizer_config.json, special_tokens_map.json and the chat templates as one."""
    added: dict[int, AddedToken] = field(default_factory=dict)
    """The tokens that were added to the vocabulary, by id."""
    class_name: str | None = None
    architecture: str | None = None
    auto_map: Any = None
    """Code that the checkpoint asks to be run; reported, never run."""


def read_stored(source: Source, *, has_json: bool) -> Stored:
    """Read all settings of a checkpoint's tokenizer.

    Args:
        source: Where its files are.
        has_json: Whether its vocabulary is in a tokenizer.json.

    Raises:
        CheckpointError: a file is damaged, or holds a value of a wrong type.
    """
    stored = Stored()
    path = source.find(CONFIG)
    config = read_json(path) if path else {}
    if path:
        stored.options = _options(config, path)
    model_path = source.find("config.json")
    model = read_json(model_path) if model_path else {}
    stored.architecture = _name(_text_part(model), "model_type", model_path)
    stored.class_name = _name(config, "tokenizer_class", path) or _name(
        model, "tokenizer_class", model_path
    )
    stored.auto_map = config.get("auto_map")
    if has_json:
        # HF: a tokenizer.json says itself what stands around texts.
        stored.options.pop("add_bos_token", None)
        stored.options.pop("add_eos_token", None)
    if path and "added_tokens_decoder" in config:
        stored.added = _added_tokens(config["added_tokens_decoder"], path)
    else:
        _read_older_files(source, stored)
    _read_chat_templates(source, stored.options)
    return stored


def _text_part(model: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a config.json that reads text, where several models are joined."""
    names = ("decoder", "encoder") if "vision" in str(model.get("model_type")) else ("encoder",)
    if str(model.get("model_type")).endswith("encoder-decoder"):
        return next((model[name] for name in names if isinstance(model.get(name), dict)), model)
    return model


def _read_older_files(source: Source, stored: Stored) -> None:
    path = source.find("special_tokens_map.json")
    if path:
        stored.options |= _options(read_json(path), path)
    path = source.find("added_tokens.json")
    if path:
        special = {content_of(stored.options.get(role)) for role in ROLES}
        extra = stored.options.get("additional_special_tokens") or []
        special |= {content_of(token) for token in extra}
        tokens = {
            str(index): {"content": token, "special": token in special}
            for token, index in read_json(path).items()
        }
        stored.added = _added_tokens(tokens, path)


def _read_chat_templates(source: Source, options: dict[str, Any]) -> None:
    """Chat templates in files of their own win over those in tokenizer_config.json."""
    templates: dict[str, str] = {}
    path = source.find("chat_template.jinja")
    if path:
        templates["default"] = read_text(path)
    folder = "additional_chat_templates/"
    for name in source.names():
        if name.startswith(folder) and name.endswith(".jinja"):
            key = name.removeprefix(folder).removesuffix(".jinja")
            templates[key] = read_text(source.get(name))
    if templates:
        alone = templates.keys() == {"default"}
        options["chat_template"] = templates["default"] if alone else templates
    given = options.get("chat_template")
    if isinstance(given, list):
        pairs = [(one.get("name"), one.get("template")) for one in given if isinstance(one, dict)]
        options["chat_template"] = {str(name): str(template) for name, template in pairs}


def _options(table: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return those settings of a file that a file may decide, after checking their types."""
    options = {key: value for key, value in table.items() if key not in _NOT_FOR_FILES}
    if isinstance(table.get("language_codes"), str) and table["language_codes"] in CODES:
        options["language_codes"] = CODES[table["language_codes"]]
    for key, value in options.items():
        check, kind = _KINDS.get(key, (None, ""))
        if check and value is not None and not check(value):
            remedy = f"Correct the file, or pass {key}=… to from_pretrained."
            raise CheckpointError(path, f"`{key}` is {value!r:.60}, but should be {kind}", remedy)
        if key in ROLES:
            as_token(value, path, key)
    return options


def _name(table: Mapping[str, Any], key: str, path: Path | None) -> str | None:
    value = table.get(key)
    if value is not None and not isinstance(value, str):
        raise CheckpointError(path or key, f"`{key}` is {value!r}, but should be a text", AGAIN)
    return value


def _added_tokens(table: Any, path: Path) -> dict[int, AddedToken]:
    if not isinstance(table, dict):
        raise CheckpointError(path, "the table of added tokens is no table", AGAIN)
    added = {}
    for index, value in table.items():
        token = as_token(value, path, f"added_tokens_decoder[{index}]")
        if not str(index).isdecimal() or token is None or isinstance(token, str):
            raise CheckpointError(path, f"the added token {index!r} is {value!r}", AGAIN)
        added[int(index)] = token
    return added


def read_added_tokens(path: Path) -> dict[int, AddedToken]:
    """Return the tokens that a tokenizer.json has added to its vocabulary, by id.

    Raises:
        CheckpointError: the file is damaged.
    """
    listed = read_json(path).get("added_tokens") or []
    if not isinstance(listed, list) or not all(isinstance(token, dict) for token in listed):
        raise CheckpointError(path, "the list of added tokens is no list of tables", AGAIN)
    return _added_tokens({token.get("id"): token for token in listed}, path)


def as_token(value: Any, path: str | Path, key: str) -> str | AddedToken | None:
    """Read a token as files and callers write it: a text, a table with flags, an AddedToken.

    Raises:
        CheckpointError: it is something else.
    """
    from tokenizers import AddedToken

    if value is None or isinstance(value, str | AddedToken):
        return value
    flags = {"single_word", "lstrip", "rstrip", "normalized", "special"}
    if isinstance(value, dict) and isinstance(value.get("content"), str):
        chosen = {name: bool(flag) for name, flag in value.items() if name in flags}
        special = chosen.pop("special", not key.startswith("added"))
        return AddedToken(value["content"], special=special, **chosen)
    raise CheckpointError(path, f"`{key}` is {value!r}, which is no token", "Correct the file.")


def content_of(token: Any) -> str | None:
    """Return the text of a token, however it is written; None for no token."""
    if isinstance(token, dict):
        return token.get("content")
    return None if token is None else str(getattr(token, "content", token))
