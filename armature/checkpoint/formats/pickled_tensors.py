"""What the globals of a torch pickle become: descriptions of tensors, checked when made."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from typing import Any

from armature.checkpoint.formats.stack_machine import Builder, RefusedError, check_keys
from armature.checkpoint.tensor_info import DTYPES, STORAGES

_DEVICE = re.compile(r"(cpu|cuda|mps|xpu|hpu|npu|xla|mtia|ipu)(:\d+)?")  # where it was, once
_MOST_DIMENSIONS = 64
_EXPANDED = 1 << 24  # elements that a view may have beyond those of its storage


@dataclass(frozen=True)
class StorageType:
    """A class of storage; `dtype` is None for untyped bytes."""

    dtype: str | None


@dataclass(frozen=True)
class Dtype:
    """A dtype named in the pickle."""

    code: str


@dataclass(frozen=True)
class Storage:
    """A flat run of elements in the file."""

    key: str
    dtype: str | None
    elements: int
    """Bytes, where the dtype is None."""

    @property
    def size(self) -> int:
        """Return the number of bytes."""
        return self.elements * (DTYPES[self.dtype][1] if self.dtype else 1)


@dataclass(frozen=True)
class PickledTensor:
    """A view of a storage."""

    storage: Storage
    dtype: str
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def contiguous(self) -> bool:
        """Say whether the elements lie end to end in order."""
        expected = 1
        for size, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if size != 1 and stride != expected:
                return False
            expected *= size
        return True


def storage(identity: Any) -> Storage:
    """Return the storage that a persistent id stands for.

    Raises:
        RefusedError: the id is something else, or makes no sense.
    """
    if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
        raise RefusedError("refers to something that is not a storage")
    kind, key, device, elements = identity[1:5]
    named = type(key) is str and type(device) is str and _DEVICE.fullmatch(device)
    if type(kind) is not StorageType or not named or not _is_count(elements):
        raise RefusedError("describes a storage in a way that makes no sense")
    if len(identity) == 6 and identity[5] is not None:
        raise RefusedError("refers to a part of a storage, as only torch before 0.4 did")
    return Storage(key, kind.dtype, elements)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 63


def _tensor_v2(
    held: Any, offset: Any, shape: Any, strides: Any, _gradient: Any, *hooks: Any
) -> PickledTensor:
    if not 1 <= len(hooks) <= 2:
        raise RefusedError("gives a tensor too few or too many arguments")
    return _tensor(held, offset, shape, strides)


def _tensor(held: Any, offset: Any, shape: Any, strides: Any) -> PickledTensor:
    if type(held) is not Storage or held.dtype is None:
        raise RefusedError("makes a tensor of what is not a typed storage")
    return _view(held, held.dtype, offset, shape, strides)


def _tensor_of_dtype(held: Any, offset: Any, shape: Any, strides: Any, *rest: Any) -> PickledTensor:
    dtype = rest[2] if len(rest) > 2 else None
    if type(held) is not Storage or held.dtype is not None or type(dtype) is not Dtype:
        raise RefusedError("makes a tensor of what is not an untyped storage")
    return _view(held, dtype.code, offset, shape, strides)


def _view(held: Storage, dtype: str, offset: Any, shape: Any, strides: Any) -> PickledTensor:
    """Return a tensor after checking that it lies inside its storage."""
    for numbers in (shape, strides):
        if type(numbers) is not tuple or not all(map(_is_count, numbers)):
            raise RefusedError("has a tensor of an impossible shape")
    if not _is_count(offset) or not len(shape) == len(strides) <= _MOST_DIMENSIONS:
        raise RefusedError("has a tensor of an impossible shape")
    available = held.size // DTYPES[dtype][1]
    elements = prod(shape)
    last = sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
    if (offset + last >= available) if elements else (offset > available):
        raise RefusedError("has a tensor that reaches outside its storage")
    if elements > max(available, _EXPANDED):
        raise RefusedError("has a tensor that repeats its storage too often")
    return PickledTensor(held, dtype, offset, shape, strides)


def _parameter(tensor: Any, *_: Any) -> PickledTensor:
    if type(tensor) is not PickledTensor:
        raise RefusedError("makes a parameter of what is not a tensor")
    return tensor


def _tensor_with_attributes(build: Any, kind: Any, arguments: Any, *_: Any) -> PickledTensor:
    plain = isinstance(kind, Builder) and kind.name in _TENSOR_CLASSES
    if not (plain and isinstance(build, Builder) and build.name in _REBUILDERS):
        raise RefusedError("makes a tensor of a class that is not known")
    return _REBUILDERS[build.name](*arguments)


def _dictionary(items: Any = ()) -> dict[Any, Any]:
    pairs = [tuple(pair) for pair in items]
    check_keys(key for key, _ in pairs)
    return dict(pairs)


def _size(numbers: Any = ()) -> tuple[int, ...]:
    if type(numbers) not in (tuple, list) or len(numbers) > _MOST_DIMENSIONS:
        raise RefusedError("has a tensor of an impossible shape")
    return tuple(numbers)


def _encoded(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise RefusedError("encodes text in a way that weights do not need")
    return text.encode("latin-1")


_REBUILDERS = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor_v2,
    "torch._utils._rebuild_tensor_v3": _tensor_of_dtype,
    "torch._utils._rebuild_parameter": _parameter,
    "torch._utils._rebuild_parameter_with_state": _parameter,
}
_TENSOR_CLASSES = {"torch.Tensor": None, "torch.nn.parameter.Parameter": _parameter}
_BUILDERS = {
    **_REBUILDERS,
    **_TENSOR_CLASSES,
    "torch._tensor._rebuild_from_type_v2": _tensor_with_attributes,
    "torch.Size": _size,
    "collections.OrderedDict": _dictionary,
    "_codecs.encode": _encoded,
}

# All that a pickle of weights may name.
GLOBALS: dict[str, object] = {
    **{name: Builder(name, build) for name, build in _BUILDERS.items()},
    **{f"torch.{name}": StorageType(code) for name, code in STORAGES.items()},
    **{f"torch.cuda.{name}": StorageType(code) for name, code in STORAGES.items()},
    "torch.storage.UntypedStorage": StorageType(None),
    "torch.UntypedStorage": StorageType(None),
    **{f"torch.{name}": Dtype(code) for code, (name, _) in DTYPES.items()},
}
