"""image-segmentation: every pixel of a picture gets a class, or is part of a thing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from armature.errors import ArgumentError
from armature.pipelines.batching import Row
from armature.pipelines.images import ImagePipeline
from armature.pipelines.options import PictureOptions, one_of
from armature.pipelines.pictures import Masks

SUBTASKS = ("panoptic", "instance", "semantic")


@dataclass(frozen=True)
class SegmentationOptions(PictureOptions):
    """What image-segmentation can be told."""

    subtask: str | None = None
    """"panoptic" (things and grounds), "instance" (things) or "semantic" (classes of pixels); None:
    the first of these that the model can do."""
    threshold: float = 0.9
    """How sure the model must be of a thing."""
    mask_threshold: float = 0.5
    """How sure it must be that a pixel is part of it."""
    overlap_mask_area_threshold: float = 0.5
    """Which share of a thing must be left where nearer things cover it."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        if self.subtask is not None:
            one_of("subtask", self.subtask, SUBTASKS)
        for name in ("threshold", "mask_threshold", "overlap_mask_area_threshold"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ArgumentError(f"`{name}` should be a number, but is {value!r}")


class ImageSegmentationPipeline(ImagePipeline):
    """Finds the pixels of things: `[{"score": 0.9, "label": "cat", "mask": <image>}, …]`.

    A mask has the picture's size, 255 where the thing is and 0 elsewhere. Classes of pixels have no
    score.
    """

    default_task = "image-segmentation"
    options_type = SegmentationOptions

    def compute(self, rows: Sequence[Row], options: SegmentationOptions) -> list[Any]:
        """Return for each picture its map of numbers, and what each of them is."""
        subtask = self._subtask(options.subtask)
        if subtask == "semantic":
            maps = self.processed(rows, "post_process_semantic_segmentation")
            return [_classes(one.cpu().numpy()) for one in maps]
        made = self.processed(
            rows,
            f"post_process_{subtask}_segmentation",
            threshold=options.threshold,
            mask_threshold=options.mask_threshold,
            overlap_mask_area_threshold=options.overlap_mask_area_threshold,
        )
        return [(one["segmentation"].cpu().numpy(), one["segments_info"]) for one in made]

    def _subtask(self, asked: str | None) -> str:
        """Return what is to be done: what is asked, or the first thing that can be.

        Raises:
            ArgumentError: this model cannot do it.
        """
        able = [
            name
            for name in SUBTASKS
            if hasattr(self.processor, f"post_process_{name}_segmentation")
        ]
        if not able or (asked is not None and asked not in able):
            raise ArgumentError(
                f"{type(self.processor).__name__} has no {asked or 'image'} segmentation."
                + (f"\n  → subtask is one of {', '.join(able)}" if able else "")
            )
        return asked or able[0]

    def finish(
        self, item: Any, parts: Sequence[tuple[Row, Any]], options: SegmentationOptions
    ) -> Masks:
        """Name the things, and cut their masks out of the map."""
        from PIL import Image

        numbers, things = parts[0][1]
        names, found = self.model.config.id2label, Masks()
        for thing in things:
            mask = Image.fromarray(((numbers == thing["id"]) * 255).astype(np.uint8))
            label = names[thing["label_id"]]
            found.append({"score": thing["score"], "label": label, "mask": mask})
        return found.of(item)


def _classes(numbers: np.ndarray) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """Return a map of classes, and each of those that it has."""
    present = np.unique(numbers).tolist()
    return numbers, [{"id": one, "label_id": one, "score": None} for one in present]
