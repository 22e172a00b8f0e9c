"""Heads of masks: queries → a class and a mask of each, and how far they are from the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.config import Config
from armature.errors import ArgumentError
from armature.layers.linear import Linear
from armature.layers.queries import Perceptron
from armature.model.composite import Composite
from armature.model.mask_queries import Segmenter
from armature.outputs import matching

_FIELDS = ("loss", "class_queries_logits", "masks_queries_logits", "auxiliary_logits")


class ClassWeights(nn.Module):
    """How much each class counts, as a file holds it: that nothing is there counts less."""

    weight: Tensor

    def __init__(self, labels: int, nothing: float) -> None:
        super().__init__()
        self.nothing = nothing
        weight = torch.empty(labels + 1)
        self.compute(weight)
        self.register_buffer("weight", weight)

    def compute(self, weight: Tensor) -> None:
        """Fill what no file gives."""
        weight.fill_(1.0)
        weight[-1] = self.nothing


class MaskHead(nn.Module):
    """A class for each query, the last of which means that nothing is there, and its mask."""

    fields: tuple[str, ...] = ()

    def __init__(self, c: Config, body: Composite) -> None:
        super().__init__()
        self.config = c
        self.out = Linear(body.width, c.num_labels + 1)
        self.counts = ClassWeights(int(c.num_labels), float(c.no_object_weight))
        self.weights = (1.0, float(c.mask_weight), float(c.dice_weight))

    def answered(
        self, classes: Sequence[Tensor], masks: Sequence[Tensor], given: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the fields of the result.

        Args:
            classes: of the queries after each block, (B, Q, classes + 1), the last one's last.
            masks: of them, (B, Q, height, width).
            given: the call's arguments by name.
        """
        found: dict[str, Any] = {
            "class_queries_logits": classes[-1],
            "masks_queries_logits": masks[-1],
        }
        keys = ("masks_queries_logits", "class_queries_logits")
        auxiliary = [
            dict(zip(keys, pair, strict=True))
            for pair in zip(masks[:-1], classes[:-1], strict=True)
        ]
        if given.get("output_auxiliary_logits", self.config.output_auxiliary_logits):
            found["auxiliary_logits"] = auxiliary
        truth, kinds = given.get("mask_labels"), given.get("class_labels")
        if truth is None or kinds is None:
            return found
        if len(truth) != len(masks[-1]) or len(kinds) != len(masks[-1]):
            raise ArgumentError(
                f"there are {len(masks[-1])} images, but {len(truth)} mask_labels and "
                f"{len(kinds)} class_labels"
            )
        pairs = [*zip(masks[-1:], classes[-1:], strict=True)]
        pairs += zip(masks[:-1], classes[:-1], strict=True)
        truth = [one.to(masks[-1]) for one in truth]
        found["loss"] = torch.stack([self.loss(*pair, truth, kinds) for pair in pairs]).sum()
        return found

    def loss(
        self, masks: Tensor, classes: Tensor, truth: Sequence[Tensor], kinds: Sequence[Tensor]
    ) -> Tensor:
        """Return how far queries are from the things in their images.

        Args:
            masks: (B, Q, height, width).
            classes: (B, Q, classes + 1).
            truth: for each image the masks of its things, (N, height, width).
            kinds: for each image the classes of its things, (N,).
        """
        with torch.no_grad():
            chosen = [self.match(*one) for one in zip(masks, classes, truth, kinds, strict=True)]
        count = float(max(1, sum(len(one) for one in kinds)))
        wanted = classes.new_full(classes.shape[:2], classes.shape[-1] - 1, dtype=torch.long)
        for row, (answers, things) in enumerate(chosen):
            wanted[row, answers] = kinds[row].to(wanted.device)[things]
        found = torch.cat([masks[row, answers] for row, (answers, _) in enumerate(chosen)])
        own = _padded([one[things] for one, (_, things) in zip(truth, chosen, strict=True)])
        outlines = self.masks_loss(found, own, count)
        named = F.cross_entropy(classes.transpose(1, 2), wanted, weight=self.counts.weight)
        weighted = zip(self.weights, (named, *outlines), strict=True)
        return torch.stack([weight * one for weight, one in weighted]).sum()

    def match(
        self, masks: Tensor, classes: Tensor, truth: Tensor, kinds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return which queries of an image stand for which of its things."""
        raise NotImplementedError

    def masks_loss(self, found: Tensor, own: Tensor, count: float) -> tuple[Tensor, Tensor]:
        """Return how far masks (N, height, width) are from their own: pixel by pixel, and whole."""
        raise NotImplementedError


class InstanceHead(MaskHead):
    """Losses see all pixels, of which easy ones count less."""

    fields = (*_FIELDS, *Segmenter.fields, "hidden_states", "attentions")

    def __init__(self, c: Config, body: Composite) -> None:
        super().__init__(c, body)
        self.mask = Perceptron(body.width, body.width, body.width, c.mask_feature_size)
        self.weights = (float(c.cross_entropy_weight), *self.weights[1:])

    def forward(self, found: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the result."""
        every = self.config.use_auxiliary_loss
        states = found["queries"] if every else found["queries"][-1:]
        pixels = found["pixel_decoder_last_hidden_state"]
        masks = [torch.einsum("bqc,bchw->bqhw", self.mask(x), pixels) for x in states]
        return self.answered([self.out(x) for x in states], masks, given)

    def match(
        self, masks: Tensor, classes: Tensor, truth: Tensor, kinds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return which queries of an image stand for which of its things."""
        small = F.interpolate(truth[:, None], masks.shape[-2:], mode="nearest")[:, 0].flatten(1)
        found = masks.flatten(1)
        _, pixels, whole = self.weights
        costs = pixels * matching.focal_costs(found, small)
        costs = costs - classes.softmax(-1)[:, kinds] + whole * matching.dice_costs(found, small)
        return matching.matched(costs)

    def masks_loss(self, found: Tensor, own: Tensor, count: float) -> tuple[Tensor, Tensor]:
        """Return how far masks (N, height, width) are from their own: pixel by pixel, and whole."""
        size = own.shape[-2:]
        large = F.interpolate(found[:, None], size, mode="bilinear", align_corners=False)
        pair = (large[:, 0].flatten(1), own.flatten(1))
        return matching.focal(*pair, count), matching.dice(*pair, count)


class UniversalHead(MaskHead):
    """Losses see a few points alone, most of them where masks are least sure."""

    fields = (*_FIELDS, *Segmenter.fields, "attentions")

    def __init__(self, c: Config, body: Composite) -> None:
        super().__init__(c, body)
        self.weights = (float(c.class_weight), *self.weights[1:])
        self.points = int(c.train_num_points)

    def forward(self, found: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the result."""
        classes = [self.out(x) for x in found["normed"]]
        return self.answered(classes, found["masks_queries_logits"], given)

    def match(
        self, masks: Tensor, classes: Tensor, truth: Tensor, kinds: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return which queries of an image stand for which of its things."""
        points = torch.rand(1, self.points, 2, device=masks.device)
        found, own = _at(masks, points), _at(truth, points)
        named, pixels, whole = self.weights
        costs = pixels * matching.cross_entropy_costs(found, own)
        costs = costs - named * classes.softmax(-1)[:, kinds]
        return matching.matched(costs + whole * matching.dice_costs(found, own))

    def masks_loss(self, found: Tensor, own: Tensor, count: float) -> tuple[Tensor, Tensor]:
        """Return how far masks (N, height, width) are from their own: pixel by pixel, and whole."""
        with torch.no_grad():
            points = self._unsure(found)
        pair = (_at(found, points), _at(own, points))
        return matching.mask_cross_entropy(*pair, count), matching.dice(*pair, count)

    def _unsure(self, masks: Tensor) -> Tensor:
        """Return points (N, P, 2) of masks: of many the least sure, and some at random."""
        c, rows = self.config, len(masks)
        many = torch.rand(rows, int(self.points * c.oversample_ratio), 2, device=masks.device)
        unsure = int(c.importance_sample_ratio * self.points)
        best = _at(masks, many).abs().neg().topk(unsure, 1).indices
        chosen = many.gather(1, best[..., None].expand(-1, -1, 2))
        rest = self.points - unsure
        if not rest:
            return chosen
        return torch.cat((chosen, torch.rand(rows, rest, 2, device=masks.device)), 1)


def _at(masks: Tensor, points: Tensor) -> Tensor:
    """Return what masks (N, height, width) say at points (1 or N, P, 2) from 0 to 1: (N, P)."""
    grid = (2 * points - 1).expand(len(masks), -1, -1)[:, :, None]
    return F.grid_sample(masks[:, None], grid, align_corners=False)[:, 0, :, 0]


def _padded(masks: Sequence[Tensor]) -> Tensor:
    """Return masks of all images together, as large as the largest: (N, height, width)."""
    height, width = (max(one.shape[axis] for one in masks) for axis in (1, 2))
    rows = [F.pad(one, (0, width - one.shape[2], 0, height - one.shape[1])) for one in masks]
    return torch.cat(rows)
