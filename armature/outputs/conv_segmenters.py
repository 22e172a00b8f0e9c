"""Segmenters of convolutions: an encoder, a decoder, and what scores every pixel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from armature.config import Config
from armature.errors import ArgumentError, ConfigError
from armature.layers.linear import Linear
from armature.layers.patches import Convolution, Images, checked
from armature.model.call import Asked
from armature.model.composite import Composite
from armature.model.conv_encoder import ConvEncoder

ACTIVATIONS: dict[str | None, Callable[[Tensor], Tensor]] = {
    None: lambda x: x,
    "identity": lambda x: x,
    "sigmoid": lambda x: x.sigmoid(),
    "softmax": lambda x: x.softmax(1),
    "softmax2d": lambda x: x.softmax(1),
    "logsoftmax": lambda x: x.log_softmax(1),
    "argmax2d": lambda x: x.argmax(1),
    "clamp": lambda x: x.clamp(0, 1),
    "tanh": lambda x: x.tanh(),
}


def activated(name: str | None) -> Callable[[Tensor], Tensor]:
    """Return what becomes of scores.

    Raises:
        ConfigError: there is no such thing.
    """
    if name not in ACTIVATIONS:
        raise ConfigError(f"config.json: the activation {name!r} is not known here")
    return ACTIVATIONS[name]


class ConvSegmenter(Composite):
    """An encoder's maps, decoded to one."""

    fields = ("last_hidden_state", "feature_maps")

    def __init__(self, encoder: ConvEncoder, decode: Callable[..., Any], c: Config) -> None:
        """Build it.

        Args:
            encoder: makes the maps.
            decode: makes the decoder of the config and the channels of all maps.
            c: the config.
        """
        super().__init__()
        self.encoder = encoder
        self.depth = int(c.encoder_depth)
        self.channels = self.encoder.channels[: self.depth + 1]
        coarsest = int(c.get("encoder_output_stride") or 32)
        self.stride = min(2**self.depth, coarsest)
        self.encoder.dilate(coarsest)
        self.decoder = decode(c, self.channels)
        self.width = self.decoder.width
        self.any_size = False  # whether images need not be multiples of the stride

    @property
    def stack(self) -> Any:
        """The body that embeds images."""
        return self.encoder

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return the fields of the result for a call's arguments, and what heads read beside."""
        pixels = checked(Images.of(given).pixels, self.encoder.patch.weight)
        if not self.any_size and any(side % self.stride for side in pixels.shape[2:]):
            raise ArgumentError(
                f"images of {pixels.shape[2]} × {pixels.shape[3]} pixels do not suit this model: "
                f"make both sides multiples of {self.stride}"
            )
        maps = self.encoder(pixels, self.depth)
        return {"last_hidden_state": self.decoder(maps), "feature_maps": tuple(maps[1:])}


class PixelScores(nn.Module):
    """Scores of every pixel's classes, and perhaps of the whole image's."""

    fields = ("loss", "logits", "class_logits", "feature_maps")

    def __init__(self, c: Config, body: ConvSegmenter, side: int, stretch: int) -> None:
        """Build it.

        Args:
            c: the config.
            body: what makes the map.
            side: of the convolution that scores it.
            stretch: how many times larger the scores are than the map.
        """
        super().__init__()
        classes, self.stretch = int(c.num_labels), stretch
        self.out = Convolution(body.width, classes, side, padding=side // 2)
        self.act = activated(c.get("activation"))
        whole = c.get("aux_params")
        self.whole = None
        if whole:
            self.whole = Linear(body.channels[-1], int(whole["classes"]))
            self.pool = whole.get("pooling", "avg")
            self.dropout = nn.Dropout(whole.get("dropout", 0.2) or 0.0)
            self.whole_act = activated(whole.get("activation"))

    def forward(self, found: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """Return loss, logits (B, classes, height, width), and class_logits (B, labels)."""
        scores = self.out(found["last_hidden_state"])
        if self.stretch > 1:
            size = (scores.shape[2] * self.stretch, scores.shape[3] * self.stretch)
            scores = F.interpolate(scores, size, mode="bilinear", align_corners=True)
        made: dict[str, Any] = {"logits": self.act(scores)}
        if self.whole is not None:
            last = found["feature_maps"][-1]
            pooled = last.mean((2, 3)) if self.pool == "avg" else last.amax((2, 3))
            made["class_logits"] = self.whole_act(self.whole(self.dropout(pooled)))
        labels = given.get("labels")
        if labels is not None and scores.shape[1] == 1:
            made["loss"] = F.binary_cross_entropy_with_logits(scores[:, 0], labels.to(scores))
        elif labels is not None:
            made["loss"] = F.cross_entropy(scores, labels, ignore_index=255)
        return made
