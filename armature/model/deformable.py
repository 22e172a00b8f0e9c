"""Deformable: queries and maps of several sizes look at a few points each (Zhu et al., 2020).

images ─ backbone ─ project ─ encoder ─────┐
                       places ┴────────────┤
                 queries, points ─── decoder ─ what each of them found, and where
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from armature.config import Config
from armature.errors import ArgumentError
from armature.layers.deformable import DeformableAttention, Sizes
from armature.layers.embed import Embedding
from armature.layers.linear import Linear
from armature.layers.norm import LayerNorm
from armature.layers.patches import Convolution, Images
from armature.layers.placed import waves
from armature.layers.queries import QueryAttention, QueryMLP
from armature.model.call import Asked, layers, recorded
from armature.model.composite import Composite
from armature.model.pixel_decoder import DeformableBlock
from armature.model.queried import picture

_GROUPS = 32  # channels are normed in so many groups
_SIDE = 0.05  # of the boxes that squares of the finest map propose; of coarser ones twice as much
_EDGE = 0.01  # nearer to the edge nothing is proposed
_SEEN = (
    "decoder_hidden_states",
    "decoder_attentions",
    "cross_attentions",
    "encoder_last_hidden_state",
    "encoder_hidden_states",
    "encoder_attentions",
)
_POINTS = ("init_reference_points", "intermediate_hidden_states", "intermediate_reference_points")
_PROPOSED = ("enc_outputs_class", "enc_outputs_coord_logits")
FIELDS = ("last_hidden_state", *_SEEN, *_POINTS, *_PROPOSED)


class AskingBlock(DeformableBlock):
    """Queries look at each other before they look at maps."""

    def __init__(self, width: int, among: QueryAttention, *parts: Any) -> None:
        super().__init__(width, *parts)
        self.among, self.among_norm = among, LayerNorm(width)

    def ask(self, x: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """(B, Q, D) → the same, and the shares (B, H, Q, Q)."""
        y, shares = self.among(x + place, x + place, x)
        return self.among_norm(x + self.dropout(y)), shares


class Proposals(nn.Module):
    """What makes queries of the places of maps that most seem to be something."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.read, self.read_norm = Linear(width, width), LayerNorm(width)
        self.place, self.place_norm = Linear(2 * width, 2 * width), LayerNorm(2 * width)

    def forward(
        self, memory: Tensor, centres: Tensor, hidden: Tensor, sizes: Sizes
    ) -> tuple[Tensor, Tensor]:
        """Return what places say, (B, S, D), and the boxes around them before they are squeezed.

        Args:
            memory: (B, S, D).
            centres: of the places, shares of the picture's sides, (B, S, 2).
            hidden: (B, S), true at padding.
            sizes: of the maps.
        """
        spans = centres.split([height * width for height, width in sizes], 1)
        boxes = [
            torch.cat((one, torch.full_like(one, _SIDE * 2.0**level)), -1)
            for level, one in enumerate(spans)
        ]
        box = torch.cat(boxes, 1)
        nothing = hidden | ~((box > _EDGE) & (box < 1 - _EDGE)).all(-1)
        box = torch.log(box / (1 - box)).masked_fill(nothing[..., None], float("inf"))
        return self.read_norm(self.read(memory.masked_fill(nothing[..., None], 0.0))), box

    def queries(self, boxes: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes (B, Q, 4) before they are squeezed → places and starts of queries, (B, Q, D)."""
        angles = boxes.sigmoid() * (2 * math.pi)
        known = waves(angles, self.read.weight.shape[0] // 2).flatten(2)
        place, start = self.place_norm(self.place(known)).chunk(2, -1)
        return place, start


class Deformable(Composite):
    """A backbone, an encoder of all of its maps, and a decoder whose queries have points."""

    takes = ("pixel_values", "pixel_mask", "encoder_outputs")
    lists = ("labels",)
    fields = (_POINTS[0], "last_hidden_state", *_POINTS[1:], *_SEEN, *_PROPOSED)
    decoder: Any

    def __init__(self, c: Config, backbone: Any, places: nn.Module) -> None:
        """Join them."""
        super().__init__()
        self.backbone, self.places, self.width = backbone, places, c.d_model
        width, levels = c.d_model, c.num_feature_levels
        channels = backbone.channels if levels > 1 else backbone.channels[-1:]
        maps = [Convolution(one, width, 1) for one in channels]
        for index in range(levels - len(channels)):
            inputs = width if index else channels[-1]
            maps.append(Convolution(inputs, width, 3, stride=2, padding=1))
        self.project = nn.ModuleList(maps)
        self.project_norm = nn.ModuleList(nn.GroupNorm(_GROUPS, width) for _ in maps)
        self.level = nn.Parameter(torch.empty(levels, width))
        self.encoder = nn.ModuleList(
            DeformableBlock(width, *_parts(c, "encoder")) for _ in range(c.encoder_layers)
        )
        self.decoder = nn.ModuleList(_asking(c) for _ in range(c.decoder_layers))
        self.dropout = nn.Dropout(c.dropout)
        self.proposals = Proposals(width) if c.two_stage else None
        self.count = c.two_stage_num_proposals if c.two_stage else c.num_queries
        if not c.two_stage:
            self.queries = Embedding(c.num_queries, 2 * width)
            self.point = Linear(width, 2)
        self.guide: list[Any] = []  # the head, where its boxes lead the queries

    @property
    def stack(self) -> Any:
        """What embeds images."""
        return self.backbone.body

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return the fields of the result."""
        pixels, picked = Images.of(given).pixels, given.get("pixel_mask")
        maps = self._maps(self.backbone({"pixel_values": pixels}, Asked())["feature_maps"])
        masks = [picture(picked, pixels, one) for one in maps]
        sizes: Sizes = [(one.shape[2], one.shape[3]) for one in maps]
        shares = torch.stack([_shown(one, share=True) for one in masks], 1).to(maps[0])
        hidden = ~torch.cat([one.flatten(1) for one in masks], 1)
        centres = torch.cat([_centres(one) for one in masks], 1).to(maps[0])
        around = (hidden, sizes, centres, shares)
        encoded = self._encode(maps, masks, around, given, asked)
        return self._decode(encoded, around, asked) | {
            f"encoder_{name}": one for name, one in encoded.items()
        }

    def _maps(self, found: Any) -> list[Tensor]:
        """Return maps of the same channels, (B, D, height, width); coarser ones of the last."""
        made: list[Tensor] = []
        for index, (project, norm) in enumerate(zip(self.project, self.project_norm, strict=True)):
            below = found[index] if index < len(found) else made[-1]
            below = found[-1] if index == len(found) else below
            made.append(norm(project(below)))
        return made

    def _encode(
        self,
        maps: list[Tensor],
        masks: list[Tensor],
        around: tuple[Tensor, Sizes, Tensor, Tensor],
        given: Mapping[str, Any],
        asked: Asked,
    ) -> dict[str, Any]:
        """Return the encoder's last states (B, S, D), and what a caller wants to see."""
        known, (hidden, sizes, centres, shares) = given.get("encoder_outputs"), around
        if known is not None:
            further = (*tuple(known), None, None)
            return dict(
                zip(("last_hidden_state", "hidden_states", "attentions"), further, strict=False)
            )
        places = [
            self.places(mask).to(one).flatten(1, 2) + level
            for mask, one, level in zip(masks, maps, self.level, strict=True)
        ]
        x = torch.cat([one.flatten(2).transpose(1, 2) for one in maps], 1)
        x, place = self.dropout(x), torch.cat(places, 1)
        where = centres[:, :, None] * shares[:, None]
        states, seen = {0: x}, dict[int, Tensor]()
        for index, block in enumerate(self.encoder):
            x, seen[index] = block(x, place, where, sizes, hidden)
            states[index + 1] = x
        return {
            "last_hidden_state": x,
            "hidden_states": _picked(states, asked.states, "output_hidden_states"),
            "attentions": _picked(seen, asked.attentions, "output_attentions"),
        }

    def _decode(
        self, encoded: dict[str, Any], around: tuple[Tensor, Sizes, Tensor, Tensor], asked: Asked
    ) -> dict[str, Any]:
        """Return what the queries found, (B, Q, D), and what a caller wants to see."""
        memory, (hidden, sizes, centres, shares) = encoded["last_hidden_state"], around
        x, place, points, found = self._asked(memory, hidden, sizes, centres)
        found["init_reference_points"] = points
        states, seen, crossed, stands = {0: x}, {}, {}, []
        for index, block in enumerate(self.decoder):
            x, seen[index] = block.ask(x, place)
            spread = shares if points.shape[-1] == 2 else torch.cat((shares, shares), -1)
            where = points[:, :, None] * spread[:, None]
            x, crossed[index] = block(x, place, where, sizes, hidden, memory)
            if self.guide:
                points = beside(self.guide[0].boxes[index](x), points).sigmoid().detach()
            states[index + 1] = x
            stands.append(points)
        steps = [states[index + 1] for index in range(len(stands))]
        return found | {
            "last_hidden_state": x,
            "intermediate_hidden_states": torch.stack(steps, 1),
            "intermediate_reference_points": torch.stack(stands, 1),
            "decoder_hidden_states": _picked(states, asked.states, "output_hidden_states"),
            "decoder_attentions": _picked(seen, asked.attentions, "output_attentions"),
            "cross_attentions": _picked(crossed, asked.attentions, "output_attentions"),
        }

    def _asked(
        self, memory: Tensor, hidden: Tensor, sizes: Sizes, centres: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, dict[str, Any]]:
        """Return the queries, their places, their points or boxes, and fields of the result."""
        if self.proposals is None:
            rows = len(memory)
            place, start = self.queries.weight.expand(rows, -1, -1).chunk(2, -1)
            return start, place, self.point(place).sigmoid(), {}
        if not self.guide:
            raise ArgumentError(
                "two_stage: its queries are what a detector's boxes propose, so the body alone "
                "has none: open it with AutoModelForObjectDetection"
            )
        if memory.shape[1] < self.count:
            raise ArgumentError(
                f"these images make {memory.shape[1]} places, but two_stage_num_proposals asks for "
                f"{self.count}: give larger images"
            )
        states, boxes = self.proposals(memory, centres, hidden, sizes)
        scores = self.guide[0].labels[-1](states)
        boxes = self.guide[0].boxes[-1](states) + boxes
        best = scores[..., 0].topk(self.count, 1).indices
        chosen = boxes.gather(1, best[..., None].expand(-1, -1, 4)).detach()
        place, start = self.proposals.queries(chosen)
        fields = {"enc_outputs_class": scores, "enc_outputs_coord_logits": boxes}
        return start, place, chosen.sigmoid(), fields


def beside(step: Tensor, points: Tensor) -> Tensor:
    """Return boxes (B, Q, 4), before they are squeezed, around points or other boxes."""
    points = points.clamp(0, 1)
    at = torch.log(points.clamp(min=1e-5) / (1 - points).clamp(min=1e-5))
    return torch.cat((step[..., : at.shape[-1]] + at, step[..., at.shape[-1] :]), -1)


def _shown(mask: Tensor, *, share: bool = False) -> Tensor:
    """(B, h, w) → (B, 2): how many columns and rows of each map show picture, or which share."""
    across, down = mask[:, 0].float(), mask[:, :, 0].float()
    found = [one.mean(1) if share else one.sum(1) for one in (across, down)]
    return torch.stack(found, -1)


def _centres(mask: Tensor) -> Tensor:
    """(B, h, w) → (B, h · w, 2): each square's middle as shares of the picture, x and y."""
    down, across = (torch.arange(side, device=mask.device) + 0.5 for side in mask.shape[1:])
    y, x = torch.meshgrid(down, across, indexing="ij")
    return torch.stack((x.flatten(), y.flatten()), -1) / _shown(mask)[:, None]


def _picked(kept: dict[int, Tensor], asked: Any, what: str) -> tuple[Tensor, ...] | None:
    return recorded(kept, layers(asked, len(kept), what))


def _parts(c: Config, half: str) -> tuple[DeformableAttention, QueryMLP, float]:
    """Return what a block of the encoder or the decoder looks and thinks with."""
    heads, points = getattr(c, f"{half}_attention_heads"), getattr(c, f"{half}_n_points")
    attn = DeformableAttention(c.d_model, heads, c.num_feature_levels, points)
    inner, act = getattr(c, f"{half}_ffn_dim"), c.activation_function
    return attn, QueryMLP(c.d_model, inner, act, c.activation_dropout), c.dropout


def _asking(c: Config) -> AskingBlock:
    among = QueryAttention(c.d_model, c.decoder_attention_heads)
    among.dropout = c.attention_dropout
    return AskingBlock(c.d_model, among, *_parts(c, "decoder"))
