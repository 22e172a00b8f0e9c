"""Classes of pixels: feature maps → scores of labels for each place of an image, and the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.config import Config
from armature.errors import ArgumentError
from armature.layers.linear import Linear
from armature.layers.pyramid_pooling import (
    ConvolutionDecoder,
    FourSizes,
    PyramidDecoder,
    resized,
)
from armature.outputs import losses
from armature.outputs.images import PatchHead, Sight, StageHead


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
        _check(labels)
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


class PixelClasses(nn.Module):
    """A decoder of four maps, and perhaps another one of the third alone, for its loss only."""

    def __init__(self, config: Config, channels: Sequence[int], ignored: int) -> None:
        """Build them as the config says.

        Args:
            config: read for the width and the number of labels, and for both decoders.
            channels: of each map.
            ignored: the label of pixels that do not count.
        """
        super().__init__()
        labels = int(config.num_labels)
        self.ignored, self.share = ignored, config.auxiliary_loss_weight
        self.decode = PyramidDecoder(channels, config.hidden_size, config.pool_scales, labels)
        self.second = None
        if config.use_auxiliary_head:
            self.second = ConvolutionDecoder(
                config.get("auxiliary_in_channels") or channels[2],
                config.auxiliary_channels,
                config.auxiliary_num_convs,
                labels,
                rejoin=config.auxiliary_concat_input,
            )

    def forward(self, maps: Sequence[Tensor], labels: Tensor | None) -> dict[str, Any]:
        """Maps, labels (B, height, width) → loss, logits (B, labels, …) of the first map's size."""
        logits, loss = self.decode(maps), None
        if labels is not None:
            loss = self.loss(logits, labels)
            if self.second is not None:
                loss = loss + self.share * self.loss(self.second(maps[2]), labels)
        return {"loss": loss, "logits": logits}

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of pixels: scores (B, labels, …) stretched to labels (B, height, width)."""
        _check(labels)
        if logits.shape[1] == 1:
            raise ArgumentError(
                "config.num_labels is 1, but pixels of one class alone teach nothing: set it to "
                "the number of classes"
            )
        wide = resized(logits, labels)
        return F.cross_entropy(wide, labels.to(logits.device), ignore_index=self.ignored)


class StretchedClasses(nn.Module):
    """Reads the maps of a backbone; scores are stretched to the images' size."""

    fields = ("loss", "logits", "hidden_states", "attentions")

    def __init__(self, classes: PixelClasses) -> None:
        super().__init__()
        self.classes = classes

    def forward(self, found: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return loss, logits (B, labels, height, width)."""
        made = self.classes(found["feature_maps"], given.get("labels"))
        return made | {"logits": resized(made["logits"], given["pixel_values"])}


class LayersClasses(PatchHead):
    """Reads the states of four layers of a stack, or of three: then the last one's twice."""

    fields = ("loss", "logits", "hidden_states", "attentions")

    def __init__(self, config: Config, layers: tuple[int, ...], ignored: int) -> None:
        """Build it for these layers and the label of pixels that do not count."""
        super().__init__()
        self.layers = layers
        self.neck = FourSizes(config.hidden_size)
        self.classes = PixelClasses(config, [config.hidden_size] * 4, ignored)

    def read(self, sight: Sight) -> dict[str, Any]:
        """Return loss, logits (B, labels, height, width)."""
        maps = [sight.map(sight.states[index]) for index in self.layers]
        made = self.neck([*maps, maps[-1]])[: len(maps)]
        return self.classes((*made, made[-1])[:4], sight.given.get("labels"))


def _check(labels: Tensor) -> None:
    if labels.dim() != 3:
        raise ArgumentError(
            f"labels have the shape {tuple(labels.shape)}: give the class of each pixel, "
            "(B, height, width)"
        )
