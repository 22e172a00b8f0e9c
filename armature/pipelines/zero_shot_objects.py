"""zero-shot-object-detection: where in a picture is what the caller names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armature.errors import ArgumentError
from armature.pipelines.options import PictureOptions, positive
from armature.pipelines.visual_questions import PicturedPipeline
from armature.pipelines.zero_shot import labels_of


@dataclass(frozen=True)
class NamedObjectOptions(PictureOptions):
    """What zero-shot-object-detection can be told."""

    candidate_labels: str | Sequence[str] = ()
    """What to look for: a list, or a text with commas between them."""
    threshold: float = 0.1
    """Boxes with lower scores are left out."""
    top_k: int | None = None
    """How many boxes, best first; None: all."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        if self.top_k is not None:
            positive("top_k", self.top_k)


class ZeroShotObjectDetectionPipeline(PicturedPipeline):
    """Finds things by name: `[{"score": 0.6, "label": "a cat", "box": {"xmin": 3, …}}, …]`."""

    default_task = "zero-shot-object-detection"
    options_type = NamedObjectOptions

    def read(self, inputs: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Find pictures, and what to look for in them, in any of their spellings."""
        given = dict(given)
        inputs = (given.pop("image"), *inputs) if given.get("image") is not None else inputs
        if len(inputs) == 2:
            given["candidate_labels"], inputs = inputs[1], inputs[:1]
        if "text_queries" in given:  # their older name
            given["candidate_labels"] = given.pop("text_queries")
        labels, pictures = given.get("candidate_labels"), inputs[0] if inputs else None
        if isinstance(pictures, list | tuple) and _nested(labels):  # each has its own
            if len(pictures) != len(labels):
                raise ArgumentError(
                    f"there are {len(pictures)} images, but {len(labels)} lists of candidate_labels"
                )
            pairs = zip(pictures, given.pop("candidate_labels"), strict=True)
            inputs = ([{"image": one, "candidate_labels": some} for one, some in pairs],)
        return super().read(inputs, given)

    def is_item(self, inputs: Any) -> bool:
        """Say whether the inputs are one picture."""
        return not isinstance(inputs, list | tuple)

    def run(
        self, items: Sequence[Any], options: NamedObjectOptions, rows: int | None = None
    ) -> list[Any]:
        """Return what is found in one window of pictures, in order."""
        import torch

        with torch.inference_mode():
            return [self._found(item, options) for item in items]

    def _found(self, item: Any, options: NamedObjectOptions) -> list[dict[str, Any]]:
        from armature.inputs.image.pictures import photo

        labels = options.candidate_labels
        if isinstance(item, Mapping):
            item, labels = item.get("image"), item.get("candidate_labels", labels)
        if item is None:
            raise ArgumentError(f"{self.task}: give an `image`")
        # HF: spaces behind commas stay.
        picture, labels = photo(item), labels.split(",") if isinstance(labels, str) else labels
        labels = labels_of(labels)
        pixels, known, found = self.pixels(picture), self.model.input_names, []
        read = self.tokenizer(labels, return_tensors="pt", padding=True)
        for index, label in enumerate(labels):
            texts = {k: x[index : index + 1].to(self.device) for k, x in read.items() if k in known}
            result = self.model(**texts, pixel_values=pixels["pixel_values"])
            scores = result.logits[0].amax(-1).sigmoid().tolist()
            for score, box in zip(
                scores, _corners(result.pred_boxes[0], picture.size), strict=True
            ):
                if score > options.threshold:
                    found.append({"score": score, "label": label, "box": box})
        return sorted(found, key=lambda one: -one["score"])[: options.top_k]


def _nested(labels: Any) -> bool:
    some = isinstance(labels, list | tuple) and len(labels) > 0
    return some and all(isinstance(one, list | tuple) for one in labels)


def _corners(boxes: Any, size: tuple[int, int]) -> list[dict[str, int]]:
    """(P, 4) centres and sizes, as shares of a picture → the pixels of their corners."""
    middle, half = boxes[:, :2], boxes[:, 2:] / 2
    width, height = size
    corners = (middle - half, middle + half)
    scale = boxes.new_tensor([width, height])
    first, last = ((corner * scale).int().tolist() for corner in corners)
    return [
        {"xmin": x0, "ymin": y0, "xmax": x1, "ymax": y1}
        for (x0, y0), (x1, y1) in zip(first, last, strict=True)
    ]
