"""Frames: a sound's spectrum over time, made shorter and embedded by convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers.embed import Inputs
from armature.layers.filters import Convolution
from armature.layers.position import Learned
from armature.layers.sound import LENGTHS
from armature.layers.spans import Spans


class Waves(nn.Module):
    """A table of positions (rows, D) that begins with sines and cosines and that files hold."""

    def __init__(self, rows: int, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(rows, width), requires_grad=False)

    def compute(self, weight: Tensor) -> None:
        """Fill the table."""
        rows, width = weight.shape
        speeds = torch.exp(torch.arange(width // 2) * -(math.log(10000) / max(width // 2 - 1, 1)))
        angles = torch.arange(rows)[:, None] * speeds
        weight.zero_()
        weight[:, : 2 * (width // 2)] = torch.cat((angles.sin(), angles.cos()), 1)


class Frames(nn.Module):
    """Base of the front ends: frames of a spectrum, made fewer, as packed tokens."""

    takes: tuple[str, ...] = ("input_features", "attention_mask")
    convs: Any  # one after another

    def __init__(self, sizes: list[tuple[int, int, int, int]]) -> None:
        """Build convolutions of these sizes: channels in and out, kernel, stride."""
        super().__init__()
        self.convs = nn.ModuleList(
            Convolution(a, b, kernel, stride=stride, padding=kernel // 2)
            for a, b, kernel, stride in sizes
        )
        self.dropout = nn.Dropout(0.0)
        self.width = 0  # of the states that leave here

    def shorter(self, lengths: Any) -> Any:
        """Return how many frames are left of so many."""
        for conv in self.convs:
            lengths = (lengths - 1) // conv.stride[0] + 1
        return lengths

    def shrink(self, mask: Tensor, width: int) -> Tensor | None:
        """Return which of `width` embedded frames are real (B, width), of a mask (B, T)."""
        return (torch.arange(width, device=mask.device) < self.shorter(mask.sum(1))[:, None]).long()

    def _checked(self, features: Tensor | None, bands: int, axis: int) -> Tensor:
        """Return features (B, …) of a call.

        Raises:
            ArgumentError: there are none, or of another number of frequency bands.
        """
        if features is None:
            raise ArgumentError("give input_features: a batch of sounds from the feature extractor")
        if features.dim() != 3 or features.shape[axis] != bands or not features.numel():
            wanted = f"(B, {bands}, frames)" if axis == 1 else f"(B, frames, {bands})"
            raise ArgumentError(
                f"input_features has the shape {tuple(features.shape)}: give {wanted}, as the "
                "checkpoint's feature extractor makes them"
            )
        return features.to(self.convs[0].weight.dtype)


class GatedFrames(Frames):
    """Convolutions with gates (Synnaeve et al., 2019), padding left out behind them."""

    def __init__(
        self, sizes: list[tuple[int, int, int, int]], scale: float, position: Learned | None
    ) -> None:
        super().__init__(sizes)
        self.width, self.scale, self.position = sizes[-1][1] // 2, scale, position

    def open(self, given: Mapping[str, Any]) -> Inputs:
        """Return the inputs of a call with spectra (B, T, bands): a row for each."""
        bands = self.convs[0].in_channels
        features = self._checked(given.get("input_features"), bands, 2)
        width = features.shape[1]
        for conv in self.convs:
            width = (width + 2 * (conv.kernel_size[0] // 2) - conv.kernel_size[0]) // 2 + 1
        mask = given.get("attention_mask")
        mask = None if mask is None else self.shrink(mask.to(features.device), width)
        layout = Layout.of(mask, (len(features), width), features.device)
        return Inputs(layout, further={"features": features})

    def forward(self, inputs: Inputs) -> Tensor:
        """Spectra → (N, D)."""
        x = inputs.further["features"].transpose(1, 2)
        for conv in self.convs:
            x = F.glu(conv(x), dim=1)
        layout = inputs.layout
        x = layout.pack(self.scale * x.transpose(1, 2))
        if self.position is not None:
            x = x + self.position(layout.counts).to(x.dtype)
        return self.dropout(x)


class WholeFrames(Frames):
    """Convolutions with GELU over pieces of one length, silence included, in trained places."""

    def __init__(
        self, sizes: list[tuple[int, int, int, int]], rows: int, spans: Spans | None = None
    ) -> None:
        super().__init__(sizes)
        self.width, self.spans = sizes[-1][1], spans
        self.position = Waves(rows, self.width)
        self.strides = math.prod(conv.stride[0] for conv in self.convs)

    def open(self, given: Mapping[str, Any]) -> Inputs:
        """Return the inputs of a call with spectra (B, bands, T): a row for each.

        Raises:
            ArgumentError: they do not have the one length that the model reads.
        """
        features = self._checked(given.get("input_features"), self.convs[0].in_channels, 1)
        rows = self.position.weight.shape[0]
        if features.shape[2] != rows * self.strides:
            raise ArgumentError(
                f"input_features has {features.shape[2]} frames, but the model reads pieces of "
                f"{rows * self.strides}: let the feature extractor pad or cut sounds to that"
            )
        layout = Layout((rows,) * len(features), rows, features.device)
        lengths = torch.full((len(features),), rows)
        return Inputs(layout, further={"features": features, LENGTHS: lengths})

    def shrink(self, mask: Tensor, width: int) -> None:
        """Return None: silence is read, too."""

    def forward(self, inputs: Inputs) -> Tensor:
        """Spectra → (N, D)."""
        x = inputs.further["features"]
        x = self._hidden(x) if self.training and self.spans is not None else x
        for conv in self.convs:
            x = F.gelu(conv(x))
        x = x.transpose(1, 2) + self.position.weight
        return self.dropout(x.flatten(0, 1))

    def _hidden(self, x: Tensor) -> Tensor:
        """Make some frames and some bands of spectra (B, bands, T) zero."""
        assert self.spans is not None
        frames = x.transpose(1, 2)
        times = self.spans.of_frames(frames, torch.full((len(x),), x.shape[2]))
        bands = self.spans.of_channels(frames)
        x = x if times is None else x.masked_fill(times.to(x.device)[:, None], 0.0)
        return x if bands is None else x.masked_fill(bands.to(x.device)[..., None], 0.0)
