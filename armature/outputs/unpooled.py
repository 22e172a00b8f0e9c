"""Unpooled: maps shrink to their largest numbers, and grow by putting them back to their places.

(Badrinarayanan et al., 2015)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from armature.errors import ArgumentError
from armature.layers.conv import BatchNorm
from armature.layers.patches import Convolution, Images, checked
from armature.model.call import Asked
from armature.model.composite import Composite
from armature.outputs import losses


class Unit(nn.Module):
    """A convolution with a bias, a norm and a rectifier."""

    def __init__(self, inputs: int, outputs: int, eps: float, momentum: float) -> None:
        super().__init__()
        self.conv = Convolution(inputs, outputs, 3, padding=1)
        self.norm = BatchNorm(outputs, eps, momentum)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, D, height, width)."""
        return self.norm(self.conv(x)).relu()


class Unpooled(Composite):
    """Stages of convolutions down, and the same back up; the last convolution is a head's."""

    fields = ("last_hidden_state",)

    def __init__(
        self,
        channels: int,
        widths: Sequence[int],
        depths: Sequence[int],
        eps: float,
        momentum: float,
    ) -> None:
        """Build it.

        Args:
            channels: of images.
            widths: of each stage's maps, the finest first.
            depths: how many convolutions each stage has.
            eps: of norms.
            momentum: of norms.
        """
        super().__init__()
        norm = (eps, momentum)
        above = [channels, *widths]
        self.encoder = nn.ModuleList()
        self.decoder = nn.ModuleList()
        for index, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            sizes = [above[index], *[width] * depth]
            down = [Unit(a, b, *norm) for a, b in pairwise(sizes)]
            up = [Unit(b, a, *norm) for a, b in pairwise(sizes)]
            self.encoder.append(nn.ModuleList(down))
            self.decoder.append(nn.ModuleList(up[::-1] if index else up[:0:-1]))
        for part in self.decoder.modules():  # files of classifiers lack the way up
            part.of_task = (*part._parameters, *getattr(part, "needed", ()))  # type: ignore[assignment]
        self.width = widths[0]

    @property
    def stack(self) -> Any:
        """What embeds images."""
        return self

    @property
    def embed(self) -> Any:
        """What embeds images."""
        return self

    @property
    def patch(self) -> Convolution:
        """The convolution that reads pixels."""
        return self.encoder[0][0].conv  # type: ignore[index, return-value]

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return the map that a head scores, (B, D, height, width).

        Raises:
            ArgumentError: an image is too small.
        """
        x = checked(Images.of(given).pixels, self.patch.weight)
        least = 2 ** len(self.encoder)
        if min(x.shape[2:]) < least:
            raise ArgumentError(
                f"images of {x.shape[2]} × {x.shape[3]} pixels are too small for this model: give "
                f"such of {least} × {least} at least"
            )
        places = []
        for stage in self.encoder:
            for unit in stage:  # type: ignore[union-attr]
                x = unit(x)
            size = x.shape[2:]
            x, where = F.max_pool2d(x, 2, return_indices=True)
            places.append((where, size))
        for stage, (where, size) in zip(reversed(self.decoder), reversed(places), strict=True):
            x = F.max_unpool2d(x, where, (2, 2), output_size=size)
            for unit in stage:  # type: ignore[union-attr]
                x = unit(x)
        return {"last_hidden_state": x}


class Scores(nn.Module):
    """Scores of every pixel's classes, of which rare ones may count more."""

    fields = ("loss", "logits")

    def __init__(
        self, width: int, labels: int, ignored: int, weights: Sequence[float] | None
    ) -> None:
        super().__init__()
        self.out = Convolution(width, labels, 3, padding=1)
        self.ignored, self.weights = ignored, weights

    def forward(self, found: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return loss, logits (B, labels, height, width)."""
        logits, labels = self.out(found["last_hidden_state"]), given.get("labels")
        if labels is None:
            return {"logits": logits}
        if labels.dim() != 3:
            raise ArgumentError(
                f"labels have the shape {tuple(labels.shape)}: give one for each pixel of an "
                "image, (B, height, width)"
            )
        if self.weights is None:
            return {"loss": losses.places(logits, labels, self.ignored), "logits": logits}
        shares = logits.new_tensor(self.weights)
        loss = F.cross_entropy(logits, labels.to(logits.device), shares, ignore_index=self.ignored)
        return {"loss": loss, "logits": logits}
