"""Calls: what a caller gave a model, checked, and turned into packed inputs and a record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers.cache import Cache
from armature.layers.context import Record
from armature.layers.embed import Inputs
from armature.model.stack import Stack

Which = bool | Sequence[int] | None  # all or none, or those of a list


@dataclass
class Asked:
    """What a caller wants to see beside the result."""

    states: Which = None
    attentions: Which = None
    router: bool = False
    choices: int = 0  # HF: of word heads with several choices the last state alone lies by them

    def record(self, stack: Stack) -> Record:
        """Return an empty record of what is to be seen of a stack."""
        states = layers(self.states, stack.depth + 1, "output_hidden_states")
        attentions = layers(self.attentions, shown(stack), "output_attentions")
        return record(states, attentions, router=self.router)

    def seen(self, stack: Stack, record: Record, layout: Layout) -> dict[str, Any]:
        """Return hidden_states, attentions and cross_attentions as users know them."""
        states = layers(self.states, stack.depth + 1, "output_hidden_states")
        attentions = layers(self.attentions, shown(stack), "output_attentions")
        kept = {i: layout.unpack(x) for i, x in record.kept_states.items()}
        if self.choices and stack.depth in kept:
            kept[stack.depth] = kept[stack.depth].unflatten(0, (-1, self.choices))
        crossed = record.kept_cross
        return {
            "hidden_states": recorded(kept, states),
            "attentions": recorded(record.kept_attentions, attentions),
            "cross_attentions": recorded(crossed, attentions) if crossed else None,
        }


def shown(body: Any) -> int:
    """Return how many attentions a caller can see of a stack or a pyramid."""
    return getattr(body, "attentions", body.depth)


def pack(
    ids: Tensor | None,
    embeds: Tensor | None,
    mask: Tensor | None,
    given: Mapping[str, Any],
    cache: Cache | None = None,
) -> Inputs:
    """Pack one sequence's inputs: ids (B, T) or embeddings (B, T, D), without their padding.

    Raises:
        ArgumentError: neither or both were given, or shapes do not go together.
    """
    if (ids is None) == (embeds is None):
        both = "both input_ids and inputs_embeds" if ids is not None else "neither of them"
        raise ArgumentError(f"give input_ids or inputs_embeds; the call has {both}")
    first = ids if ids is not None else embeds
    assert first is not None
    rows, width = _shape(first)
    if mask is not None and mask.dim() == 2 and mask.shape[1] > width and cache is not None:
        mask = mask[:, -width:]  # a mask may speak of the cached tokens too
    layout = Layout.of(mask, (rows, width), first.device)
    if cache is not None and cache.lengths:
        layout = layout.after(cache.lengths)

    def packed(name: str) -> Tensor | None:
        value = given.get(name)
        if value is None:
            return None
        value = value.reshape(-1, value.shape[-1])
        return layout.pack(value.expand(rows, width))

    return Inputs(
        layout,
        tokens=None if ids is None else layout.pack(ids.reshape(rows, width)),
        whole=None if ids is None else ids.reshape(rows, width),
        types=packed("token_type_ids"),
        positions=packed("position_ids"),
        embeds=None if embeds is None else layout.pack(embeds),
    )


def _shape(first: Tensor) -> tuple[int, int]:
    if first.dim() < 2:
        raise ArgumentError(
            f"the input has the shape {tuple(first.shape)}: give a batch (B, T), for one sequence "
            "with return_tensors='pt' or [ids]"
        )
    width = first.shape[1] if first.is_floating_point() else first.shape[-1]
    rows = first.shape[0] if first.is_floating_point() else first.numel() // max(width, 1)
    if rows * width == 0:
        raise ArgumentError(f"the input is empty: its shape is {tuple(first.shape)}")
    return rows, width


def layers(asked: Which, count: int, what: str) -> tuple[int, ...]:
    """Return the layers asked for: all for True, none for False, or those of a list.

    Raises:
        ArgumentError: a layer of the list does not exist.
    """
    if asked is None or asked is False:
        return ()
    if asked is True:
        return tuple(range(count))
    for index in asked:
        if not -count <= index < count:
            raise ArgumentError(f"{what}={list(asked)} asks for {index}; there are {count}")
    return tuple(index % count for index in asked)


def record(states: tuple[int, ...], attentions: tuple[int, ...], *, router: bool = False) -> Record:
    """Return an empty record that keeps these states and attentions."""
    return Record(frozenset(states), frozenset(attentions), router)


def recorded(kept: Mapping[int, Tensor], asked: tuple[int, ...]) -> tuple[Tensor, ...] | None:
    """Return what was kept of layers that have it, in the order asked; None if nothing was."""
    return tuple(kept[index] for index in asked if index in kept) if asked else None


def shift_right(ids: Tensor, start: int | None, pad: int | None) -> Tensor:
    """Return decoder inputs (B, T) that predict `ids`: one place to the right, -100 made padding.

    Raises:
        ArgumentError: the config names no token that starts a decoder.
    """
    if start is None:
        raise ArgumentError(
            "config.decoder_start_token_id is not set, so decoder inputs cannot be made of labels: "
            "give decoder_input_ids, or set it"
        )
    shifted = ids.new_zeros(ids.shape)
    shifted[:, 1:] = ids[:, :-1]
    shifted[:, 0] = start
    return shifted.masked_fill(shifted == -100, pad if pad is not None else start)


def wrap_right(ids: Tensor, pad: int | None) -> Tensor:
    """Return decoder inputs (B, T) that begin with the last real token of `ids`, its language.

    Raises:
        ArgumentError: the config names no padding token, which such texts end before.
    """
    if pad is None:
        raise ArgumentError(
            "config.pad_token_id is not set, so decoder inputs cannot be made of labels: "
            "give decoder_input_ids, or set it"
        )
    real = ids.masked_fill(ids == -100, pad)
    last = (real != pad).sum(1, keepdim=True) - 1
    return torch.cat((real.gather(1, last), real[:, :-1]), 1)
