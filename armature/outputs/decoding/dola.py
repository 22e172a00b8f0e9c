"""Contrasting layers (Chuang et al., 2023): what the last one knows and those before do not."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding.steps import Steps, able

_SHARE = 0.1  # of the likeliest token's probability, which a token must reach
_FEW, _FAR = 40, 20  # a deep model looks only so far from its ends


def early_layers(asked: Any, depth: int, *, tied: bool) -> list[int]:
    """Return the layers to contrast with the last one: 0 is the embeddings.

    Args:
        asked: "low", "high" or a list.
        depth: How many layers there are.
        tied: Whether words are scored by their embeddings, which then know nothing but the word.

    Raises:
        ArgumentError: nothing is left of what was asked for.
    """
    first = (2 if depth > 2 else depth - 1) if tied else 0
    half, deep = depth // 2, depth > _FEW
    if asked == "low":
        found = list(range(first, _FAR if deep else half, 2)) or [first]  # a shallow model's
    elif asked == "high":
        found = list(range(depth - _FAR if deep else half, depth, 2))
    else:
        wanted = asked if isinstance(asked, list | tuple) else ()
        found = [i for i in wanted if isinstance(i, int) and 0 <= i < depth]
    if not found:
        raise ArgumentError(
            f"`dola_layers={asked!r}` names none of the layers before the last.\n"
            f'  → pass "low", "high" or a list of numbers from 0 to {depth - 1}'
        )
    return found


class Contrasted:
    """Steps whose scores are what the last layer adds to the earlier one that differs most."""

    def __init__(self, steps: Steps, asked: Any, *, tied: bool) -> None:
        self.steps: Any = able(steps, ("peek", "depth"), "contrasting layers")
        self.layers = early_layers(asked, self.steps.depth, tied=tied)
        self.steps.peek(self.layers)
        self.raw = torch.empty(0)
        """What the last layer made of the tokens just read."""

    def start(self) -> Tensor:
        """Read the prompts; return the scores (B, V) of each row's next token."""
        self.raw = self.steps.start().float()
        return contrast(self.raw, self.steps.earlier)

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to each row."""
        self.raw = self.steps.step(tokens).float()
        return contrast(self.raw, self.steps.earlier)

    def select(self, rows: Tensor) -> None:
        """Keep the rows named."""
        self.steps.select(rows)
        self.raw = self.raw[rows]

    def __getattr__(self, name: str) -> Any:
        """Show what the steps show, but for reading several tokens, which one layer is not for."""
        if name in ("extend", "crop", "join", "joins"):
            raise AttributeError(name)
        return getattr(self.__dict__["steps"], name)


def contrast(last: Tensor, earlier: Tensor) -> Tensor:
    """Return (B, V) scores of the last layer less those of one of the earlier, (L, B, V).

    HF: the layer is chosen for a whole batch; here for each row, as it would be alone.
    """
    last, earlier = last.float().log_softmax(-1), earlier.float().log_softmax(-1)
    if len(earlier) > 1:
        middle = 0.5 * (last.exp() + earlier.exp())
        # The divergences of Jensen and Shannon, by means over the vocabulary.
        apart = _divergence(last, middle) + _divergence(earlier, middle)
        base = earlier[apart.argmax(0), torch.arange(len(last), device=last.device)]
    else:
        base = earlier[0]
    unlikely = last < last.amax(-1, keepdim=True) + math.log(_SHARE)
    return (last - base).masked_fill(unlikely, float("-inf"))


def _divergence(logs: Tensor, middle: Tensor) -> Tensor:
    # HF: from the middle to each of the two, not the other way.
    return torch.nn.functional.kl_div(logs.expand_as(middle), middle, reduction="none").mean(-1)
