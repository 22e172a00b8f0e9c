"""Programs: steps of decoding written down once, and run for every token by one call."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from armature.native import library
from armature.native.scores import empty

_SMALL = 1 << 20  # bytes of weights up to which one core is faster than several


@dataclass(frozen=True)
class Weight:
    """A linear map as the kernels read it."""

    kind: int
    weight: Tensor
    outputs: int
    inputs: int
    bias: Tensor | None = None
    scale: Tensor | None = None  # of weights in few bits
    stride: int = 0  # of rows, or of columns, in numbers

    @classmethod
    def of(cls, weight: Tensor, bias: Tensor | None) -> Weight | None:
        """Return a float matrix (outputs, inputs) as it lies; None where it lies otherwise."""
        if weight.dtype is not torch.float32 or weight.device.type != "cpu":
            return None
        if bias is not None and (bias.dtype is not torch.float32 or not bias.is_contiguous()):
            return None
        outputs, inputs = weight.shape
        if weight.stride(1) == 1:
            return cls(library.ROWS, weight, outputs, inputs, bias, stride=weight.stride(0))
        if weight.stride(0) == 1:
            return cls(library.COLUMNS, weight, outputs, inputs, bias, stride=weight.stride(1))
        return None

    @property
    def group(self) -> int:
        """How many inputs are rounded together; 0 where none are."""
        return {library.BITS_8: library.GROUP_8, library.BITS_4: library.GROUP_4}.get(self.kind, 0)

    def map(self) -> library.Map:
        """Return the structure that the kernels read."""
        scale = 0 if self.scale is None else self.scale.data_ptr()
        bias = 0 if self.bias is None else self.bias.data_ptr()
        return library.Map(
            weight=self.weight.data_ptr(),
            scale=scale,
            bias=bias,
            stride=self.stride,
            kind=self.kind,
            outputs=self.outputs,
            inputs=self.inputs,
        )


class Writer:
    """Writes a program down, step after step; buffers have names."""

    def __init__(self) -> None:
        self.steps: list[library.Step] = []
        self.buffers: dict[str, tuple[int, int]] = {}  # name → its number, its width
        self.kept: list[Tensor | None] = []  # what the steps point to
        self.bytes = 0
        self.widest = library.GROUP_8
        self.group = 1  # query heads of a key-value head, at most
        self._rounded: tuple[str, int] | None = None

    def buffer(self, name: str, width: int) -> int:
        """Return the number of a buffer that is at least so wide."""
        index, known = self.buffers.get(name, (len(self.buffers), 0))
        self.buffers[name] = (index, max(known, width))
        return index

    def norm(  # noqa: PLR0913
        self,
        source: str,
        target: str,
        width: int,
        *,
        weight: Tensor | None,
        bias: Tensor | None,
        eps: float,
        centred: bool,
        groups: int = 1,
    ) -> None:
        """Norm `groups` stretches of `width` numbers; each may have weights of its own."""
        apart = weight is not None and weight.dim() == 2
        self._add(
            library.NORM,
            source,
            target,
            groups * width,
            weight=self._keep(weight),
            bias=self._keep(bias),
            eps=eps,
            flag=int(centred),
            heads=groups,
            shared=groups if apart else 1,
            width=width,
        )

    def linear(
        self,
        source: str,
        target: str,
        weight: Weight,
        *,
        put: int = library.PUT,
        act: int = 0,
        wait: bool = True,
    ) -> None:
        """Map a buffer linearly, activated, into another one, onto it or times it."""
        if weight.group and self._rounded != (source, weight.group):
            self._add(
                library.QUANTIZE, source, source, weight.inputs, width=weight.inputs,
                heads=weight.group,
            )  # fmt: skip
            self._rounded = (source, weight.group)
        self.kept += [weight.weight, weight.scale, weight.bias]
        self.bytes += weight.weight.numel() * weight.weight.element_size()
        self.widest = max(self.widest, -(-weight.inputs // library.GROUP_8) * library.GROUP_8)
        self.buffer(source, weight.inputs)
        self._add(
            library.LINEAR, source, target, weight.outputs,
            flag=put, act=act, wait=int(wait), map=weight.map(),
        )  # fmt: skip

    def rotate(self, name: str, heads: int, width: int, table: int, half: int, pairs: bool) -> None:  # noqa: FBT001
        """Turn the first 2 · half numbers of each head; `pairs`: neighbours turn."""
        self._add(
            library.ROTATE, name, name, heads * width,
            heads=heads, width=width, table=table, shared=half, flag=int(pairs),
        )  # fmt: skip

    def store(self, name: str, width: int, layer: int, *, values: bool) -> None:
        """Keep the keys, or values, of the new tokens."""
        self._add(
            library.STORE, name, name, width,
            width=width, layer=layer, flag=int(values), wait=int(values),
        )  # fmt: skip

    def attend(self, source: str, target: str, *, recall: bool = False, **sizes: Any) -> None:
        """Mix values by the queries in a buffer: of the rows' own tokens, or of their memories.

        Args:
            source: the queries.
            target: where the mixed values go.
            recall: whether to look at the memory.
            sizes: heads, shared, width, scale, window, cap, layer.
        """
        self.group = max(self.group, sizes["heads"] // sizes["shared"])
        op = library.RECALL if recall else library.ATTEND
        self._add(op, source, target, sizes["heads"] * sizes["width"], **sizes)

    def plus(self, source: str, target: str, width: int) -> None:
        """Add a buffer to another one."""
        self._add(library.PLUS, source, target, width, width=width)

    def _add(self, op: int, source: str, target: str, fills: int, **fields: Any) -> None:
        fields.setdefault("wait", 1)
        target_index = self.buffer(target, fills)
        if self._rounded and self._rounded[0] == target and op != library.QUANTIZE:
            self._rounded = None
        self.steps.append(
            library.Step(op=op, input=self.buffer(source, 0), output=target_index, **fields)
        )

    def _keep(self, tensor: Tensor | None) -> int | None:
        if tensor is None:
            return None
        tensor = tensor.detach().float().contiguous()
        self.kept.append(tensor)
        return tensor.data_ptr()


@dataclass
class Places:
    """Where the keys of a step's rows lie, and what else it looks at."""

    table: Tensor  # (R, columns) int32
    totals: Tensor  # (R,) int32, the new tokens included
    longest: int
    keys: Any = None  # pointers for each layer, as `pointers` makes them
    values: Any = None
    memory: Tensor | None = None  # (R, 2) int32: first key and count
    memory_longest: int = 0
    memory_keys: Any = None
    memory_values: Any = None


def pointers(tensors: Sequence[Tensor]) -> Any:
    """Return an array of addresses."""
    return (ctypes.c_void_p * max(len(tensors), 1))(*[tensor.data_ptr() for tensor in tensors])


class Plan:
    """A program with its memory; it serves one caller at a time."""

    def __init__(self, writer: Writer, source: str, target: str) -> None:
        """Make a program ready.

        Args:
            writer: what was written down.
            source: the name of the buffer that each run is given.
            target: the name of the buffer that it returns.
        """
        self._kernels = library.kernels()
        self._kept = writer.kept
        self._steps = (library.Step * len(writer.steps))(*writer.steps)
        self._widths = [width for _, width in writer.buffers.values()]
        self._source, self._target = (writer.buffers[name][0] for name in (source, target))
        self._overwrites = any(step.output == self._source for step in writer.steps)
        self._group, self._widest = writer.group, writer.widest
        self._alone = writer.bytes < _SMALL
        self._addresses = (ctypes.c_void_p * len(self._widths))()
        self._sizes = (ctypes.c_int64 * len(self._widths))(*self._widths)
        self._program = library.Program()
        self._program.steps = ctypes.addressof(self._steps)
        self._program.count = len(self._steps)
        self._program.widest = self._widest
        self._program.buffers = ctypes.addressof(self._addresses)
        self._program.widths = ctypes.addressof(self._sizes)
        self._rows = self._span = 0
        self._run = library.Run()

    def _make_room(self, rows: int, span: int, threads: int) -> None:
        program = self._program
        if rows > self._rows:
            self._rows = rows
            given = (self._source, self._target)
            self._buffers = [
                torch.empty(0 if index in given else rows, width)
                for index, width in enumerate(self._widths)
            ]
            self._addresses[:] = [buffer.data_ptr() for buffer in self._buffers]
            groups = self._widest // library.GROUP_4
            self._bytes = torch.empty(rows, self._widest, dtype=torch.int8)
            self._scales = torch.empty(rows, groups)
            self._sums = torch.empty(rows, groups, dtype=torch.int32)
            program.bytes = self._bytes.data_ptr()
            program.byte_scales = self._scales.data_ptr()
            program.byte_sums = self._sums.data_ptr()
        if span + library.LANES > self._span:  # rounded up to whole vectors
            self._span = 2 * (span + library.LANES)
            each = self._group * self._span
            self._scores = torch.empty(threads, each)
            program.scores, program.scores_each = self._scores.data_ptr(), each

    def run(
        self,
        x: Tensor,
        places: Places | None = None,
        tables: Sequence[tuple[Tensor, Tensor]] = (),
        bias: Tensor | None = None,
    ) -> Tensor:
        """Run the program for rows (R, D).

        Args:
            x: what the source begins with; it stays as it is.
            places: where keys and values lie.
            tables: cosines and sines, (R, half) each, of every kind of rotation.
            bias: (R, H, longest) what is added to scores.

        Returns:
            What the target holds in the end, (R, width).
        """
        run, rows = self._run, x.shape[0]
        assert x.shape[1] == self._widths[self._source]
        threads = 1 if self._alone else torch.get_num_threads()
        longest = 0 if places is None else max(places.longest, places.memory_longest)
        self._make_room(rows, longest, torch.get_num_threads())
        x = x.float().clone() if self._overwrites else x.float().contiguous()
        same = self._source == self._target
        found = x if same else empty(rows, self._widths[self._target])
        self._addresses[self._source] = x.data_ptr()
        self._addresses[self._target] = found.data_ptr()
        run.rows, run.threads = rows, threads
        turned = [[part.float().contiguous() for part in table] for table in tables]
        cosines, sines = pointers([t[0] for t in turned]), pointers([t[1] for t in turned])
        run.cosines, run.sines = ctypes.addressof(cosines), ctypes.addressof(sines)
        if places is not None:
            run.columns, run.places = places.table.shape[1], places.table.data_ptr()
            run.totals = places.totals.data_ptr()
            run.keys, run.values = _address(places.keys), _address(places.values)
            run.memory = None if places.memory is None else places.memory.data_ptr()
            run.memory_keys = _address(places.memory_keys)
            run.memory_values = _address(places.memory_values)
        run.bias = None if bias is None else bias.data_ptr()
        run.span = 0 if bias is None else bias.shape[-1]
        self._kernels.armature_run(ctypes.byref(self._program), ctypes.byref(run))
        return found


def _address(array: Any) -> int | None:
    return None if array is None else ctypes.addressof(array)
