"""Picking: which states of a sequence stand for all of it."""

from __future__ import annotations

from collections.abc import Callable
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
    which = config.pooling_type if which == "@pooling_type" else which
    if which in _WHOLE:
        return _WHOLE[which](x, given, config)
    if which in ("eos", "eot"):
        return columns(x, layout)[(_eos if which == "eos" else _eot)(given.source, config)]
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


def columns(x: Tensor, layout: Layout) -> Tensor:
    """(N, …) → (B, T, …), with what was computed of padding that is only hidden."""
    hidden = layout.hidden is not None
    return x.unflatten(0, (layout.rows, -1)) if hidden else layout.unpack(x)


def _mean(x: Tensor, given: Given, _config: Config) -> Tensor:
    layout = given.layout
    return layout.unpack(x).sum(1) / layout.mask.sum(1, keepdim=True).to(x.dtype)


def _most(x: Tensor, given: Given, _config: Config) -> Tensor:
    return given.layout.unpack(x, fill=torch.finfo(x.dtype).min).amax(1)


def _leading(x: Tensor, given: Given, _config: Config) -> Tensor:
    return given.layout.unpack(x)[:, : given.leading].mean(1)


def _patches(x: Tensor, given: Given, _config: Config) -> Tensor:
    return given.layout.unpack(x)[:, given.leading :].mean(1)


def _both(x: Tensor, given: Given, config: Config) -> Tensor:
    return torch.cat((x[given.layout.ends[0]], _patches(x, given, config)), -1)


# What is made of several states, or of all.
_WHOLE: dict[str, Callable[[Tensor, Given, Config], Tensor]] = {
    "mean": _mean,
    "max": _most,
    "leading": _leading,
    "patches": _patches,
    "both": _both,
}


def _eos(ids: Tensor | None, config: Config) -> tuple[Tensor, Tensor]:
    """Return rows and columns of the last end-of-text token of each row."""
    if ids is None:
        raise ArgumentError("this head reads the end-of-text token: give input_ids")
    found = ids == config.eos_token_id
    seen = extremes(found.any(1).long())
    if seen and seen[0] == 0:
        raise ArgumentError(
            f"every row of input_ids needs the end-of-text token {config.eos_token_id}: "
            "tokenize with add_special_tokens=True and without cutting it off"
        )
    width = found.shape[1]
    ends = torch.where(found, torch.arange(width, device=found.device), -1).amax(1)
    return torch.arange(found.shape[0], device=found.device), ends


def _eot(ids: Tensor | None, config: Config) -> tuple[Tensor, Tensor]:
    """Return rows and columns of the first end-of-text token of each row."""
    if ids is None:
        raise ArgumentError("this head reads the end-of-text token: give input_ids")
    return torch.arange(len(ids), device=ids.device), first_end(ids, config.eos_token_id)


def first_end(ids: Tensor, end: int) -> Tensor:
    """(B, T) → (B,) columns of the first token `end`.

    HF: where a config calls it 2, it is the greatest id instead: such configs are wrong.
    """
    return (ids if end == 2 else (ids == end).int()).argmax(1)
