"""Classes of pixels: feature maps → scores of every pixel, and with labels the loss."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from armature.config import Config
from armature.errors import ArgumentError
from armature.layers.pyramid_pooling import ConvolutionDecoder, FourSizes, PyramidDecoder, resized
from armature.outputs.images import PatchHead, Sight


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
        if labels.dim() != 3:
            raise ArgumentError(
                f"labels has the shape {tuple(labels.shape)}: give the class of each pixel, "
                "(B, height, width)"
            )
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
