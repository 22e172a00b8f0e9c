"""Lists of numbers, and rows of them, become tensors or arrays."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from armature.errors import ArgumentError

if TYPE_CHECKING:
    import numpy as np


def to_tensor(name: str, value: Any, kind: str) -> Any:
    """Return lists of numbers as a tensor ("pt") or an array ("np"); tensors stay what they are.

    Args:
        name: What the value is called, for errors.
        value: (T,), (B, T) or deeper lists of numbers.
        kind: "pt" or "np".

    Raises:
        ArgumentError: another kind; or rows of different lengths.
    """
    kind = str(getattr(kind, "value", kind))
    if kind not in _MAKERS:
        raise ArgumentError(
            f"return_tensors={kind!r} is not known here: use 'pt' (torch), 'np' (numpy) or None."
        )
    if not isinstance(value, list | tuple):
        return value
    lengths = {len(row) for row in value if isinstance(row, list | tuple)}
    if len(lengths) > 1:
        raise ArgumentError(
            f"`{name}` has rows of different lengths ({min(lengths)} to {max(lengths)}), which "
            "make no tensor. Pass padding=True, and truncation=True where texts may be too long."
        )
    return _MAKERS[kind](value)


def stacked(name: str, rows: Sequence[np.ndarray], kind: str, remedy: str) -> Any:
    """Return arrays of one shape as one tensor ("pt") or array ("np"), with an axis before.

    Args:
        name: What they are called, for errors.
        rows: The arrays.
        kind: "pt" or "np".
        remedy: What to pass so that their shapes are equal.

    Raises:
        ArgumentError: their shapes differ, or there is no such kind.
    """
    import numpy as np

    if kind not in _MAKERS:
        raise ArgumentError(f"return_tensors={kind!r} is not known here: use 'pt', 'np' or None.")
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        raise ArgumentError(
            f"`{name}` has the shapes {', '.join(map(str, sorted(shapes)))}, which make no tensor."
            f"\n  → pass {remedy}"
        )
    whole = np.stack(rows)
    if kind == "np":
        return whole
    import torch

    return torch.from_numpy(whole)


def _torch(value: Any) -> Any:
    import torch

    flat = _flat(value)
    if flat is None:
        return torch.tensor(value)
    numbers = torch.frombuffer(flat, dtype=torch.int64) if flat else torch.zeros(0).long()
    return numbers.view(_shape(value))


def _numpy(value: Any) -> Any:
    import numpy as np

    flat = _flat(value)
    if flat is None:
        return np.array(value)
    return np.array(flat, dtype=np.int64).reshape(_shape(value))


_MAKERS = {"pt": _torch, "np": _numpy}


def _flat(value: Any) -> array[int] | None:
    """Return the whole numbers of a (T,) or (B, T) list in one block; None for anything else."""
    nested = bool(value) and isinstance(value[0], list | tuple)
    try:
        return array("q", chain.from_iterable(value) if nested else value)
    except (TypeError, OverflowError):
        return None


def _shape(value: Any) -> tuple[int, ...]:
    nested = bool(value) and isinstance(value[0], list | tuple)
    return (len(value), len(value[0])) if nested else (len(value),)
