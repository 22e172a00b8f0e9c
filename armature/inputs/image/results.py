"""Results: what a model found in a batch of images → boxes, classes and depths of each image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.errors import ArgumentError
from armature.inputs.encoding import BatchEncoding
from armature.layers.boxes import corners, overlap

Sizes = Tensor | Sequence[tuple[int, int]] | None  # (height, width) of each image


def sized(count: int, sizes: Sizes) -> list[tuple[int, int] | None]:
    """Return the size that each result shall have; None: as the model gave it.

    Raises:
        ArgumentError: there are more or fewer sizes than results.
    """
    if sizes is None:
        return [None] * count
    if len(sizes) != count:
        raise ArgumentError(f"there are {count} results, but {len(sizes)} target_sizes")
    return [(int(height), int(width)) for height, width in sizes]


def placed(boxes: Tensor, sizes: Sizes) -> Tensor:
    """(B, n, 4) centred shares of an image → corners, in pixels where sizes are given."""
    found = corners(boxes)
    if all(size is None for size in sized(len(boxes), sizes)):
        return found
    sides = torch.as_tensor(sizes).to(found)  # (B, 2)
    return found * sides.flip(1).repeat(1, 2)[:, None]


def sifted(
    rows: Iterable[tuple[Tensor, Tensor, Tensor]], threshold: float
) -> list[dict[str, Tensor]]:
    """Return of each image the scores, labels and boxes that are better than a threshold."""
    found = []
    for scores, labels, boxes in rows:
        kept = scores > threshold
        found.append({"scores": scores[kept], "labels": labels[kept], "boxes": boxes[kept]})
    return found


class Boxes:
    """One label for each query, the last of which means that nothing is there."""

    def post_process_object_detection(
        self, outputs: Any, threshold: float = 0.5, target_sizes: Sizes = None
    ) -> list[dict[str, Tensor]]:
        """Return what was found in each image.

        Args:
            outputs: `logits` (B, queries, labels + 1) and `pred_boxes` (B, queries, 4).
            threshold: the least score, not included.
            target_sizes: height and width of each image; None: boxes are shares of its sides.

        Returns:
            For each image its scores (n,), labels (n,) and boxes (n, 4) of corners.
        """
        scores, labels = outputs.logits.softmax(-1)[..., :-1].max(-1)
        boxes = placed(outputs.pred_boxes, target_sizes)
        return sifted(zip(scores, labels, boxes, strict=True), threshold)


class RankedBoxes:
    """Any number of labels for each query, each with a score of its own."""

    def post_process_object_detection(
        self, outputs: Any, threshold: float = 0.5, target_sizes: Sizes = None, top_k: int = 100
    ) -> list[dict[str, Tensor]]:
        """Return what was found in each image, the best first.

        Args:
            outputs: `logits` (B, queries, labels) and `pred_boxes` (B, queries, 4).
            threshold: the least score, not included.
            target_sizes: height and width of each image; None: boxes are shares of its sides.
            top_k: the most that are looked at.

        Returns:
            For each image its scores (n,), labels (n,) and boxes (n, 4) of corners.
        """
        return _ranked(outputs, threshold, target_sizes, top_k)


class QueriedBoxes:
    """Any number of labels for each query; as many things as there are queries."""

    def post_process_object_detection(
        self,
        outputs: Any,
        threshold: float = 0.5,
        target_sizes: Sizes = None,
        *,
        use_focal_loss: bool = True,
    ) -> list[dict[str, Tensor]]:
        """Return what was found in each image, the best first.

        Args:
            outputs: `logits` (B, queries, labels) and `pred_boxes` (B, queries, 4).
            threshold: the least score, not included.
            target_sizes: height and width of each image; None: boxes are shares of its sides.
            use_focal_loss: the model was trained so; else the last label means nothing.

        Returns:
            For each image its scores (n,), labels (n,) and boxes (n, 4) of corners.
        """
        if use_focal_loss:
            return _ranked(outputs, threshold, target_sizes, outputs.logits.shape[1])
        return Boxes().post_process_object_detection(outputs, threshold, target_sizes)


def _ranked(outputs: Any, threshold: float, sizes: Sizes, most: int) -> list[dict[str, Tensor]]:
    logits = outputs.logits
    scores, places = logits.sigmoid().flatten(1).topk(min(most, logits[0].numel()), dim=1)
    labels = logits.shape[2]
    queries = (places // labels)[..., None].expand(-1, -1, 4)
    boxes = placed(outputs.pred_boxes, sizes).gather(1, queries)
    return sifted(zip(scores, places % labels, boxes, strict=True), threshold)


class NamedBoxes:
    """Boxes whose labels are the places of texts, or that look like another picture."""

    def post_process_object_detection(
        self, outputs: Any, threshold: float = 0.1, target_sizes: Sizes = None
    ) -> list[dict[str, Tensor]]:
        """Return what was found in each image.

        Args:
            outputs: `logits` (B, patches, texts) and `pred_boxes` (B, patches, 4).
            threshold: the least score, not included.
            target_sizes: height and width of each image; None: boxes are shares of its sides.

        Returns:
            For each image its scores (n,), labels (n,) and boxes (n, 4) of corners.
        """
        logits, labels = outputs.logits.max(-1)
        boxes = placed(outputs.pred_boxes, target_sizes)
        return sifted(zip(logits.sigmoid(), labels, boxes, strict=True), threshold)

    def post_process_grounded_object_detection(
        self,
        outputs: Any,
        threshold: float = 0.1,
        target_sizes: Sizes = None,
        text_labels: list[list[str]] | None = None,
    ) -> list[dict[str, Any]]:
        """Return what was found in each image by name.

        Args:
            outputs: `logits` (B, patches, texts) and `pred_boxes` (B, patches, 4).
            threshold: the least score, not included.
            target_sizes: height and width of each image; None: boxes are shares of its sides.
            text_labels: the texts of each image; None: `text_labels` of the results are None.

        Raises:
            ArgumentError: there are not as many lists of texts as images.
        """
        found: list[Any] = self.post_process_object_detection(outputs, threshold, target_sizes)
        if text_labels is not None and len(text_labels) != len(found):
            raise ArgumentError(
                f"there are {len(found)} images, but {len(text_labels)} text_labels"
            )
        for one, texts in zip(found, text_labels or [None] * len(found), strict=True):
            one["text_labels"] = texts and [texts[int(place)] for place in one["labels"]]
        return found

    def post_process_image_guided_detection(
        self,
        outputs: Any,
        threshold: float = 0.0,
        nms_threshold: float = 0.3,
        target_sizes: Sizes = None,
    ) -> list[dict[str, Any]]:
        """Return what in each image looks like the other picture.

        Args:
            outputs: `logits` (B, patches, 1) and `target_pred_boxes` (B, patches, 4).
            threshold: the least score.
            nms_threshold: how much a better box may overlap one that stays.
            target_sizes: height and width of each image; None: boxes are shares of its sides.

        Returns:
            For each image scores (n,) from 0 to 1, the best nearly 1, and boxes (n, 4) of corners.
        """
        scores = outputs.logits.max(-1)[0].sigmoid()
        shares = placed(outputs.target_pred_boxes, None)
        boxes = placed(outputs.target_pred_boxes, target_sizes)
        found = []
        for row, share, box in zip(scores, shares, boxes, strict=True):
            kept = _without_rivals(row, share, nms_threshold) if nms_threshold < 1.0 else row
            if not kept.any():
                continue
            kept = kept.masked_fill(kept < threshold, 0.0)
            top = kept.max() + 1e-6
            strength = ((kept - top * 0.1) / (top * 0.9)).clamp(0.0, 1.0)
            some = strength > 0
            found.append({"scores": strength[some], "labels": None, "boxes": box[some]})
        return found


def _without_rivals(scores: Tensor, boxes: Tensor, limit: float) -> Tensor:
    """Return scores with zeros where a better box overlaps."""
    scores, shares = scores.clone(), overlap(boxes, boxes)[0]
    shares.fill_diagonal_(-1.0)
    for index in scores.argsort(descending=True, stable=True):
        if scores[index]:
            scores[shares[index] > limit] = 0.0
    return scores


class FoundThings:
    """What models find that bring boxes into each image themselves."""

    def post_process_object_detection(
        self, outputs: Any, threshold: float = 0.5, target_sizes: Sizes = None
    ) -> list[dict[str, Tensor]]:
        """Return what was found in each image.

        Args:
            outputs: `scores`, `labels` and `boxes` of each image, in its own pixels.
            threshold: the least score, not included.
            target_sizes: height and width of each image, of which boxes speak already.

        Returns:
            For each image its scores (n,), labels (n,) and boxes (n, 4) of corners.
        """
        sized(len(outputs.scores), target_sizes)
        rows = zip(outputs.scores, outputs.labels, outputs.boxes, strict=True)
        return sifted(rows, threshold)

    def post_process_instance_segmentation(
        self,
        outputs: Any,
        threshold: float = 0.5,
        mask_threshold: float = 0.5,
        overlap_mask_area_threshold: float = 0.8,
        target_sizes: Sizes = None,
    ) -> list[dict[str, Any]]:
        """Return the things of each image whose pixels were found, too; the best one is in front.

        Args:
            outputs: `scores`, `labels` and `masks` (n, 1, height, width) of each image.
            threshold: the least score.
            mask_threshold: the least share of a pixel.
            overlap_mask_area_threshold: not used.
            target_sizes: height and width of each image, of which masks speak already.

        Returns:
            For each image `segmentation` (height, width) with the number of each pixel's thing, -1
            where there is none, and `segments_info`: its `id`, `label_id` and `score`.
        """
        sized(len(outputs.scores), target_sizes)
        found = []
        for scores, labels, masks in zip(
            outputs.scores, outputs.labels, outputs.masks, strict=True
        ):
            kept = torch.where(scores >= threshold)[0]
            numbers = torch.full(masks.shape[-2:], -1, dtype=torch.int32, device=masks.device)
            for index in kept.flip(0).tolist():
                numbers[masks[index, 0] >= mask_threshold] = index
            infos = [
                {"id": i, "label_id": int(labels[i]), "score": round(float(scores[i]), 6)}
                for i in kept.tolist()
            ]
            found.append({"segmentation": numbers, "segments_info": infos})
        return found


class SemanticMap(BatchEncoding):
    """The classes of an image's pixels, and the scores that they were chosen by."""


def classes(scores: Tensor, sizes: Sizes, *, scored: bool) -> list[Any]:
    """(B, classes, height, width) → of each image the class of each pixel, perhaps with scores."""
    found = []
    for one, size in zip(scores, sized(len(scores), sizes), strict=True):
        if size is not None:
            one = F.interpolate(one[None], size, mode="bilinear", align_corners=False)[0]
        chosen = one.argmax(0)
        both = {"segmentation": chosen, "segmentation_scores": one}
        found.append(SemanticMap(both) if scored else chosen)
    return found


class Classes:
    """A class for each pixel."""

    def post_process_semantic_segmentation(
        self,
        outputs: Any,
        target_sizes: Sizes = None,
        *,
        return_segmentation_scores: bool = False,
    ) -> list[Any]:
        """Return the class of each pixel of each image, (height, width).

        Args:
            outputs: `logits` (B, classes, height, width).
            target_sizes: height and width of each image; None: those of the logits.
            return_segmentation_scores: return mappings of `segmentation` and the scores
                `segmentation_scores` (classes, height, width) instead.
        """
        return classes(outputs.logits, target_sizes, scored=return_segmentation_scores)


class Depths:
    """A depth for each pixel."""

    def post_process_depth_estimation(
        self, outputs: Any, target_sizes: Sizes = None
    ) -> list[dict[str, Tensor]]:
        """Return `predicted_depth` (height, width) of each image.

        Args:
            outputs: `predicted_depth` (B, height, width).
            target_sizes: height and width of each image; None: those of the model's.
        """
        found, sizes = [], sized(len(outputs.predicted_depth), target_sizes)
        for depth, size in zip(outputs.predicted_depth, sizes, strict=True):
            if size is not None:
                wide = F.interpolate(depth[None, None], size, mode="bicubic", align_corners=False)
                depth = wide[0, 0]
            found.append({"predicted_depth": depth})
        return found


class ClassesAndDepths(Classes, Depths):
    """A class, or a depth, for each pixel."""
