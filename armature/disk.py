"""Names on disk: those of an architecture's body and of a class's head, behind their prefix."""

from __future__ import annotations

from types import ModuleType

from armature.checkpoint.names import Names
from armature.config import Config
from armature.outputs import tasks


def disk_names(arch: ModuleType, spec: tasks.Head, config: Config) -> Names:
    """Return how the tensors of a class are called on disk.

    Args:
        arch: the file of its architecture.
        spec: what it puts on the body.
        config: the settings, which may decide on names.
    """
    rows = arch.names(config)
    prefixes = {arch.PREFIX, *(head.prefix or "" for head in arch.HEADS.values())} - {""}
    prefix = arch.PREFIX if spec.prefix is None else spec.prefix
    head = spec.rows(config)
    if isinstance(spec, tasks.Base):
        prefix = ""
        head = {k: v.removeprefix(f"{arch.PREFIX}.") for k, v in head.items()}
    dotted = f"{prefix}." if prefix else ""
    copies = {dotted + one: dotted + two for one, two in arch.copies(config).items()}
    if isinstance(spec, tasks.WordHead) and spec.untied_bias and not spec.ties(config):
        # HF: the output map then has a bias of its own, and the shared one is kept, unused.
        copies[spec.untied_bias] = head["head.out.bias"]
        head["head.out.bias"] = spec.untied_bias
    return Names(rows, head, prefix, tuple(prefixes), arch.ALIASES, arch.IGNORED, copies)
