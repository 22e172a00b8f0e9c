"""audio-classification, and what all tasks on sounds have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from os import PathLike
from pathlib import Path
from typing import Any

from armature.pipelines.base import Pipeline
from armature.pipelines.batching import Row
from armature.pipelines.classification import LabelOptions, best_labels, scores_of

_FRAME = 320  # samples that cost about as much as a token of a text


class SoundPipeline(Pipeline):
    """Base of the tasks on sounds: each becomes rows of what its feature extractor makes."""

    extractor: Any

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options by their names of today."""
        named = super().named(given)
        if "audio" in named:  # the other name of what is read
            named["inputs"] = named.pop("audio")
        return named

    def is_item(self, inputs: Any) -> bool:
        """Say whether the inputs are one sound."""
        if isinstance(inputs, str | bytes | bytearray | PathLike | Mapping):
            return True
        return hasattr(inputs, "read") or getattr(inputs, "ndim", 0) > 0

    def listen(self, item: Any) -> Any:
        """Return the samples of an item, at the sampling rate of the model."""
        from armature.inputs.audio import sounds

        rate = self.extractor.sampling_rate
        if isinstance(item, Mapping):
            names = ("raw", "array")
            item = {k: _mixed(v) if k in names else v for k, v in item.items() if v is not None}
        return sounds.read(_mixed(item), rate)

    def row_of(self, item: int, sound: Any, facts: Any = None, **options: Any) -> Row:
        """Return a sound, or a part of one, as a row: what the model reads of it is made later.

        So the many windows of a long sound take no room beside it.
        """
        return Row(item, {"sound": sound, "options": options}, facts)

    def cost(self, row: Row, options: Any) -> int:
        """Return how many tokens of a text a sound is worth."""
        return 1 + len(row.inputs["sound"]) // _FRAME

    def tensors(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        """Return the inputs of rows: neighbours of one shape together."""
        import numpy as np
        import torch

        found, read = [], []
        for row in rows:
            heard = self.extractor(row.inputs["sound"], **row.inputs["options"])
            read.append({name: arrays[0] for name, arrays in heard.items()})
        for _, group in groupby(read, lambda one: [array.shape for array in one.values()]):
            part, made = list(group), {}
            for name in part[0]:
                whole = torch.from_numpy(np.stack([one[name] for one in part]))
                whole = whole.to(self.model.dtype) if whole.is_floating_point() else whole
                made[name] = whole.to(self.device)
            found.append(made)
        return found


def _mixed(sound: Any) -> Any:
    """Return an array (channels, samples) of up to two channels as one."""
    if getattr(sound, "ndim", 1) == 2 and sound.shape[0] <= 2:
        return sound.mean(0)
    return sound


class AudioClassificationPipeline(SoundPipeline):
    """Labels sounds: `[{"label": "dog", "score": 0.9}, …]`, best first."""

    default_task = "audio-classification"
    options_type = LabelOptions

    def __init__(self, model: Any, extractor: Any, **how: Any) -> None:
        """Join a model and its feature extractor; see `Pipeline` for the rest."""
        super().__init__(model, None, **how)
        self.extractor = extractor

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and feature extractor into a folder that `pipeline(model=folder)` opens."""
        self.model.save_pretrained(folder)
        self.extractor.save_pretrained(folder)

    def prepare(self, items: Sequence[Any], options: LabelOptions) -> list[Row]:
        """Make one row of each sound."""
        return [self.row_of(i, self.listen(item)) for i, item in enumerate(items)]

    def compute(self, rows: Sequence[Row], options: LabelOptions) -> list[list[float]]:
        """Return the scores of all labels for each sound."""
        function = options.function_to_apply or self._function()
        logits = [self.model(**inputs).logits for inputs in self.tensors(rows)]
        return [row for one in logits for row in scores_of(one, function).tolist()]

    def _function(self) -> str:
        problems = {"regression": "none", "multi_label_classification": "sigmoid"}
        return problems.get(str(self.model.config.problem_type), "softmax")

    def finish(
        self, item: Any, parts: Sequence[tuple[Row, Any]], options: LabelOptions
    ) -> list[dict[str, Any]]:
        """Name the labels, best first."""
        return best_labels(parts[0][1], self.model.config, options)
