"""object-detection: the things in a picture get labels and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from armature.errors import ArgumentError
from armature.pipelines.batching import Row
from armature.pipelines.images import ImagePipeline
from armature.pipelines.options import PictureOptions
from armature.pipelines.pictures import Boxes

_SIDES = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True)
class DetectionOptions(PictureOptions):
    """What object-detection can be told."""

    threshold: float = 0.5
    """How sure the model must be of a thing."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, int | float):
            raise ArgumentError(f"`threshold` should be a number, but is {self.threshold!r}")


class ObjectDetectionPipeline(ImagePipeline):
    """Finds things: `[{"score": 0.9, "label": "cat", "box": {"xmin": 3, …}}, …]`, in pixels."""

    default_task = "object-detection"
    options_type = DetectionOptions

    def compute(self, rows: Sequence[Row], options: DetectionOptions) -> list[Any]:
        """Return the scores, labels and boxes of each picture.

        Raises:
            ArgumentError: the image processor belongs to a model that finds no things.
        """
        method = "post_process_object_detection"
        if not hasattr(self.processor, method):
            raise ArgumentError(f"{type(self.processor).__name__} makes no boxes of what is found")
        return self.processed(rows, method, threshold=options.threshold)

    def finish(
        self, item: Any, parts: Sequence[tuple[Row, Any]], options: DetectionOptions
    ) -> Boxes:
        """Name the things."""
        found, names = parts[0][1], self.model.config.id2label
        made = Boxes()
        for score, label, box in zip(
            found["scores"].tolist(), found["labels"].tolist(), found["boxes"].tolist(), strict=True
        ):
            sides = dict(zip(_SIDES, map(int, box), strict=True))
            made.append({"score": score, "label": names[label], "box": sides})
        return made.of(item)
