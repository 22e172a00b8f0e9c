"""The load report: what a checkpoint gave, what it lacked, what was left over; as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Mismatch:
    """A tensor whose shape in the file is not the one that the config calls for."""

    name: str
    in_file: tuple[int, ...]
    expected: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name}: {list(self.in_file)} in the file, {list(self.expected)} by the config"


@dataclass
class LoadReport:
    """How a model was filled; all names are the checkpoint's own."""

    source: str = ""
    revision: str | None = None
    files: tuple[str, ...] = ()
    dtype: str = "float32"
    loaded: int = 0
    """How many tensors of the model were filled from the file."""
    new: list[str] = field(default_factory=list)
    """Head weights that no file gave: freshly initialised, not trained."""
    missing: list[str] = field(default_factory=list)
    """Body weights that the file lacks."""
    mismatched: list[Mismatch] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    """Tensors of the file that this class has no place for (often the head of another task)."""
    ignored: list[str] = field(default_factory=list)
    """Buffers in the file that are computed, not trained."""

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return asdict(self)

    def __getitem__(self, key: str) -> list[Any]:
        """Return what users of `output_loading_info=True` know as missing_keys and so on."""
        known = {
            "missing_keys": [*self.missing, *self.new],
            "unexpected_keys": self.unexpected,
            "mismatched_keys": [(m.name, m.in_file, m.expected) for m in self.mismatched],
            "error_msgs": [],
        }
        return known[key]

    def faults(self) -> list[str]:
        """Return one line for each body weight that could not be filled."""
        return [f"{name}: missing from the file" for name in self.missing] + [
            str(mismatch) for mismatch in self.mismatched if mismatch.name not in self.new
        ]
