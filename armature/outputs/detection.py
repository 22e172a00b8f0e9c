"""Detection: what each query found → its label, its box and its mask."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.config import Config
from armature.layers.act import activation
from armature.layers.linear import Linear
from armature.layers.patches import Convolution
from armature.layers.queries import Perceptron
from armature.outputs.box_losses import Matching

_SEEN = (
    "auxiliary_outputs",
    "last_hidden_state",
    "decoder_hidden_states",
    "decoder_attentions",
    "cross_attentions",
    "encoder_last_hidden_state",
    "encoder_hidden_states",
    "encoder_attentions",
)


class BoxHead(nn.Module):
    """A label and a box for each query."""

    fields: tuple[str, ...] = ("loss", "loss_dict", "logits", "pred_boxes", *_SEEN)

    def __init__(self, config: Config, width: int, kind: type[Matching], classes: int) -> None:
        """Build it for queries of a width; `kind` says how labels are matched."""
        super().__init__()
        self.labels = Linear(width, classes)
        self.boxes = Perceptron(width, width, width, 4)
        self.matching = kind(config)
        self.numbered = bool(config.get("auxiliary_loss", False))

    def forward(self, found: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
        """States (B, Q, D) → scores (B, Q, classes) and boxes (B, Q, 4), and their loss."""
        made: dict[str, Any] = self.read(found["last_hidden_state"], found) | self.masks(found)
        if given.get("labels") is None:
            return made
        further = []
        if self.numbered:
            steps = found["intermediate_hidden_states"]
            further = [self.read(one, found) for one in steps[:-1]]
            made["auxiliary_outputs"] = further
        loss, parts = self.matching.total(made, given["labels"], further)
        return made | {"loss": loss, "loss_dict": parts}

    def read(self, states: Tensor, found: Mapping[str, Any]) -> dict[str, Tensor]:
        """(B, Q, D) → what one block's queries found."""
        return {"logits": self.labels(states), "pred_boxes": self.box(states, found).sigmoid()}

    def box(self, states: Tensor, _found: Mapping[str, Any]) -> Tensor:
        """(B, Q, D) → (B, Q, 4), before they are squeezed into the image."""
        return self.boxes(states)

    def masks(self, _found: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return masks, where there are any."""
        return {}


class ConvAct(nn.Module):
    """A convolution, a norm over groups of channels, an activation."""

    def __init__(self, inputs: int, outputs: int, act: str) -> None:
        super().__init__()
        self.conv = Convolution(inputs, outputs, 3, padding=1)
        self.norm = nn.GroupNorm(min(8, outputs), outputs)
        self.act = activation(act)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, outputs, height, width)."""
        return self.act(self.norm(self.conv(x)))


class QueryMasks(nn.Module):
    """Where each query looks, made finer with the maps of the pyramid (Carion et al., 2020)."""

    def __init__(self, width: int, heads: int, channels: list[int], act: str) -> None:
        """Build it for states of a width, and for three maps of channels, the coarsest first."""
        super().__init__()
        self.heads, self.scale = heads, (width // heads) ** -0.5
        self.q, self.k = Linear(width, width), Linear(width, width)
        both = width + heads
        self.first, self.second = ConvAct(both, both, act), ConvAct(both, width // 2, act)
        sizes = [width // 2, width // 4, width // 8]
        self.fit = nn.ModuleList(Convolution(a, b, 1) for a, b in zip(channels, sizes, strict=True))
        self.refine = nn.ModuleList(ConvAct(size, size // 2, act) for size in sizes)
        self.out = Convolution(width // 16, 1, 3, padding=1)

    def forward(
        self, states: Tensor, memory: Tensor, projected: Tensor, mask: Tensor, maps: list[Tensor]
    ) -> Tensor:
        """Return masks (B, Q, height, width).

        Args:
            states: (B, Q, D) of the queries.
            memory: (B, S, D) of the encoder.
            projected: (B, D, h, w), what the encoder read.
            mask: (B, h, w) where there is picture.
            maps: the pyramid's, the coarsest first.
        """
        queries = states.shape[1]
        q = self.q(states).unflatten(-1, (self.heads, -1))
        k = self.k(memory).unflatten(-1, (self.heads, -1))
        scores = torch.einsum("bqhe,bshe->bqhs", q * self.scale, k)
        hidden = ~mask.flatten(1)[:, None, None]
        scores = scores.masked_fill(hidden, torch.finfo(scores.dtype).min)
        looks = scores.flatten(2).softmax(-1)  # over all heads together
        looks = looks.unflatten(2, (self.heads, *mask.shape[1:])).flatten(0, 1)
        x = torch.cat((projected.repeat_interleave(queries, 0), looks), dim=1)
        x = self.second(self.first(x))
        for fit, refine, fine in zip(self.fit, self.refine, maps, strict=True):
            beside = fit(fine).repeat_interleave(queries, 0)
            x = refine(beside + F.interpolate(x, beside.shape[-2:], mode="nearest"))
        return self.out(x).view(-1, queries, *x.shape[-2:])


class MaskHead(BoxHead):
    """A label, a box and a mask for each query."""

    fields = ("loss", "loss_dict", "logits", "pred_boxes", "pred_masks", *_SEEN)
    mask: QueryMasks

    def masks(self, found: Mapping[str, Any]) -> dict[str, Tensor]:
        """Return masks (B, Q, height, width)."""
        states, memory = found["last_hidden_state"], found["encoder_last_hidden_state"]
        coarse = [found["maps"][place] for place in (2, 1, 0)]
        made = self.mask(states, memory, found["projected"], found["mask"], coarse)
        return {"pred_masks": made}
