"""Kinds: which values a setting of a config.json may have, told by its name and its default."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Callable
from typing import Any

# Settings without a default that are whole numbers where they are set.
_WHOLE = re.compile(r"^(n|num)_|_(size|heads|head|layers|dim|id|inner|window|groups)$")
_SIZE = re.compile(
    r"(size|heads?|dim|embeddings|positions|inner|_embd|_model|_kv|_ff|labels|distance|buckets"
    r"|experts|per_tok|groups|group_num)$"
)
_SHARE = re.compile(r"drop")  # of what is dropped while training
# One number, or a list of them.
_MANY = ("eos_token_id", "image_size", "patch_size", "attention_window")
_MOST = 2**31 - 1
_MAY_BE_NONE = ("type_vocab_size", "num_experts", "num_local_experts")
_MAY_BE_NONE += ("no_repeat_ngram_size", "encoder_no_repeat_ngram_size")
_TABLES = ("pruned_heads",)  # layer → heads: older files have an empty one
# Modules are built one by one, so a wrong number of them would take for ever: far above any real.
_LIMITS = {"hidden_groups": 64, "inner_group": 64, "layer": 1000, "depth": 1000}
_LIMITS |= {"expert": 4096, "label": 100_000}


def expected(key: str, value: Any, default: Any) -> str | None:
    """Return what a setting should be where `value` makes no sense for it, else None."""
    if default is None and _WHOLE.search(key) and key not in _TABLES:
        default = 1
    elif default is None and _SHARE.search(key):
        default = 0.0
    check = _CHECKS.get(type(default))
    return None if value is None or check is None else check(key, value, default)


def _flag(_key: str, value: Any, _default: Any) -> str | None:
    fits = isinstance(value, bool) or (isinstance(value, int) and value in (0, 1))
    return None if fits else "true or false"


def _text(_key: str, value: Any, _default: Any) -> str | None:
    return None if isinstance(value, str) else "a text"


def _table(_key: str, value: Any, _default: Any) -> str | None:
    return None if isinstance(value, dict) else "a table"


def _whole(key: str, value: Any, default: int) -> str | None:
    values: list[Any] = value if isinstance(value, list) and key in _MANY else [value]
    low, high = _range(key, default)
    fits = values and all(is_whole(one) and low <= one <= high for one in values)
    return None if fits else f"a whole number from {low} to {high}"


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number, though it may be spelled 2.0."""
    spelled = isinstance(value, float) and value.is_integer()
    return spelled or (isinstance(value, int) and not isinstance(value, bool))


def _range(key: str, default: int) -> tuple[int, int]:
    """Return the least and the greatest value of a whole number."""
    if key.endswith("_id"):
        return -1, _MOST
    if key.endswith("_index") and default < 0:
        return -_MOST, _MOST  # counted from the end
    least = 1 if _SIZE.search(key) and default > 0 and key not in _MAY_BE_NONE else 0
    return min(least, default), next((most for word, most in _LIMITS.items() if word in key), _MOST)


def _number(key: str, value: Any, default: float) -> str | None:
    high = 1.0 if _SHARE.search(key) else math.inf
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if fits and min(0.0, default) <= value <= high and math.isfinite(value):
        return None
    return "a number from 0 to 1" if high == 1.0 else "a finite number, not a negative one"


def _list(key: str, value: Any, default: Any) -> str | None:
    values = value if isinstance(value, list | tuple) else [value]
    if not all(map(is_whole, default)):  # of texts, of shares, of lists: the architecture knows
        return None if isinstance(value, list | tuple) else "a list"
    _, high = _range(key, 1)
    low = -high if key.endswith("indices") else 0
    fits = all(is_whole(one) and low <= one <= high for one in values)
    return (
        None
        if fits and (values or not default)
        else f"a list of whole numbers from {low} to {high}"
    )


_CHECKS: dict[type, Callable[[str, Any, Any], str | None]] = {
    bool: _flag,
    int: _whole,
    float: _number,
    str: _text,
    dict: _table,
    list: _list,
    tuple: _list,
}


def labels(value: Any) -> str | None:
    """Return what `id2label` should be where it is something else."""
    if value is None:
        return None
    fits = isinstance(value, dict | list)
    if isinstance(value, dict):
        fits = all(str(key).isdecimal() and isinstance(name, str) for key, name in value.items())
    return None if fits else 'a table of numbers and names, such as {"0": "negative"}'


# Numbers that describe rotary positions, and those without which a kind of scaling means nothing.
_ROPE = ("rope_theta", "factor", "low_freq_factor", "high_freq_factor", "attention_factor")
_ROPE += ("beta_fast", "beta_slow", "mscale", "mscale_all_dim", "partial_rotary_factor")
_ROPE += ("original_max_position_embeddings", "max_position_embeddings")
_NEEDED = {"linear": ("factor",), "dynamic": ("factor",), "llama3": _ROPE[1:4]}
_STRETCHES = ("short_factor", "long_factor")  # one number for each pair that turns


def rope(settings: dict[str, Any], width: int) -> str | None:
    """Return what is wrong with the settings of rotary positions that turn `width` numbers."""
    kind = str(settings.get("rope_type"))
    for key in _ROPE:
        value = settings.get(key)
        absent = value is None or (value == 0 and key.startswith("mscale"))
        if (not absent or key in _NEEDED.get(kind, ())) and not _positive(value):
            return f"`{key}` is {reprlib.repr(value)}, but should be a number greater than 0"
    for key in _STRETCHES if kind in ("longrope", "su") else ():
        value = settings.get(key)
        pairs = width // 2
        if not isinstance(value, list) or len(value) != pairs or not all(map(_positive, value)):
            return f"`{key}` should be a list of {pairs} numbers greater than 0"
    return None


def _positive(value: Any) -> bool:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return number and 0 < value < 1e30
