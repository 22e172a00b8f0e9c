"""Spans: stretches of frames and channels that are hidden while training (Park et al., 2019)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Spans:
    """How much is hidden: a share, in stretches so long, and so many of them at least."""

    frames: tuple[float, int, int]
    channels: tuple[float, int, int]

    def of_frames(self, x: Tensor, lengths: Tensor) -> Tensor | None:
        """(B, T, D) of so many frames each → (B, T) what is hidden; None: nothing ever is."""
        if self.frames[0] <= 0:
            return None
        return _spans(*self.frames, x.shape[1], lengths.tolist()).to(x.device)

    def of_channels(self, x: Tensor) -> Tensor | None:
        """(B, T, D) → (B, D) what is hidden; None: nothing ever is."""
        if self.channels[0] <= 0:
            return None
        return _spans(*self.channels, x.shape[2], [x.shape[2]] * len(x)).to(x.device)


def _spans(share: float, each: int, least: int, width: int, lengths: list[int]) -> Tensor:
    """Return (B, width) truths: in every row stretches at places drawn at random."""
    hidden, more = torch.zeros(len(lengths), width, dtype=torch.bool), float(torch.rand(()))
    for row, length in zip(hidden, lengths, strict=True):
        count = max(int(share * length / each + more), least)
        places = torch.randperm(max(length - each + 1, 0))[: min(count, width // each)]
        for place in places.tolist():
            row[place : place + each] = True
    return hidden
