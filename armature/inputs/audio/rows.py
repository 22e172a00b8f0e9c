"""Rows: sounds or their spectra of several lengths → cut, padded, and told apart from padding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from armature.errors import ArgumentError, nearest

_PADDINGS = {True: "longest", False: "do_not_pad", None: "do_not_pad"}
_PADDINGS |= {name: name for name in ("longest", "max_length", "do_not_pad")}


@dataclass(frozen=True)
class Fit:
    """How rows of one call come to one length."""

    padding: Any = False
    truncation: Any = False
    max_length: int | None = None
    multiple: int | None = None
    """What the common length is a multiple of."""

    def __post_init__(self) -> None:
        for name, value in (("max_length", self.max_length), ("pad_to_multiple_of", self.multiple)):
            whole = isinstance(value, int) and not isinstance(value, bool) and value > 0
            if value is not None and not whole:
                raise ArgumentError(f"{name}={value!r} should be a whole number above 0")
        if self.truncation and self.max_length is None:
            raise ArgumentError(
                "truncation=True needs to know where to cut.\n  → pass max_length=…"
            )
        if self.how == "max_length" and self.max_length is None:
            raise ArgumentError(
                "padding='max_length' needs to know how long rows become.\n  → pass max_length=…"
            )

    @property
    def how(self) -> str:
        """Return "longest", "max_length" or "do_not_pad"."""
        value = getattr(self.padding, "value", self.padding)
        try:
            return _PADDINGS[value]
        except (KeyError, TypeError):
            near = nearest(str(value), ["longest", "max_length", "do_not_pad"])
            raise ArgumentError(
                f"padding={value!r} is not known.{near} Use True, 'max_length' or False."
            ) from None

    def cut(self, rows: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return the rows, none longer than asked."""
        if not self.truncation:
            return list(rows)
        assert self.max_length is not None
        return [row[: self._raised(self.max_length)] for row in rows]

    def length(self, rows: Sequence[np.ndarray]) -> int | None:
        """Return the length to which rows are padded, at least; None for none."""
        if self.how == "do_not_pad":
            return None
        longest = max(len(row) for row in rows)
        return self._raised(longest if self.how == "longest" else self.max_length or longest)

    def _raised(self, length: int) -> int:
        return length if self.multiple is None else -(-length // self.multiple) * self.multiple


def padded(
    rows: Sequence[np.ndarray], length: int | None, settings: Mapping[str, Any]
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Pad rows (T, …) to a length on the side that the settings say.

    Returns:
        The rows, and for each where it is (1) and where it was padded (0), int32 (length).

    Raises:
        ArgumentError: there is no such side.
    """
    side = settings["padding_side"]
    if side not in ("left", "right"):
        raise ArgumentError(f"padding_side={side!r} should be 'left' or 'right'.")
    found, masks = [], []
    for row in rows:
        gap = max(0, (length or 0) - len(row))
        ends = (gap, 0) if side == "left" else (0, gap)
        rest = [(0, 0)] * (row.ndim - 1)
        filled = np.pad(row, [ends, *rest], constant_values=settings["padding_value"])
        found.append(filled if gap else row)
        masks.append(np.pad(np.ones(len(row), np.int32), ends))
    return found, masks
