"""Loading: a model without memory, files and names → parameters, each filled once, in place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from armature.checkpoint.files import Weights
from armature.checkpoint.names import Names
from armature.checkpoint.report import LoadReport, Mismatch
from armature.checkpoint.tensor_info import DTYPES
from armature.checkpoint.views import Pair, Target, same
from armature.errors import ArgumentError, CheckpointError

BODY = "body."


@dataclass(frozen=True)
class Place:
    """One tensor of a model: where it hangs, and how the disk calls it."""

    path: str
    module: nn.Module
    name: str
    tensor: Tensor
    pairs: list[Pair]

    @property
    def is_head(self) -> bool:
        """Whether a fresh value would do: a weight of the task's, not of the body's."""
        of_task = getattr(self.module, "of_task", ())
        return not self.path.startswith(BODY) or self.name in of_task

    @property
    def is_buffer(self) -> bool:
        """Whether the tensor is a constant that files may leave out."""
        return self.name in self.module._buffers and self.name not in self._needed

    @property
    def _needed(self) -> tuple[str, ...]:
        return getattr(self.module, "needed", ())

    def fill(self, tensor: Tensor) -> None:
        """Hang a real tensor in the place of the one without memory."""
        if self.name in self.module._buffers:
            self.module._buffers[self.name] = tensor
        else:
            trained = tensor.is_floating_point()
            self.module._parameters[self.name] = nn.Parameter(tensor, requires_grad=trained)


def places(model: nn.Module, names: Names) -> Iterator[Place]:
    """Yield every tensor of a model once, with its pairs of views; shared ones where first seen."""
    seen: set[int] = set()
    packed: nn.Module = model  # a packed map comes right before its parts
    for path, module in model.named_modules():
        packed = module if hasattr(module, "parts") else packed
        packing = _packing(packed, module)
        transient = module._non_persistent_buffers_set
        for name, tensor in [*module._parameters.items(), *module._buffers.items()]:
            if tensor is None or name in transient or id(tensor) in seen:
                continue
            seen.add(id(tensor))
            full = f"{path}.{name}" if path else name
            target = Target(tuple(tensor.shape), "", "", *packing)
            yield Place(full, module, name, tensor, names.pairs(full.removeprefix(BODY), target))


def ordered(weights: Weights, model: nn.Module, names: Names) -> Weights:
    """Return weights whose tensors have names; bare numbers get them from the model.

    Raises:
        ArgumentError: no files of bare numbers are known of this architecture.
        CheckpointError: there are more or fewer numbers than the model has.
    """
    if weights.format != "stream":
        return weights
    body: Any = model.body
    if not hasattr(body, "order"):
        raise ArgumentError(f"{type(model).__name__} cannot be filled by a file of bare numbers")
    found = {place.path: place for place in places(model, names)}
    line = [found[BODY + path] for path in body.order()]
    return weights.cut((place.pairs[0].name, tuple(place.tensor.shape)) for place in line)


def _packing(packed: nn.Module, module: nn.Module) -> tuple[dict[str, int], int]:
    """Return the parts and groups of the packed map that a module is, or is a part of."""
    if module is packed or module in packed.children():
        return getattr(packed, "parts", {}), getattr(packed, "groups", 1)
    return {}, 1


def load(  # noqa: PLR0913
    model: nn.Module,
    weights: Weights,
    names: Names,
    lookup: Mapping[str, str],
    dtype: torch.dtype | None,
    initialise: Callable[[nn.Module, str, Tensor], None],
    twins: Mapping[str, str],
) -> LoadReport:
    """Fill a model built on the meta device from files.

    Args:
        model: its tensors have shapes and no memory yet.
        weights: the files.
        names: how this class's tensors are called on disk.
        lookup: what `names.lookup` made of the names in the files.
        dtype: of the parameters; None keeps the file's.
        initialise: fills a head's weight, given its module and name, that the file lacks.
        twins: second names of tied tensors → their first ones; a file may have either or both.

    Returns:
        What was loaded and what was not.

    Raises:
        CheckpointError: a weight of the body is missing or has another shape; all are listed.
    """
    tied = {first: lookup[second] for second, first in twins.items() if second in lookup}
    lookup = {**tied, **lookup}
    report = LoadReport(files=tuple(file.name for file in weights.files))
    report.ignored = [name for name in weights if names.means_nothing(name)]
    used: set[str] = set(twins)
    absent: list[Place] = []
    for place in list(places(model, names)):

        def find(name: str) -> str | None:
            return name if name in weights else names.find(name, lookup)

        pairs = [_as_stored(pair, weights, find) for pair in place.pairs]
        place = replace(place, pairs=pairs)
        found = {pair.name: find(pair.name) for pair in pairs}
        used.update(names.canonical(name) for name in found)
        wrong = _mismatches(place, found, weights)
        if not wrong and all(found.values()):
            place.fill(_read(place, {k: v for k, v in found.items() if v}, weights, dtype))
            report.loaded += 1
            continue
        absent.append(place)
        lacking = [name for name, file_name in found.items() if not file_name]
        report.mismatched += wrong
        if place.is_head and not place.is_buffer:
            report.new += list(found)
        elif not place.is_buffer:
            report.missing += lacking
    report.unexpected = [
        name
        for name in weights
        if names.canonical(name) not in used and not names.means_nothing(name)
    ]
    _refuse(report, weights)
    for place in absent:
        kind = dtype or torch.float32 if place.tensor.is_floating_point() else place.tensor.dtype
        fresh = torch.empty_like(place.tensor, device="cpu", dtype=kind)
        initialise(place.module, place.name, fresh)
        place.fill(fresh)
    return report


def _as_stored(pair: Pair, weights: Weights, find: Callable[[str], str | None]) -> Pair:
    """Return a pair as it is, or in the older layout that the file has instead."""
    if find(pair.name) is None:
        for old in pair.older:
            name = find(old.name)
            if name is not None and weights[name].shape == old.shape:
                return old
    return pair


def _mismatches(place: Place, found: dict[str, str | None], weights: Weights) -> list[Mismatch]:
    wrong = {}
    for pair in place.pairs:
        name = found[pair.name]
        if name is not None and weights[name].shape != pair.shape:
            wrong[name] = Mismatch(pair.name, weights[name].shape, pair.shape)
    return list(wrong.values())


def _read(
    place: Place, found: dict[str, str], weights: Weights, dtype: torch.dtype | None
) -> Tensor:
    """Return the tensor of a place: a view of the file where there is one, else a copy."""
    first = place.pairs[0]
    info = weights[found[first.name]]
    stored = getattr(torch, DTYPES[info.dtype][0])
    # One byte is too little for a weight as it was trained: a scale elsewhere belongs to it.
    if place.tensor.is_floating_point() and (not stored.is_floating_point or stored.itemsize == 1):
        raise CheckpointError(
            info.file,
            f"{info.name} holds numbers of type {info.dtype}, which are no weights by themselves",
            "use the original weights: quantised ones cannot be read",
        )
    wanted = stored if dtype is None or not stored.is_floating_point else dtype
    if len(place.pairs) == 1 and first.ours is same and stored == wanted:
        return first.theirs(weights.read(found[first.name]))
    tensor = torch.empty(place.tensor.shape, dtype=wanted)
    for pair in place.pairs:
        if pair.theirs is same:
            weights.read_into(found[pair.name], pair.ours(tensor))
        else:
            pair.ours(tensor).copy_(pair.theirs(weights.read(found[pair.name])))
    return tensor


def _refuse(report: LoadReport, weights: Weights) -> None:
    faults = report.faults()
    if not faults:
        return
    shown = "\n    ".join(faults[:8] + ([f"… and {len(faults) - 8} more"] if faults[8:] else []))
    raise CheckpointError(
        weights.files[0],
        f"{len(faults)} weights of the model's body cannot be filled:\n    {shown}",
        "check that config.json belongs to this file and that no shard is missing"
        + _hint(report, weights),
    )


def _hint(report: LoadReport, weights: Weights) -> str:
    if report.loaded:
        return ""
    some = ", ".join(sorted(weights)[:3])
    return f"; none of its names match: the file holds {some}…"
