"""Which architecture a checkpoint has whose config.json does not say it: by other signs, aloud."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from armature import arch
from armature.checkpoint.hub import Source
from armature.checkpoint.names import Names
from armature.checkpoint.views import as_view
from armature.config import Config

log = logging.getLogger("armature")

_SURE = 0.6  # share of a file's tensors that an architecture must know by name
_FIELD = re.compile(r"\\\{\w+\\\}")


def model_type(
    data: Mapping[str, Any], source: Source, silent: Callable[[str], Config]
) -> str | None:
    """Return the model_type that the signs of a checkpoint point to, or None.

    Its classes are the surest sign, then the names of its tensors, then its own name. `silent`
    returns the config that an architecture takes a silent config.json for.
    """
    signs = (
        ("its `architectures`", lambda: _by_class(data.get("architectures"))),
        ("its `_model_class`", lambda: _by_class([data.get("_model_class")])),
        ("the names of its tensors", lambda: _by_tensors(source, silent)),
        ("its name", lambda: _by_name(str(source.name))),
    )
    for sign, look in signs:
        found = look()
        if found is not None:
            log.warning(
                "%s: config.json names no `model_type`; by %s it is taken for %r.",
                source.name, sign, found,
            )  # fmt: skip
            return found
    return None


def _by_class(classes: Any) -> str | None:
    named = [name for name in classes or () if isinstance(name, str)]
    for known in arch.names():
        if any(name in arch.find(known).HEADS for name in named):
            return known
    return None


def _by_tensors(source: Source, silent: Callable[[str], Config]) -> str | None:
    from armature.checkpoint.files import open_weights
    from armature.errors import CheckpointError

    try:
        names = list(open_weights(source))
    except CheckpointError:  # no weights: whoever needs them will say so
        return None
    named = [known for known in arch.names() if getattr(arch.find(known), "NAMES", None)]
    shares = {known: _share(names, known, silent) for known in named}
    # Of several that know all names: the one it is called by, or the shortest name, the first.
    called = _by_name(str(source.name))
    best = max(shares, key=lambda known: (*shares[known], known == called, -len(known)))
    return best if shares[best][0] >= _SURE else None


def _share(names: list[str], known: str, silent: Callable[[str], Config]) -> tuple[float, float]:
    """Return which share of the tensors an architecture knows, and which of its own are there."""
    module = arch.find(known)
    named = module.names(silent(known))
    spelt = Names(named, aliases=module.ALIASES)
    current = [spelt.canonical(name) for name in names]
    prefix = f"(?:{re.escape(module.PREFIX)}\\.)?" if module.PREFIX else ""
    rows = [
        _any(as_view(row).templates(), prefix)
        for ours, row in named.items()
        if ".cross" not in ours  # which few checkpoints have
    ]
    on_top = [row for head in module.HEADS.values() for row in head.rows({}).values()]
    heads = _any({name for row in on_top for name in as_view(row).templates()})
    hits = [[bool(row.fullmatch(name)) for name in current] for row in rows]
    mine = [
        heads.fullmatch(name) or any(column) for name, *column in zip(current, *hits, strict=True)
    ]
    return sum(map(bool, mine)) / len(names), sum(map(any, hits)) / len(rows)


def _any(templates: Iterable[str], prefix: str = "") -> re.Pattern[str]:
    """Match a tensor of any of these modules."""
    return re.compile(rf"{prefix}(?:{'|'.join(map(_numbered, templates))})(?:\.\w+)?")


def _numbered(template: str) -> str:
    return _FIELD.sub(r"\\d+", re.escape(template))


def _by_name(name: str) -> str | None:
    last = _plain(name.rstrip("/").rsplit("/", 1)[-1])
    return max(_within(last, arch.names()), key=len, default=None)


def _within(name: str, known: Iterable[str]) -> list[str]:
    return [one for one in known if _plain(one) in name]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]", "", name.lower())
