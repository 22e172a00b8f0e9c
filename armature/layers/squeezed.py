"""Squeezed sounds: several frames are one token of the blocks, and frames again behind them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.batch import Layout
from armature.layers.embed import Inputs
from armature.layers.linear import Linear
from armature.layers.sound import LENGTHS, MASKED, REAL, Parts, Sounds


class Squeezed(Sounds):
    """The mean of several frames is a token; at last each becomes several again."""

    def __init__(self, factor: int, width: int, parts: Parts, *, masked: bool) -> None:
        super().__init__(width, parts, masked=masked)
        self.factor, self.spread = factor, Linear(width, width * factor)
        if self.frames.width == width:
            self.project: Any = nn.Identity()

    def open(self, given: Mapping[str, Any]) -> Inputs:
        """Return the inputs of a call with waveforms, (B, S): a row of squeezed frames for each."""
        inputs = super().open(given)
        frames, further = inputs.layout.width, inputs.further
        count, rows = frames // self.factor, inputs.layout.rows
        self._enough(count)
        inputs.layout = replace(inputs.layout, lengths=(count,) * rows, width=count)
        further["frames"] = frames
        if REAL in further:
            tokens = -(-further[LENGTHS] // self.factor)
            shown = torch.arange(count, device=tokens.device) < tokens[:, None]
            further["whole"] = further[REAL]
            further[REAL] = Layout.of(shown, (rows, count), inputs.layout.device)
        return inputs

    def forward(self, inputs: Inputs) -> Tensor:
        """Waveforms → (N, D)."""
        further, count = inputs.further, inputs.layout.width
        x = self.frames(further["values"])
        assert self.norm_in is not None
        x = self.norm_in(x)
        x = self._hide(self.project(x), further[MASKED], further[LENGTHS])
        whole: Layout | None = further.get("whole")
        if whole is not None:
            x = x.masked_fill(~whole.mask[..., None], 0.0)
        few = F.avg_pool1d(x.transpose(1, 2), self.factor).transpose(1, 2)  # (B, T', D)
        few = few + self.places(x)[:, :count]
        return self.dropout(few if self.norm is None else self.norm(few)).flatten(0, 1)

    def leave(self, x: Tensor, inputs: Inputs) -> Tensor:
        """Last states (N, D) → those of all frames, zero where the last ones make no token."""
        frames, rows = inputs.further["frames"], inputs.layout.rows
        act: Any = self.places.act
        wide = act(self.spread(x)).unflatten(0, (rows, -1)).unflatten(2, (self.factor, -1))
        wide = wide.flatten(1, 2)
        inputs.layout = replace(inputs.layout, lengths=(frames,) * rows, width=frames)
        return F.pad(wide, (0, 0, 0, frames - wide.shape[1])).flatten(0, 1)
