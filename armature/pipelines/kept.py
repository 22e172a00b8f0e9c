"""What was computed for one text, kept for the next one that begins alike."""

from __future__ import annotations

from itertools import takewhile
from typing import Any

from armature.errors import ArgumentError


def new_cache(model: Any) -> Any:
    """Return an empty cache; None for a model that reads its text anew for every token."""
    from armature.layers.cache import Cache

    return None if hasattr(model.stack.embed, "steps") else Cache()


def keep_beginning(cache: Any, ids: list[int]) -> None:
    """Let a cache of one row forget all but the beginning that it shares with a text."""
    if not cache.lengths:
        return
    held = [] if cache.tokens is None else cache.tokens[0].tolist()
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(held, ids, strict=False)))
    surplus = cache.lengths[0] - same
    if surplus and same:
        try:
            cache.shorten(surplus)
        except ArgumentError:  # it has let go of what lies further back
            cache.forget()
    elif surplus:
        cache.forget()
