"""Photos: images of any size → one batch that a detector reads, and boxes back into each image."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.errors import ArgumentError

Size = tuple[int, int]  # height, width
Found = dict[str, Tensor]  # of one image


class Photos(nn.Module):
    """Norms colours and resizes: the shorter side to `least`, or the longer to `most`."""

    def __init__(
        self, mean: Sequence[float], std: Sequence[float], least: int, most: int, divisor: int = 32
    ) -> None:
        super().__init__()
        self.mean, self.std = list(mean), list(std)
        self.least, self.most, self.divisor = least, most, divisor

    def forward(self, images: Sequence[Tensor]) -> tuple[Tensor, list[Size]]:
        """Images (C, height, width) from 0 to 1 → a batch, and the size of each in it."""
        made = [self._resized(self._normed(image)) for image in images]
        sizes = [(one.shape[1], one.shape[2]) for one in made]
        sides = [max(side) for side in zip(*sizes, strict=True)]
        high, wide = (math.ceil(side / self.divisor) * self.divisor for side in sides)
        padded = [F.pad(x, (0, wide - x.shape[2], 0, high - x.shape[1])) for x in made]
        return torch.stack(padded), sizes

    def _normed(self, image: Tensor) -> Tensor:
        mean, std = image.new_tensor(self.mean), image.new_tensor(self.std)
        return (image - mean[:, None, None]) / std[:, None, None]

    def _resized(self, image: Tensor) -> Tensor:
        return F.interpolate(
            image[None],
            scale_factor=self.scale(image),
            mode="bilinear",
            recompute_scale_factor=True,
            align_corners=False,
        )[0]

    def scale(self, image: Tensor) -> float:
        """Return what an image's sides are multiplied by."""
        low, high = min(image.shape[-2:]), max(image.shape[-2:])
        return min(self.least / low, self.most / high)

    def things(self, labels: Any, images: Sequence[Tensor], sizes: Sequence[Size]) -> list[Found]:
        """Return the things of each image as they lie in the batch.

        Args:
            labels: for each image, `class_labels` (n,), `boxes` (n, 4) of corners in its pixels,
                and perhaps `masks` (n, height, width).
            images: as they were.
            sizes: of them in the batch.

        Raises:
            ArgumentError: the labels are not such.
        """
        found = things_of(labels, images)
        for one, image, size in zip(found, images, sizes, strict=True):
            one["boxes"] = moved(one["boxes"], (image.shape[1], image.shape[2]), size)
            if "masks" in one:
                masks, share = one["masks"][:, None].float(), self.scale(image)
                wide = F.interpolate(masks, scale_factor=share, recompute_scale_factor=True)
                one["masks"] = wide[:, 0].byte()
        return found


def things_of(labels: Any, images: Sequence[Tensor]) -> list[Found]:
    """Return the things of each image, in its own pixels: see `Photos.things`.

    Raises:
        ArgumentError: the labels are not such.
    """
    if not isinstance(labels, Sequence) or len(labels) != len(images):
        raise ArgumentError(
            f"labels should be a list of {len(images)} mappings, one for each image, with "
            "class_labels (n,) and boxes (n, 4) of corners in pixels"
        )
    found = []
    for one, image in zip(labels, images, strict=True):
        if not isinstance(one, Mapping) or not {"class_labels", "boxes"} <= set(one):
            raise ArgumentError("labels of an image are a mapping with class_labels and boxes")
        boxes = one["boxes"].to(image).reshape(-1, 4)
        if not (boxes[:, 2:] > boxes[:, :2]).all():
            raise ArgumentError("a box of the labels ends before it begins: give its corners")
        made = {"labels": one["class_labels"].to(image.device), "boxes": boxes}
        found.append(made | ({"masks": one["masks"]} if "masks" in one else {}))
    return found


def moved(boxes: Tensor, old: Size, new: Size) -> Tensor:
    """Return boxes (n, 4) of an image after it changed its size."""
    tall, wide = new[0] / old[0], new[1] / old[1]
    return boxes * boxes.new_tensor([wide, tall, wide, tall])


def whole(given: Mapping[str, Any]) -> list[Tensor]:
    """Return a call's images: a batch, perhaps with a mask of what is picture, or a list of them.

    Raises:
        ArgumentError: there are none, or their numbers are no floats.
    """
    pixels = given.get("pixel_values")
    if pixels is None or not len(pixels):
        raise ArgumentError("give pixel_values: images (C, height, width) from 0 to 1")
    images, mask = list(pixels), given.get("pixel_mask")
    for image in images:
        if not isinstance(image, Tensor) or image.dim() != 3 or not image.is_floating_point():
            raise ArgumentError(
                "pixel_values should be images (C, height, width) of numbers from 0 to 1: let the "
                "checkpoint's image processor make them"
            )
    if mask is None:
        return images
    sides = [(int(one.any(1).sum()), int(one.any(0).sum())) for one in mask]
    return [image[:, :h, :w] for image, (h, w) in zip(images, sides, strict=True)]
