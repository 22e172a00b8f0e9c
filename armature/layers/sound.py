"""Sound: a waveform → frames made by convolutions, projected and placed: tokens of a sequence.

Padding stays among the tokens here, hidden from attention: convolutions that come after the blocks
(adapters, speakers' vectors) read a few frames past the end of a sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers import kernels
from armature.layers.attention import SelfAttention
from armature.layers.context import Context
from armature.layers.embed import Inputs
from armature.layers.filters import Adapter, Frames
from armature.layers.kernels import Rule
from armature.layers.linear import Linear
from armature.layers.spans import Spans

REAL = "real"  # of an input's further things: the layout of the frames that are no padding
LENGTHS = "lengths"  # (B,) how many frames each sound has
FEATURES = "features"  # (B, T, C) what the convolutions made, normed
MASKED = "mask_time_indices"  # the argument of a call that hides frames


@dataclass(frozen=True)
class Parts:
    """What embeddings of sounds are made of."""

    frames: Frames
    norm_in: nn.Module | None  # of what the convolutions made
    places: nn.Module
    norm: nn.Module | None
    adapter: Adapter | None = None
    spans: Spans | None = None  # which frames are hidden while training; None: never any


class Sounds(nn.Module):
    """A waveform as the tokens of a sequence: a frame each, some perhaps hidden."""

    of_task = ("mask",)  # a checkpoint that no training hides frames of lacks it
    bare = True  # the last states that callers see are those before the norm
    takes = ("input_values", "attention_mask", MASKED)

    def __init__(self, width: int, parts: Parts, *, masked: bool) -> None:
        super().__init__()
        self.frames, self.norm_in, self.places = parts.frames, parts.norm_in, parts.places
        self.norm, self.adapter, self.spans = parts.norm, parts.adapter, parts.spans
        self.width, self.dropout = width, nn.Dropout(0.0)
        self.project = Linear(self.frames.width, width)
        self.mask = nn.Parameter(torch.empty(width)) if masked else None

    @torch.no_grad()
    def compute(self, mask: Tensor) -> None:
        """Fill a fresh vector for hidden frames."""
        mask.uniform_()

    def open(self, given: Mapping[str, Any]) -> Inputs:
        """Return the inputs of a call with waveforms, (B, S): a row of frames for each.

        Raises:
            ArgumentError: there is no sound, or one that is too short for a frame.
        """
        values = self._checked(given.get("input_values"))
        count = self.frames.lengths(values.shape[1])
        self._enough(count)
        layout = Layout((count,) * len(values), count, values.device)
        inputs = Inputs(layout, further={"values": values, MASKED: given.get(MASKED)})
        mask, lengths = given.get("attention_mask"), torch.full((len(values),), count)
        if mask is not None:
            if mask.shape != values.shape:
                raise ArgumentError(
                    f"attention_mask has the shape {tuple(mask.shape)}, but input_values has "
                    f"{tuple(values.shape)}: give one number, 1 or 0, for each sample"
                )
            lengths = self.frames.lengths(mask.long().sum(1))
            if not torch.compiler.is_compiling():
                self._enough(int(lengths.min()))
            shown = torch.arange(count, device=mask.device) < lengths[:, None]
            inputs.further[REAL] = Layout.of(shown, (len(values), count), values.device)
        inputs.further[LENGTHS] = lengths
        return inputs

    def shrink(self, mask: Tensor, width: int) -> Tensor:
        """Return which of `width` last states are real (B, width), of a mask (B, S) of samples."""
        lengths = self.frames.lengths(mask.long().sum(1))
        lengths = lengths if self.adapter is None else self.adapter.lengths(lengths)
        return (torch.arange(width, device=mask.device) < lengths[:, None]).long()

    def _checked(self, values: Tensor | None) -> Tensor:
        if values is None:
            raise ArgumentError("give input_values: a batch of waveforms from the processor")
        if values.dim() != 2 or not values.is_floating_point() or not values.numel():
            raise ArgumentError(
                f"input_values has the shape {tuple(values.shape)} and holds {values.dtype}: give "
                "a batch of waveforms (B, samples), as the checkpoint's feature extractor makes it"
            )
        return values.to(next(self.frames.parameters()).dtype)

    def _enough(self, count: int) -> None:
        if count < 1:
            raise ArgumentError("a sound is too short: its samples make no whole frame")

    def forward(self, inputs: Inputs) -> Tensor:
        """Waveforms → (N, D)."""
        further = inputs.further
        x = self.frames(further["values"])  # (B, T, C)
        x = x if self.norm_in is None else self.norm_in(x)
        further[FEATURES] = x
        real: Layout | None = further.get(REAL)
        x = self._hide(self.project(x), further[MASKED], further[LENGTHS])
        if real is not None:
            x = x.masked_fill(~real.mask[..., None], 0.0)
        x = x + self.places(x)
        return self.dropout(x if self.norm is None else self.norm(x)).flatten(0, 1)

    def _hide(self, x: Tensor, masked: Tensor | None, lengths: Tensor) -> Tensor:
        """Put the trained vector in the place of hidden frames; hide some while training."""
        if self.spans is None:
            return x
        if self.mask is None:
            if masked is not None:
                raise ArgumentError(
                    f"{MASKED} hides frames, but this model has no vector to stand for them: its "
                    "config's mask_time_prob and mask_feature_prob are 0"
                )
            return x
        if masked is None and self.training:
            masked = self.spans.of_frames(x, lengths)
        if masked is not None:
            x = torch.where(masked.to(x.device)[..., None] > 0, self.mask.to(x.dtype), x)
        channels = self.spans.of_channels(x) if self.training else None
        return x if channels is None else x.masked_fill(channels[:, None], 0.0)

    def leave(self, x: Tensor, inputs: Inputs) -> Tensor:
        """Last states (N, D) → what the adapter makes of them, and its layout, if there is one."""
        if self.adapter is None:
            return x
        x = self.adapter(inputs.layout.unpack(x))
        inputs.layout = Layout((x.shape[1],) * len(x), x.shape[1], x.device)
        inputs.further[LENGTHS] = self.adapter.lengths(inputs.further[LENGTHS])
        return x.flatten(0, 1)


class SoundsTold(Sounds):
    """A call tells the features that the convolutions made, too."""

    def forward(self, inputs: Inputs) -> Tensor:
        """Waveforms → (N, D)."""
        x = super().forward(inputs)
        inputs.further["told"] = {"extract_features": inputs.further[FEATURES]}
        return x

    @staticmethod
    def answers(found: Mapping[str, Any]) -> dict[str, str]:
        """Tell the features beside the states."""
        return {"last_hidden_state": "extract_features"}


class HearingAttention(SelfAttention):
    """Attention of all frames, padding too, to those that are no padding."""

    def _mix(self, q: Tensor, k: Tensor, v: Tensor, context: Context, rule: Rule) -> Tensor:
        keys: Layout | None = context.shared.get(REAL)
        if keys is None:
            return super()._mix(q, k, v, context, rule)
        k, v = k[_places(keys)], v[_places(keys)]
        if context.layer in context.record.attentions:
            shares = kernels.weights(q, k, context.layout, keys, rule)
            context.record.kept_attentions[context.layer] = shares
        return kernels.attend(q, k, v, context.layout, keys, rule)


def _places(layout: Layout) -> Any:
    return slice(None) if layout.index is None else layout.index
