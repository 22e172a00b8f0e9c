"""Depth and classes of every pixel, from fused maps (Ranftl et al., 2021)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from armature.config import Config
from armature.errors import ArgumentError
from armature.layers.conv import ConvNorm
from armature.layers.patches import Convolution
from armature.layers.reassemble import Neck
from armature.outputs.images import PatchHead, Sight


class Depth(nn.Module):
    """Three convolutions: how far away every pixel is."""

    def __init__(self, width: int, inner: int = 32, project: int = 0) -> None:
        """Build it.

        Args:
            width: of the map.
            inner: of what lies before the depths.
            project: of a convolution before all others, and of its result; 0: there is none.
        """
        super().__init__()
        self.project = Convolution(project, project, 3, padding=1) if project else None
        self.first = Convolution(width, width // 2, 3, padding=1)
        self.second = Convolution(width // 2, inner, 3, padding=1)
        self.out = Convolution(inner, 1, 1)

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        """(B, D, height, width) → (B, height, width), stretched to a size, or to the double."""
        if self.project is not None:
            x = F.relu(self.project(x))
        x = self.first(x)
        size = (2 * x.shape[2], 2 * x.shape[3]) if size is None else size
        x = F.interpolate(x, size, mode="bilinear", align_corners=True)
        return self.out(F.relu(self.second(x)))[:, 0]


class Classes(nn.Module):
    """Two convolutions: the scores of every pixel's classes."""

    def __init__(self, width: int, labels: int, dropout: float) -> None:
        super().__init__()
        self.first = ConvNorm(width, width, 3, act="relu")
        self.dropout = nn.Dropout(dropout)
        self.out = Convolution(width, labels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, height, width) → (B, labels, height, width)."""
        return self.out(self.dropout(self.first(x)))


def classes_loss(
    logits: Sequence[Tensor], weights: Sequence[float], labels: Tensor, ignored: int
) -> Any:
    """Cross-entropy of scores (B, C, …) stretched to labels (B, height, width), weighted."""
    total: Any = 0
    for scores, weight in zip(logits, weights, strict=True):
        large = F.interpolate(scores, labels.shape[-2:], mode="bilinear", align_corners=False)
        total = total + weight * F.cross_entropy(large, labels, ignore_index=ignored)
    return total


class FusedHead(PatchHead):
    """Reads the states of several layers of a stack, or the maps of a backbone, fused."""

    def __init__(self, neck: Neck, layers: Sequence[int], patch: tuple[int, int]) -> None:
        """Build it.

        Args:
            neck: fuses states or maps.
            layers: of the stack, 0 the embedded image; none where there is a backbone.
            patch: height and width of the patches of a backbone's images.
        """
        super().__init__()
        self.neck, self.layers, self.patch = neck, tuple(layers), patch

    def read(self, sight: Sight) -> dict[str, Any]:
        """Return the fields of the result."""
        further = sight.inputs.further
        states = [sight.rows(sight.states[index]) for index in self.layers]
        finer = list(further.get("maps", ()))[:2]  # of a backbone before the patches
        return self.made(self.neck(finer + states, further["sides"]), sight.given)

    def forward(self, found: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the result."""
        height, width = given["pixel_values"].shape[2:]
        sides = (height // self.patch[0], width // self.patch[1])
        return self.made(self.neck(found["feature_maps"], sides), given)

    def made(self, maps: Sequence[Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the fields of the result, of fused maps."""
        raise NotImplementedError


class DepthHead(FusedHead):
    """How far away every pixel is."""

    fields = ("loss", "predicted_depth", "hidden_states", "attentions")
    of_patches = False  # depths have the size of the patches, not twice that of the last map

    def __init__(
        self, neck: Neck, layers: Sequence[int], patch: tuple[int, int], depth: Depth, which: int
    ) -> None:
        super().__init__(neck, layers, patch)
        self.depth, self.which = depth, which
        self.bounded = False  # whether depths end somewhere
        self.scale = 1.0

    def made(self, maps: Sequence[Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return predicted_depth (B, height, width).

        Raises:
            ArgumentError: there are labels, for which nobody published a loss.
        """
        if given.get("labels") is not None:
            raise ArgumentError("there is no published loss of depths: compute yours from them")
        size = None
        if self.of_patches:
            pairs = zip(given["pixel_values"].shape[2:], self.patch, strict=True)
            size = tuple(side // patch * patch for side, patch in pairs)
        depths = self.depth(maps[self.which], size)
        depths = depths.sigmoid() if self.bounded else F.relu(depths)
        return {"predicted_depth": depths * self.scale}


class ClassesHead(FusedHead):
    """Scores of every pixel's classes, and of the same by another map's while training."""

    fields = ("loss", "logits", "hidden_states", "attentions")

    def __init__(self, neck: Neck, layers: Sequence[int], config: Config) -> None:
        super().__init__(neck, layers, (1, 1))
        width, labels = config.fusion_hidden_size, int(config.num_labels)
        self.config, self.which = config, int(config.head_in_index)
        self.classes = Classes(width, labels, config.semantic_classifier_dropout)
        self.second = Classes(width, labels, 0.1) if config.use_auxiliary_head else None

    def made(self, maps: Sequence[Tensor], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return loss, logits (B, labels, height, width)."""
        logits = self.classes(maps[self.which])
        size = (2 * logits.shape[2], 2 * logits.shape[3])
        logits = F.interpolate(logits, size, mode="bilinear", align_corners=True)
        labels = given.get("labels")
        if labels is None:
            return {"logits": logits}
        scores, weights = [logits], [1.0]
        if self.second is not None:
            scores.append(self.second(maps[-1]))
            weights.append(self.config.auxiliary_loss_weight)
        ignored = self.config.semantic_loss_ignore_index
        return {"logits": logits, "loss": classes_loss(scores, weights, labels, ignored)}
