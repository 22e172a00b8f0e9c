"""What the header of a weight file says about one tensor, and the dtypes that files can hold."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

# code in safetensors headers → (name in torch, bytes per element). C128 exists in .bin files only.
DTYPES = {
    "BOOL": ("bool", 1),
    "U8": ("uint8", 1),
    "I8": ("int8", 1),
    "F8_E5M2": ("float8_e5m2", 1),
    "F8_E4M3": ("float8_e4m3fn", 1),
    "F8_E8M0": ("float8_e8m0fnu", 1),
    "F8_E4M3FNUZ": ("float8_e4m3fnuz", 1),
    "F8_E5M2FNUZ": ("float8_e5m2fnuz", 1),
    "I16": ("int16", 2),
    "U16": ("uint16", 2),
    "F16": ("float16", 2),
    "BF16": ("bfloat16", 2),
    "I32": ("int32", 4),
    "U32": ("uint32", 4),
    "F32": ("float32", 4),
    "C64": ("complex64", 8),
    "F64": ("float64", 8),
    "I64": ("int64", 8),
    "U64": ("uint64", 8),
    "C128": ("complex128", 16),
}

# class of storage in .bin files → code; dtypes without one are stored untyped, beside their name
STORAGES = {
    "FloatStorage": "F32",
    "DoubleStorage": "F64",
    "HalfStorage": "F16",
    "BFloat16Storage": "BF16",
    "LongStorage": "I64",
    "IntStorage": "I32",
    "ShortStorage": "I16",
    "CharStorage": "I8",
    "ByteStorage": "U8",
    "BoolStorage": "BOOL",
    "ComplexFloatStorage": "C64",
    "ComplexDoubleStorage": "C128",
}


@dataclass(frozen=True)
class Record:
    """A stretch of a file, such as an entry of a zip archive, and its CRC-32 if it has one."""

    start: int
    size: int
    crc: int | None


@dataclass(frozen=True)
class TensorInfo:
    """One tensor of a file: what it is, and where its bytes lie."""

    name: str
    dtype: str
    """Code of the safetensors format: "F32", "BF16", "I64"…"""
    shape: tuple[int, ...]
    file: Path
    offset: int = 0
    """Bytes from the beginning of the file to the first element."""
    strides: tuple[int, ...] | None = None
    """Elements from one index to the next, per dimension; None when contiguous."""
    record: Record | None = None

    @property
    def elements(self) -> int:
        """Return the number of elements."""
        return prod(self.shape)

    @property
    def itemsize(self) -> int:
        """Return the number of bytes per element."""
        return DTYPES[self.dtype][1]

    @property
    def size(self) -> int:
        """Return the number of bytes that the tensor takes, when contiguous."""
        return self.elements * self.itemsize

    @property
    def span(self) -> int:
        """Return the number of elements from the first to the last, gaps between them included."""
        if self.strides is None or not self.elements:
            return self.elements
        return 1 + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))

    @property
    def torch_dtype(self) -> torch.dtype:
        """Return the dtype as torch names it."""
        import torch

        return getattr(torch, DTYPES[self.dtype][0])


def dtype_code(dtype: torch.dtype) -> str | None:
    """Return the safetensors code of a torch dtype; None if files cannot hold it."""
    return _CODES.get(str(dtype).removeprefix("torch."))


_CODES = {name: code for code, (name, _) in DTYPES.items()}
