"""Batching: many items → windows → rows of tokens → batches of rows that are alike in length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

if TYPE_CHECKING:
    from torch import Tensor

WINDOW = 2048  # items of a list that are tokenized and sorted together
AHEAD = 512  # items that are taken ahead from a generator or a data set, at most
ROWS = 256  # of a batch, at most


@dataclass(slots=True)
class Row:
    """One row of tokens: an item of the caller's, or a part of one."""

    item: int
    """Which item of the window it belongs to."""
    inputs: dict[str, Any]
    """What the model reads: lists of `input_ids` and what goes with them, or `pixel_values`."""
    facts: Any = None
    """What the task needs to make a result of the model's answer."""

    @property
    def ids(self) -> list[int]:
        """Return the token ids."""
        return self.inputs["input_ids"]


class Stream(Iterator[Any]):
    """Results for a generator or a data set, computed when they are asked for."""

    def __init__(self, results: Iterator[Any], length: int | None) -> None:
        self._results, self._length = results, length

    def __next__(self) -> Any:
        return next(self._results)

    def __len__(self) -> int:
        """Return how many results there are in all, which progress bars want to know."""
        if self._length is None:
            raise TypeError("a generator does not say how many items it has")
        return self._length


def is_dataset(value: Any) -> TypeGuard[Sized]:
    """Say whether a value holds items that can be counted and indexed."""
    indexed = hasattr(value, "__len__") and hasattr(value, "__getitem__")
    return indexed and not isinstance(value, str | bytes | Mapping)


def is_stream(value: Any) -> bool:
    """Say whether a value gives items one after another: a generator, a set, rows of a file."""
    return isinstance(value, Iterable) and not isinstance(value, str | bytes | Mapping)


def items_of(inputs: Any) -> Iterator[Any]:
    """Iterate over a generator, or over a data set that can only be indexed."""
    if hasattr(inputs, "__iter__"):
        return iter(inputs)
    return (inputs[index] for index in range(len(inputs)))


def windows(items: Iterable[Any], first: int, largest: int) -> Iterator[list[Any]]:
    """Cut items into windows that grow from `first` to `largest`: the first results come soon."""
    source, size = iter(items), first
    while window := list(islice(source, size)):
        yield window
        size = min(4 * size, largest)


def batches(costs: Sequence[int], budget: int, rows: int | None = None) -> Iterator[list[int]]:
    """Group the indices of rows of like cost, dearest first.

    Args:
        costs: How many tokens each row takes.
        budget: How many tokens a batch may take; a row that takes more is alone.
        rows: How many rows a batch has, whatever they cost; None to go by the budget.
    """
    batch: list[int] = []
    room, most = budget, rows or ROWS
    for index in sorted(range(len(costs)), key=lambda i: -costs[i]):
        dear = rows is None and costs[index] > room
        if batch and (dear or len(batch) == most):
            yield batch
            batch, room = [], budget
        batch.append(index)
        room -= costs[index]
    if batch:
        yield batch


def padded(
    rows: Sequence[Row], fillers: Mapping[str, int], device: Any, side: str = "right"
) -> dict[str, Tensor]:
    """Lay rows under each other: tensors (B, T) by name, `attention_mask` among them."""
    import torch

    columns = {name: [row.inputs[name] for row in rows] for name in rows[0].inputs}
    columns["attention_mask"] = [[1] * len(ids) for ids in columns["input_ids"]]
    width = max(map(len, columns["input_ids"]))
    tensors = {}
    for name, values in columns.items():
        filler = [0 if name == "attention_mask" else fillers.get(name, 0)]
        gaps = [filler * (width - len(value)) for value in values]
        pairs = zip(gaps, values, strict=True)
        filled = [gap + value if side == "left" else value + gap for gap, value in pairs]
        tensors[name] = torch.tensor(filled, device=device)
    return tensors
