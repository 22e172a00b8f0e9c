"""feature-extraction: a text becomes one vector for each of its tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armature.pipelines.base import Pipeline
from armature.pipelines.batching import Row
from armature.pipelines.options import ReadingOptions


@dataclass(frozen=True)
class FeatureOptions(ReadingOptions):
    """What feature-extraction can be told."""

    return_tensors: bool = False
    """Return tensors (1, T, D) instead of nested lists."""


class FeatureExtractionPipeline(Pipeline):
    """Gives the hidden states of texts: lists `[1][tokens][width]`."""

    default_task = "feature-extraction"
    options_type = FeatureOptions

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options by their names of today."""
        return spread(super().named(given), "tokenize_kwargs")

    def prepare(self, items: Sequence[str], options: FeatureOptions) -> list[Row]:
        """Make one row of each text."""
        columns = self.reader.read(items, options=options)
        return [self.row(i, each) for i, each in enumerate(columns)]

    def compute(self, rows: Sequence[Row], options: FeatureOptions) -> list[Any]:
        """Return the states (T, D) of each row, without padding."""
        # A model with a task's head gives that head's numbers: the first of its outputs.
        states = self.forward(rows)[0].cpu()
        return [states[i, : len(row.ids)] for i, row in enumerate(rows)]

    def finish(self, item: str, parts: Sequence[tuple[Row, Any]], options: FeatureOptions) -> Any:
        """Return the states as nested lists, or as a tensor of its own."""
        states = parts[0][1]
        return states.unsqueeze(0).clone() if options.return_tensors else [states.tolist()]


def spread(given: dict[str, Any], name: str) -> dict[str, Any]:
    """Take a caller's table of tokenizer arguments for options of their own."""
    table = given.pop(name, None) or {}
    return {**table, **given}
