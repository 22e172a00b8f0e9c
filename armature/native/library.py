"""The native kernels: built with the package where a C compiler is at hand, never needed."""

from __future__ import annotations

import ctypes
import functools
import os
from ctypes import POINTER, Structure, c_float, c_int32, c_int64, c_void_p
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

SWITCH = "ARMATURE_NATIVE"  # set to 0, the kernels stay unused

# These mirror kernels.h.
LANES, GROUP_8, GROUP_4 = 16, 64, 32
ROWS, COLUMNS, BITS_8, BITS_4 = range(4)
PUT, ADD, MULTIPLY = range(3)
NORM, LINEAR, QUANTIZE, ROTATE, STORE, ATTEND, RECALL, PLUS = range(8)


class Map(Structure):
    """One linear map."""

    _fields_ = (
        ("weight", c_void_p),
        ("scale", c_void_p),
        ("bias", c_void_p),
        ("stride", c_int64),
        ("kind", c_int32),
        ("outputs", c_int32),
        ("inputs", c_int32),
    )


class Step(Structure):
    """One step of a program."""

    _fields_ = (
        *((name, c_int32) for name in ("op", "input", "output", "flag", "act")),
        *((name, c_int32) for name in ("heads", "shared", "width", "window", "layer", "wait")),
        *((name, c_float) for name in ("eps", "scale", "cap")),
        ("table", c_int32),
        ("weight", c_void_p),
        ("bias", c_void_p),
        ("map", Map),
    )


class Run(Structure):
    """What changes from one run of a program to the next."""

    _fields_ = (
        *((name, c_int32) for name in ("rows", "threads", "columns", "span")),
        *((name, c_void_p) for name in ("places", "totals", "memory", "bias")),
        *((name, c_void_p) for name in ("cosines", "sines", "keys", "values")),
        *((name, c_void_p) for name in ("memory_keys", "memory_values")),
    )


class Program(Structure):
    """A program and its memory."""

    _fields_ = (
        *((name, c_void_p) for name in ("steps", "buffers", "widths", "bytes")),
        *((name, c_void_p) for name in ("byte_scales", "byte_sums")),
        ("widest", c_int64),
        ("scores", c_void_p),
        ("scores_each", c_int64),
        ("count", c_int32),
    )


@functools.cache
def kernels() -> Any:
    """Return the loaded kernels, or None where they were not built or are switched off."""
    if os.environ.get(SWITCH, "1").strip().lower() in ("0", "off", "no", "false"):
        return None
    folder = Path(__file__).parent
    files = [folder / f"_kernels{suffix}" for suffix in EXTENSION_SUFFIXES]
    file = next((file for file in files if file.exists()), None)
    if file is None:
        return None
    import torch  # noqa: F401 - its threads are there first, and serve both

    library = ctypes.CDLL(str(file))
    library.armature_run.argtypes = (POINTER(Program), POINTER(Run))
    library.armature_run.restype = None
    library.armature_use.argtypes = (c_int32,)
    library.armature_widen.argtypes = (c_void_p, c_int64)
    library.armature_widen.restype = None
    library.armature_log_softmax.argtypes = (c_void_p, c_int64, c_int64, c_int32)
    library.armature_log_softmax.restype = None
    library.armature_best.argtypes = (
        *(c_void_p, c_int64, c_int64, c_int32),
        *(c_void_p, c_void_p, c_int32),
    )
    library.armature_best.restype = None
    return library
