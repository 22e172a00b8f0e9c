"""Losses of boxes: each thing of an image gets the query that suits it best."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.config import Config
from armature.errors import ArgumentError
from armature.layers.boxes import corners, generalised_overlap, paired_overlap
from armature.outputs.matching import dice, focal, matched

Things = Mapping[str, Tensor]  # class_labels (n,), boxes (n, 4), masks (n, height, width)
Pairs = list[tuple[Tensor, Tensor]]  # for each image the places of queries, and of their things


@dataclass(frozen=True)
class Matching:
    """How queries are matched, and what counts; the last class of the scores means nothing."""

    config: Config

    def pairs(self, logits: Tensor, boxes: Tensor, things: Sequence[Things]) -> Pairs:
        """Match (B, Q, classes) and (B, Q, 4) with the things of each image."""
        with torch.no_grad():
            found = []
            for scores, mine, one in zip(logits, boxes, things, strict=True):
                theirs = one["boxes"].to(mine)
                cost = (
                    self.config.bbox_cost * torch.cdist(mine, theirs, p=1)
                    + self.config.class_cost * self.kind_cost(scores, one["class_labels"])
                    - self.config.giou_cost * generalised_overlap(corners(mine), corners(theirs))
                )
                rows, columns = matched(cost)
                found.append((rows.cpu(), columns.cpu()))
            return found

    def kind_cost(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(Q, classes) → (Q, n) how badly each query's scores suit each label."""
        return -logits.softmax(-1)[:, labels]

    def kind_loss(self, logits: Tensor, wanted: Tensor, _count: float) -> Tensor:
        """Return the loss of scores (B, Q, classes) for labels (B, Q)."""
        weights = torch.ones(logits.shape[-1], device=logits.device, dtype=logits.dtype)
        weights[-1] = self.config.eos_coefficient
        return F.cross_entropy(logits.transpose(1, 2), wanted, weights)

    def something(self, logits: Tensor) -> Tensor:
        """(B, Q, classes) → (B, Q) whether a query says that something is there."""
        return logits.argmax(-1) != logits.shape[-1] - 1

    def losses(
        self, found: Mapping[str, Tensor], pairs: Pairs, things: Sequence[Things]
    ) -> dict[str, Tensor]:
        """Return the losses of `logits` and `pred_boxes`, and of `pred_masks` where there are any.

        `cardinality_error` tells how many things too few or too many there are; nobody learns of
        it.
        """
        logits, count = found["logits"], float(max(sum(len(one["boxes"]) for one in things), 1))
        at = _places([mine for mine, _ in pairs], logits.device)
        labels = [
            one["class_labels"][theirs] for one, (_, theirs) in zip(things, pairs, strict=True)
        ]
        wanted = torch.full(
            logits.shape[:2], self.config.num_labels, dtype=torch.long, device=logits.device
        )
        wanted[at] = torch.cat(labels).to(wanted)
        mine = found["pred_boxes"][at]
        boxes = [one["boxes"][theirs] for one, (_, theirs) in zip(things, pairs, strict=True)]
        theirs = torch.cat(boxes).to(mine)
        lengths = torch.tensor([len(one["class_labels"]) for one in things], device=logits.device)
        wrong = self.something(logits).sum(1).float() - lengths
        losses = {
            "loss_ce": self.kind_loss(logits, wanted, count),
            "loss_bbox": (mine - theirs).abs().sum() / count,
            "loss_giou": (1 - paired_overlap(corners(mine), corners(theirs))).sum() / count,
            "cardinality_error": wrong.abs().mean().detach(),
        }
        if "pred_masks" in found:
            losses |= _of_masks(found["pred_masks"][at], pairs, things, count)
        return losses

    def total(
        self, found: Mapping[str, Tensor], things: Any, further: Sequence[Mapping[str, Tensor]]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss, and its parts by name.

        Args:
            found: `logits`, `pred_boxes`, and perhaps `pred_masks`.
            things: for each image, what is there.
            further: what the blocks before the last found, whose parts are numbered.

        Raises:
            ArgumentError: the labels are not such.
        """
        things = _checked(things, len(found["logits"]))
        pairs = self.mask_pairs if "pred_masks" in found else self.pairs
        matched = pairs(found["logits"], found["pred_boxes"], things)
        parts = self.losses(found, matched, things)
        for index, one in enumerate(further):
            matched = pairs(one["logits"], one["pred_boxes"], things)
            some = self.losses(one, matched, things)
            parts |= {f"{name}_{index}": loss for name, loss in some.items()}
        weights = {
            "loss_ce": 1,
            "loss_bbox": self.config.bbox_loss_coefficient,
            "loss_giou": self.config.giou_loss_coefficient,
        }
        if "pred_masks" in found:
            weights["loss_mask"] = self.config.mask_loss_coefficient
            weights["loss_dice"] = self.config.dice_loss_coefficient
        loss = torch.zeros((), device=found["logits"].device)
        for name, part in parts.items():
            loss = loss + part * weights.get(name.rstrip("_0123456789"), 0)
        return loss, parts

    def mask_pairs(self, logits: Tensor, boxes: Tensor, things: Sequence[Things]) -> Pairs:
        """Match where masks are learned, too."""
        return self.pairs(logits, boxes, things)


@dataclass(frozen=True)
class FocalMatching(Matching):
    """Each class is a question of its own, and no class means nothing (Zhu et al., 2020)."""

    def kind_cost(self, logits: Tensor, labels: Tensor) -> Tensor:
        """(Q, classes) → (Q, n)."""
        shares = logits.sigmoid()[:, labels]
        no = 0.75 * shares**2 * -(1 - shares + 1e-8).log()
        yes = 0.25 * (1 - shares) ** 2 * -(shares + 1e-8).log()
        return yes - no

    def kind_loss(self, logits: Tensor, wanted: Tensor, count: float) -> Tensor:
        """Return the loss of scores (B, Q, classes) for labels (B, Q)."""
        classes = logits.shape[-1]
        ones = F.one_hot(wanted, max(classes, self.config.num_labels) + 1)[..., :classes]
        alpha = self.config.focal_alpha
        return focal(logits, ones.to(logits), count, alpha) * logits.shape[1]

    def something(self, logits: Tensor) -> Tensor:
        """(B, Q, classes) → (B, Q)."""
        return logits.sigmoid().amax(-1) > 0.5

    def mask_pairs(self, logits: Tensor, boxes: Tensor, things: Sequence[Things]) -> Pairs:
        """Match where masks are learned, too: HF: as if one class were right."""
        return Matching(self.config).pairs(logits, boxes, things)


def _places(rows: list[Tensor], device: torch.device) -> tuple[Tensor, Tensor]:
    """Return the images and places of queries, (n,) each."""
    images = [torch.full_like(row, index) for index, row in enumerate(rows)]
    return torch.cat(images).to(device), torch.cat(rows).to(device)


def _of_masks(
    logits: Tensor, pairs: Pairs, things: Sequence[Things], count: float
) -> dict[str, Tensor]:
    """Return the losses of masks (n, height, width) that were matched."""
    height = max(one["masks"].shape[1] for one in things)
    width = max(one["masks"].shape[2] for one in things)
    wanted = []
    for one, (_, theirs) in zip(things, pairs, strict=True):
        masks = one["masks"][theirs].to(logits)
        wanted.append(F.pad(masks, (0, width - masks.shape[2], 0, height - masks.shape[1])))
    masks = torch.cat(wanted).flatten(1)
    wide = F.interpolate(logits[:, None], (height, width), mode="bilinear", align_corners=False)
    wide = wide[:, 0].flatten(1)
    return {
        "loss_mask": focal(wide, masks, count),
        "loss_dice": dice(wide, masks, count),
    }


def _checked(things: Any, count: int) -> list[Things]:
    if not isinstance(things, Sequence) or len(things) != count:
        raise ArgumentError(
            f"labels should be a list of {count} mappings, one for each image, with class_labels "
            "(n,) and boxes (n, 4): the image processor makes them of annotations"
        )
    for one in things:
        if not {"class_labels", "boxes"} <= set(one):
            raise ArgumentError(
                f"labels of an image have {', '.join(one)}: give class_labels, boxes"
            )
    return list(things)
