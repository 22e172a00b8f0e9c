"""Places: the maps of all stages → scores of labels for each place of an image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.errors import ArgumentError
from armature.layers.linear import Linear
from armature.outputs import losses
from armature.outputs.images import StageHead


class Segments(StageHead):
    """Scores by whatever reads the maps, and their loss."""

    fields = ("loss", "logits", "hidden_states", "attentions")

    def __init__(self, net: nn.Module, ignored: int) -> None:
        super().__init__()
        self.net, self.ignored = net, ignored

    def forward(self, maps: list[Tensor], labels: Tensor | None) -> dict[str, Tensor | None]:
        """Maps (B, C, height, width) of all stages → loss, logits (B, labels, h, w)."""
        logits = self.net(maps)
        if labels is None:
            return {"loss": None, "logits": logits}
        if labels.dim() != 3:
            raise ArgumentError(
                f"labels have the shape {tuple(labels.shape)}: give one for each place of an "
                "image, (B, height, width)"
            )
        return {"loss": losses.places(logits, labels, self.ignored), "logits": logits}


class Spread(nn.Module):
    """One vector for a whole map, as large as the map again."""

    def __init__(self, inner: nn.Module, *, corners: bool) -> None:
        super().__init__()
        self.inner, self.corners = inner, corners

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, D, height, width)."""
        one = self.inner(x.mean((2, 3), keepdim=True))
        size = (x.shape[2], x.shape[3])
        return F.interpolate(one, size, mode="bilinear", align_corners=self.corners)


class Atrous(nn.Module):
    """One map seen at several scales, side by side, then joined (Chen et al., 2017)."""

    def __init__(
        self, views: list[nn.Module], join: nn.Module, out: nn.Module, rates: tuple[float, float]
    ) -> None:
        super().__init__()
        self.views = nn.ModuleList(views)
        self.join, self.out = join, out
        self.dropout_join, self.dropout = nn.Dropout(rates[0]), nn.Dropout2d(rates[1])

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps of all stages, of which it reads the last → (B, labels, height, width)."""
        x = self.join(torch.cat([view(maps[-1]) for view in self.views], 1))
        return self.out(self.dropout(self.dropout_join(x)))


class ChannelMap(Linear):
    """One linear map of the channels at each place."""

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, height, width) → (B, D, height, width)."""
        return super().forward(input.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Fused(nn.Module):
    """All maps made alike, stretched to the first one's size, and joined (Xie et al., 2021)."""

    def __init__(
        self, alike: list[Callable[[Tensor], Tensor]], join: nn.Module, out: nn.Module, rate: float
    ) -> None:
        super().__init__()
        modules: list[Any] = alike
        self.alike = nn.ModuleList(modules)
        self.join, self.out = join, out
        self.dropout = nn.Dropout(rate)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Maps of all stages → (B, labels, height, width) of the first."""
        size = (maps[0].shape[2], maps[0].shape[3])
        made = [
            F.interpolate(one(x), size, mode="bilinear", align_corners=False)
            for one, x in zip(self.alike, maps, strict=True)
        ]
        return self.out(self.dropout(self.join(torch.cat(made[::-1], 1))))
