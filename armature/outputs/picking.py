"""Picking: which states of a sequence stand for all of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from armature.batch import Layout, extremes
from armature.config import Config
from armature.errors import ArgumentError
from armature.outputs import tasks


@dataclass
class Given:
    """What a head may need of a call beside the hidden states."""

    layout: Layout
    tokens: Tensor | None = None  # (N,) packed ids of the sequence that the states belong to
    source: Tensor | None = None  # (B, T) ids as given, where a head looks for the end of a text
    labels: dict[str, Tensor] = field(default_factory=dict)
    choices: int = 1  # continuations of each sequence
    mask: Tensor | None = None  # (B, T) as given, where the body keeps padding among the tokens
    leading: int = 0  # tokens before the patches of an image
    further: dict[str, Any] = field(default_factory=dict)  # what embeddings of one's own tell


def pick(x: Tensor, given: Given, which: tasks.Pick, config: Config) -> Tensor:
    """Return the (B, D) states of the tokens that stand for their sequences."""
    layout = given.layout
    if which == "eos":
        return layout.unpack(x)[_eos(given, config)]
    if which == "eot":
        return layout.unpack(x)[_eot(given, config)]
    if which == "mean":
        return layout.unpack(x).sum(1) / layout.mask.sum(1, keepdim=True).to(x.dtype)
    if which in ("leading", "patches", "both"):
        whole, few = layout.unpack(x), given.leading
        mean = (whole[:, :few] if which == "leading" else whole[:, few:]).mean(1)
        return torch.cat((whole[:, 0], mean), -1) if which == "both" else mean
    starts, ends = layout.ends
    if which == "first":
        return x[starts]
    pad = config.stated("pad_token_id")  # null: there is none, whatever the default
    if which == "last" and given.tokens is not None and pad is not None:
        # HF: the last token that differs from the padding id, even where the mask keeps padding.
        real = given.tokens != pad
        ranks = torch.where(real, torch.arange(x.shape[0], device=x.device), -1)
        best = ranks.new_full((layout.rows,), -1).scatter_reduce(0, layout.row_of, ranks, "amax")
        ends = torch.where(best >= 0, best, starts)
    return x[ends]


def _eos(given: Given, config: Config) -> tuple[Tensor, Tensor]:
    """Return rows and columns of the last end-of-text token of each row."""
    if given.source is None:
        raise ArgumentError("this head reads the end-of-text token: give input_ids")
    found = given.source == config.eos_token_id
    seen = extremes(found.any(1).long())
    if seen and seen[0] == 0:
        raise ArgumentError(
            f"every row of input_ids needs the end-of-text token {config.eos_token_id}: "
            "tokenize with add_special_tokens=True and without cutting it off"
        )
    width = found.shape[1]
    columns = torch.where(found, torch.arange(width, device=found.device), -1).amax(1)
    return torch.arange(found.shape[0], device=found.device), columns


def _eot(given: Given, config: Config) -> tuple[Tensor, Tensor]:
    """Return rows and columns of the first end-of-text token of each row."""
    if given.source is None:
        raise ArgumentError("this head reads the end-of-text token: give input_ids")
    ids = given.source
    # HF: configs that call it 2 are wrong; it is the greatest id there is.
    marks = ids if config.eos_token_id == 2 else (ids == config.eos_token_id).int()
    return torch.arange(len(ids), device=ids.device), marks.argmax(1)
