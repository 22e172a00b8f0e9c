"""Segments: the masks of queries → the classes, things and grounds that an image's pixels show."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.errors import ArgumentError
from armature.inputs.image.results import Boxes, RankedBoxes, Sizes, classes, sized

Found = dict[str, Any]


class Segments:
    """What classes (B, queries, labels + 1) and masks (B, queries, height, width) say together."""

    nothing = True  # whether the last label of the classes means that nothing is there

    def said(self, outputs: Any) -> tuple[Tensor, Tensor]:
        """Return the scores of labels and masks, before any function."""
        return outputs.logits, outputs.pred_masks

    def post_process_semantic_segmentation(
        self,
        outputs: Any,
        target_sizes: Sizes = None,
        *,
        return_segmentation_scores: bool = False,
    ) -> list[Any]:
        """Return the class of each pixel of each image, (height, width).

        Args:
            outputs: the model's.
            target_sizes: height and width of each image; None: those of the masks.
            return_segmentation_scores: return mappings of `segmentation` and the scores
                `segmentation_scores` (classes, height, width) instead.
        """
        labels, masks = self.said(outputs)
        shares = labels.softmax(-1)
        shares = shares[..., :-1] if self.nothing else shares
        scores = torch.einsum("bqc,bqhw->bchw", shares, masks.sigmoid())
        return classes(scores, target_sizes, scored=return_segmentation_scores)

    def post_process_instance_segmentation(
        self,
        outputs: Any,
        threshold: float = 0.5,
        mask_threshold: float = 0.5,
        overlap_mask_area_threshold: float = 0.8,
        target_sizes: Sizes = None,
        *,
        return_coco_annotation: bool = False,
    ) -> list[Found]:
        """Return the things of each image; see `post_process_panoptic_segmentation`.

        With `return_coco_annotation` the map is a list of run lengths, one for each number in it.
        """
        rules = (threshold, mask_threshold, overlap_mask_area_threshold)
        found = self._segments(outputs, rules, (), target_sizes)
        for one in found if return_coco_annotation else ():
            if not one["segmentation"].is_floating_point():  # HF: an empty map stays a map
                one["segmentation"] = run_lengths(one["segmentation"])
        return found

    def post_process_panoptic_segmentation(
        self,
        outputs: Any,
        threshold: float = 0.5,
        mask_threshold: float = 0.5,
        overlap_mask_area_threshold: float = 0.8,
        label_ids_to_fuse: Collection[int] | None = None,
        target_sizes: Sizes = None,
    ) -> list[Found]:
        """Return the things and grounds of each image.

        Args:
            outputs: the model's.
            threshold: the least score of a label, not included.
            mask_threshold: the least score of a pixel of a mask.
            overlap_mask_area_threshold: which share of a mask must be left where others cover it.
            label_ids_to_fuse: labels whose masks are one segment together.
            target_sizes: height and width of each image; None: those of the masks.

        Returns:
            For each image `segmentation` (height, width) with the number of each pixel's segment,
            and `segments_info`: its `id`, `label_id`, `was_fused` and `score`.
        """
        rules = (threshold, mask_threshold, overlap_mask_area_threshold)
        return self._segments(outputs, rules, label_ids_to_fuse or (), target_sizes)

    def _segments(
        self,
        outputs: Any,
        rules: tuple[float, float, float],
        fused: Collection[int],
        sizes: Sizes,
    ) -> list[Found]:
        labels, masks = self.said(outputs)
        scores, chosen = labels.softmax(-1).max(-1)
        kept = (chosen != labels.shape[-1] - 1) & (scores > rules[0])  # HF: also without "nothing"
        found = []
        for index, size in enumerate(sized(len(labels), sizes)):
            some = kept[index]
            shares = masks[index].sigmoid()[some]
            if not some.any():
                empty = torch.zeros(size or tuple(shares.shape[1:])) - 1
                found.append({"segmentation": empty, "segments_info": []})
                continue
            if size is not None:
                shares = F.interpolate(shares[None], size, mode="bilinear", align_corners=False)[0]
            found.append(_divided(shares, scores[index][some], chosen[index][some], rules, fused))
        return found


def _divided(
    shares: Tensor,
    scores: Tensor,
    labels: Tensor,
    rules: tuple[float, float, float],
    fused: Collection[int],
) -> Found:
    """Give each pixel to one of the masks (n, height, width); drop those that lose most."""
    shares = shares * scores[:, None, None]
    owner = shares.argmax(0)
    numbers = torch.zeros(owner.shape, dtype=torch.int32, device=owner.device)
    infos: list[Found] = []
    grounds: dict[int, int] = {}  # labels that are one segment together → its number
    last = 0
    for index, (score, label) in enumerate(zip(scores.tolist(), labels.tolist(), strict=True)):
        mine = owner == index
        left, whole = mine.sum(), (shares[index] >= rules[1]).sum()
        if not left or not whole or not (left / whole).item() > rules[2]:
            continue
        last = grounds.get(label, last + 1)  # HF: the next one counts on from here
        if label in fused:
            grounds[label] = last
        numbers[mine] = last
        infos.append(
            {"id": last, "label_id": label, "was_fused": label in fused, "score": round(score, 6)}
        )
    return {"segmentation": numbers, "segments_info": infos}


def run_lengths(numbers: Tensor) -> list[list[int]]:
    """Return for each number of a map, in their order, where it begins and for how many pixels."""
    found = []
    for number in numbers.unique():
        line = F.pad((numbers == number).flatten().int(), (1, 1))
        runs = torch.where(line[1:] != line[:-1])[0] + 1
        runs[1::2] -= runs[::2].clone()
        found.append(runs.tolist())
    return found


class BoxesAndSegments(Boxes, Segments):
    """Boxes, or masks, of queries whose last label means nothing."""


class RankedBoxesAndSegments(RankedBoxes, Segments):
    """Boxes, or masks, of queries that have any number of labels."""

    nothing = False


class QuerySegments(Segments):
    """Masks whose own scores count, too, where things are asked for."""

    def said(self, outputs: Any) -> tuple[Tensor, Tensor]:
        """Return the scores of labels and masks, before any function."""
        return outputs.class_queries_logits, outputs.masks_queries_logits

    def post_process_instance_segmentation(  # noqa: PLR0913 - the known signature
        self,
        outputs: Any,
        threshold: float = 0.5,
        mask_threshold: float = 0.5,
        overlap_mask_area_threshold: float = 0.8,
        target_sizes: Sizes = None,
        *,
        return_coco_annotation: bool = False,
        return_binary_maps: bool = False,
    ) -> list[Found]:
        """Return the things of each image; they may overlap, and then the last one is seen.

        Args:
            outputs: the model's.
            threshold: the least score.
            mask_threshold: not used: a pixel is part of a thing where its score is above one half.
            overlap_mask_area_threshold: not used.
            target_sizes: height and width of each image; None: those of the masks.
            return_coco_annotation: the map is a list of run lengths, one for each number in it.
            return_binary_maps: the map is one of ones and zeros for each thing, (n, height, width).
        """
        if return_coco_annotation and return_binary_maps:
            raise ArgumentError("give return_coco_annotation or return_binary_maps, not both")
        labels, masks = self.said(outputs)
        found = []
        for index, size in enumerate(sized(len(labels), target_sizes)):
            numbers, maps, infos = _things(labels[index], masks[index], threshold, size)
            one: Any = run_lengths(numbers) if return_coco_annotation else numbers
            if return_binary_maps and maps:
                one = torch.stack(maps)
            found.append({"segmentation": one, "segments_info": infos})
        return found


def _things(
    labels: Tensor, masks: Tensor, threshold: float, size: tuple[int, int] | None
) -> tuple[Tensor, list[Tensor], list[Found]]:
    """Return the number of each pixel's thing, the maps of single things, and what they are."""
    queries, kinds = labels.shape[0], labels.shape[1] - 1
    scores, places = labels.softmax(-1)[:, :-1].flatten().topk(queries, sorted=False)
    masks = masks[places // kinds]
    inside = (masks > 0).float()
    sure = (masks.sigmoid() * inside).flatten(1).sum(1) / (inside.flatten(1).sum(1) + 1e-6)
    if size is not None:
        inside = F.interpolate(inside[None], size, mode="nearest")[0]
    numbers = torch.zeros(inside.shape[1:]) - 1
    maps: list[Tensor] = []
    infos: list[Found] = []
    for one, score, label in zip(
        inside, (scores * sure).tolist(), (places % kinds).tolist(), strict=True
    ):
        if score < threshold or not one.any():
            continue
        numbers[(one == 1).cpu()] = len(maps)
        info = {"id": len(maps), "label_id": label, "was_fused": False, "score": round(score, 6)}
        infos.append(info)
        maps.append(one)
    return numbers, maps, infos


class StretchedQuerySegments(QuerySegments):
    """Masks that are first brought to the size of the images that the model was trained on."""

    def said(self, outputs: Any) -> tuple[Tensor, Tensor]:
        """Return the scores of labels and masks, before any function."""
        labels, masks = super().said(outputs)
        return labels, F.interpolate(masks, (384, 384), mode="bilinear", align_corners=False)
