"""Number streams: files of nothing but a short header and numbers, in the order of the layers.

Darknet writes such: three whole numbers that say its version, how many images were seen (four
bytes, eight since version 0.2), then float32 after float32. Which of them is whose, only the model
knows: it says in which order it is written.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

from armature.checkpoint.mapped_file import MappedFile
from armature.checkpoint.tensor_info import TensorInfo
from armature.errors import CheckpointError

WHOLE = "stream"  # the name of the only tensor, before it is cut


def read_stream(path: Path, file: MappedFile) -> dict[str, TensorInfo]:
    """Return all numbers of a file as one tensor.

    Raises:
        CheckpointError: it is none, or not whole.
    """
    with path.open("rb") as opened:
        head = opened.read(12)
    if len(head) < 12:
        raise CheckpointError(path, "is too short for weights", "Copy or download the file again.")
    major, minor, _ = struct.unpack("<iii", head)
    start = 20 if major * 10 + minor >= 2 else 16
    count, rest = divmod(file.size - start, 4)
    if not 0 <= major < 1000 or not 0 <= minor < 1000 or rest or count < 0:
        raise CheckpointError(path, "is no file of Darknet", "Copy or download the file again.")
    return {WHOLE: TensorInfo(WHOLE, "F32", (count,), path, start)}


def cut(whole: TensorInfo, order: Iterable[tuple[str, tuple[int, ...]]]) -> dict[str, TensorInfo]:
    """Cut the numbers into the tensors of a model, which come in this order.

    Raises:
        CheckpointError: there are more or fewer numbers than the model has.
    """
    found: dict[str, TensorInfo] = {}
    at = whole.offset
    for name, shape in order:
        found[name] = TensorInfo(name, "F32", shape, whole.file, at)
        at += found[name].size
    held, needed = whole.elements, (at - whole.offset) // 4
    if held != needed:
        raise CheckpointError(
            whole.file,
            f"holds {held} numbers, but the model of config.json has {needed}",
            "Check that both belong together.",
        )
    return found
