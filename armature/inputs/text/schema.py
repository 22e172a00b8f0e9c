"""A Python function as the description that a chat template reads: its name, arguments, types."""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any

from armature.errors import ArgumentError

_NAMES: dict[Any, str] = {
    int: "integer",
    float: "number",
    str: "string",
    bool: "boolean",
    type(None): "null",
    list: "array",
    tuple: "array",
    dict: "object",
}
_SECTION = re.compile(r"^(Args|Returns|Raises):[ \t]*$", re.MULTILINE)
_ARGUMENT = re.compile(r"^([ \t]*)(\w+):[ \t]*(.*(?:\n\1[ \t]+.*)*)", re.MULTILINE)
_CHOICES = re.compile(r"\(choices:\s*(.*?)\)\s*$", re.IGNORECASE)


def schema_of(function: Callable[..., Any]) -> dict[str, Any]:
    """Describe a function by its docstring and its type hints.

    Raises:
        ArgumentError: it has no docstring, or an argument without a type or a description.
    """
    name = function.__name__
    parts = _SECTION.split(inspect.getdoc(function) or "")
    if not parts[0].strip():
        raise ArgumentError(f"The function {name} needs a docstring that says what it does.")
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    told = {
        argument: re.sub(r"\s*\n+\s*", " ", text.strip())
        for _, argument, text in _ARGUMENT.findall(sections.get("Args", "").strip("\n"))
    }
    hints = typing.get_type_hints(function)
    properties: dict[str, Any] = {}
    required: list[str] = []
    for place, (argument, one) in enumerate(inspect.signature(function).parameters.items()):
        if place == 0 and argument in ("self", "cls") and argument not in hints:
            continue
        if argument not in hints or argument not in told:
            lacks = "type hint" if argument not in hints else "description under `Args:`"
            raise ArgumentError(f"The argument `{argument}` of {name} has no {lacks}.")
        properties[argument] = _described(_schema(hints[argument], name), told[argument])
        if one.default is one.empty:
            required.append(argument)
    parameters = {"type": "object", "properties": properties}
    described: dict[str, Any] = {
        "name": name,
        "description": parts[0].strip(),
        "parameters": {**parameters, "required": required} if required else parameters,
    }
    if "return" in hints and _can_be_told(hints["return"]):
        result, text = _schema(hints["return"], name), sections.get("Returns", "").strip()
        described["return"] = {**result, "description": text} if text else result
    return {"type": "function", "function": described}


def _described(schema: dict[str, Any], text: str) -> dict[str, Any]:
    if choices := _CHOICES.search(text):
        values = json.loads(choices[1])
        schema["enum"] = [v.strip() if isinstance(v, str) else v for v in values]
        text = text[: choices.start()].strip()
    return {**schema, "description": text}


def _can_be_told(hint: Any) -> bool:
    try:
        return bool(_schema(hint, "")) or True
    except ArgumentError:
        return False


def _schema(hint: Any, name: str) -> dict[str, Any]:
    """Return the JSON schema of a type.

    Raises:
        ArgumentError: there is none.
    """
    origin = typing.get_origin(hint)
    inner = [*typing.get_args(hint)]
    if origin is None:
        return _simple(hint, name)
    if origin is typing.Literal:
        return _choice(inner)
    if origin in (typing.Union, types.UnionType):
        return _union(inner, name)
    if origin is list:
        return {"type": "array", "items": _schema(inner[0], name)}
    if origin is tuple and len(inner) > 1 and ... not in inner:
        return {"type": "array", "prefixItems": [_schema(part, name) for part in inner]}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(inner[1], name)}
    return _simple(hint, name)


def _simple(hint: Any, name: str) -> dict[str, Any]:
    if hint is Any:
        return {}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice(member.value for member in hint)
    if hint in _NAMES:
        return {"type": _NAMES[hint]}
    raise ArgumentError(f"The type {hint!r} of {name} has no JSON schema. Write the schema itself.")


def _choice(values: Iterable[Any]) -> dict[str, Any]:
    listed = list(values)
    names = list(dict.fromkeys(_NAMES[type(value)] for value in listed))
    return {"type": names[0] if len(names) == 1 else names, "enum": listed}


def _union(hints: Iterable[Any], name: str) -> dict[str, Any]:
    parts = [_schema(hint, name) for hint in hints if hint is not type(None)]
    if len(parts) == 1:
        schema = parts[0]
    elif all(part.keys() == {"type"} and isinstance(part["type"], str) for part in parts):
        names = sorted({part["type"] for part in parts})
        schema = {"type": names[0] if len(names) == 1 else names}
    else:
        schema = {"anyOf": parts}
    return {**schema, "nullable": True} if type(None) in hints else schema
