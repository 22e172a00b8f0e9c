"""Queried: trained queries ask an encoded map what is there (Carion et al., 2020).

images ─ backbone ─ project ─ encoder ──┐
                       places ┴─────────┤
                      queries ─── decoder ─ what each of them found
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers.context import Context
from armature.layers.embed import Embedding, Inputs
from armature.layers.patches import Convolution, Images
from armature.model.call import Asked
from armature.model.composite import Composite
from armature.model.stack import Stack


class Ready(nn.Module):
    """The embeddings of a stack that gets them from elsewhere."""

    def __init__(self, width: int, *, bare: bool = False, drops: bool = True) -> None:
        super().__init__()
        self.width, self.bare = width, bare
        self.dropout = nn.Dropout(0.0) if drops else None

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the embeddings (N, D)."""
        assert inputs.embeds is not None
        return inputs.embeds if self.dropout is None else self.dropout(inputs.embeds)


class NormedStack(Stack):
    """The last norm follows every block, so that each of them may be asked for boxes."""

    @classmethod
    def of(cls, stack: Stack) -> NormedStack:
        """Return a stack of the same organs."""
        return cls(stack.embed, list(stack.blocks), stack.schedule, stack.norm, stack.bias)

    def _step(self, x: Tensor, step: int, index: int, context: Context) -> Tensor:
        assert self.norm is not None
        x = self.norm(super()._step(x, step, index, context))
        context.shared["steps"].append(x)
        return x


class RawNormedStack(NormedStack):
    """The states that callers see are those before the norm."""

    def run(self, x: Tensor, context: Context) -> Tensor:
        """Send embedded tokens (N, D) through the blocks and the norm."""
        raw = context.shared["raw"] = dict[int, Tensor]()
        x = super().run(x, context)
        states = context.record.kept_states
        states |= {step: one for step, one in raw.items() if step in states and step < self.depth}
        return x

    def _step(self, x: Tensor, step: int, index: int, context: Context) -> Tensor:
        assert self.norm is not None
        context.shared["raw"][step + 1] = x = Stack._step(self, x, step, index, context)
        context.shared["steps"].append(self.norm(x))
        return context.shared["steps"][-1]


class Queried(Composite):
    """A pyramid, an encoder of its last map, and a decoder of trained queries."""

    takes = (
        "pixel_values",
        "pixel_mask",
        "decoder_attention_mask",
        "encoder_outputs",
        "decoder_inputs_embeds",
    )
    lists = ("labels",)
    fields = (
        "last_hidden_state",
        "decoder_hidden_states",
        "decoder_attentions",
        "cross_attentions",
        "encoder_last_hidden_state",
        "encoder_hidden_states",
        "encoder_attentions",
        "intermediate_hidden_states",
    )

    def __init__(
        self,
        backbone: Any,
        places: nn.Module,
        halves: tuple[Stack, Stack],
        queries: int,
    ) -> None:
        """Join them.

        Args:
            backbone: what makes maps of images; the encoder reads the last of them.
            places: says where the squares of a map are.
            halves: the encoder and the decoder.
            queries: how many there are.
        """
        super().__init__()
        self.backbone, self.places = backbone, places
        self.encoder, self.decoder = halves
        self.width = self.encoder.embed.width
        self.project = Convolution(backbone.channels[-1], self.width, 1)
        self.queries = Embedding(queries, self.width)

    @property
    def stack(self) -> Any:
        """What embeds images."""
        return self.backbone.body

    @property
    def channels(self) -> list[int]:
        """C of each map that is read."""
        return self.backbone.channels

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return the fields of the result, and what heads read beside."""
        pixels = Images.of(given).pixels
        maps = self.backbone({"pixel_values": pixels}, Asked())["feature_maps"]
        mask = picture(given.get("pixel_mask"), pixels, maps[-1])
        projected = self.project(maps[-1])
        encoded = self._encode(projected, mask, given, asked)
        seen = Layout.of(mask.flatten(1), (len(mask), mask[0].numel()), mask.device)
        found = self._decode(encoded, self.places(mask), seen, given, asked)
        return found | {
            "encoder_last_hidden_state": encoded["last"],
            "encoder_hidden_states": encoded["hidden_states"],
            "encoder_attentions": encoded["attentions"],
            "maps": maps,
            "projected": projected,
            "mask": mask,
        }

    def _encode(
        self, projected: Tensor, mask: Tensor, given: Mapping[str, Any], asked: Asked
    ) -> dict[str, Any]:
        """Return the encoder's last states (B, S, D), and what a caller wants to see."""
        known = given.get("encoder_outputs")
        if known is not None:
            further = (*tuple(known), None, None)
            return {"last": known[0], "hidden_states": further[1], "attentions": further[2]}
        rows, width, *sides = projected.shape
        area = sides[0] * sides[1]
        layout = Layout((area,) * rows, area, projected.device)
        further = {
            "places": self.places(mask).to(projected.dtype).reshape(-1, width),
            "seen": Layout.of(mask.flatten(1), (rows, area), mask.device),
        }
        tokens = projected.flatten(2).transpose(1, 2).flatten(0, 1)
        record = asked.record(self.encoder)
        x = self.encoder(Inputs(layout, embeds=tokens, further=further), record)
        return {"last": layout.unpack(x), **asked.seen(self.encoder, record, layout)}

    def _decode(
        self,
        encoded: dict[str, Any],
        places: Tensor,
        seen: Layout,
        given: Mapping[str, Any],
        asked: Asked,
    ) -> dict[str, Any]:
        """Return what the queries found, (B, Q, D), and what a caller wants to see."""
        memory, (count, width) = encoded["last"], self.queries.weight.shape
        rows = len(memory)
        layout = Layout((count,) * rows, count, memory.device)
        start = given.get("decoder_inputs_embeds")
        start = memory.new_zeros(rows, count, width) if start is None else start
        if tuple(start.shape) != (rows, count, width):
            raise ArgumentError(
                f"decoder_inputs_embeds has the shape {tuple(start.shape)}, but should have "
                f"{(rows, count, width)}"
            )
        asking = given.get("decoder_attention_mask")
        steps: list[Tensor] = []
        further = {
            "places": self.queries.weight.repeat(rows, 1),
            "memory_places": seen.pack(places.to(memory.dtype).flatten(1, 2)),
            "seen": layout if asking is None else Layout.of(asking, (rows, count), memory.device),
            "steps": steps,
            **self.asked_with(rows),
        }
        record = asked.record(self.decoder)
        x = self.decoder(
            Inputs(layout, embeds=start.flatten(0, 1), further=further),
            record,
            memory=seen.pack(memory),
            memory_layout=seen,
        )
        shown = asked.seen(self.decoder, record, layout)
        return {
            "last_hidden_state": layout.unpack(x),
            "decoder_hidden_states": shown["hidden_states"],
            "decoder_attentions": shown["attentions"],
            "cross_attentions": shown["cross_attentions"],
            "intermediate_hidden_states": torch.stack([layout.unpack(one) for one in steps])
            if steps
            else None,
        }

    def asked_with(self, _rows: int) -> dict[str, Any]:
        """Return what the decoder's organs share beside places."""
        return {}


def picture(mask: Tensor | None, pixels: Tensor, map: Tensor) -> Tensor:
    """Return (B, h, w) where a map shows picture, by a mask (B, height, width) of the pixels.

    Raises:
        ArgumentError: the mask is that of other images.
    """
    if mask is None:
        return torch.ones(len(map), *map.shape[-2:], dtype=torch.bool, device=map.device)
    if mask.shape != (len(pixels), *pixels.shape[-2:]):
        raise ArgumentError(
            f"pixel_mask has the shape {tuple(mask.shape)}, but the images {tuple(pixels.shape)}: "
            "give one number, 1 or 0, for each pixel"
        )
    return F.interpolate(mask[None].float(), map.shape[-2:])[0].bool()
