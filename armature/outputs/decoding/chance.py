"""Chance: how sampling draws, from one random state for all rows or by each row's own seed.

A draw is the token with the largest `probability / noise`, where noise is exponential; the n
largest are n draws without replacement.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Protocol

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding.logits import survivors

_BITS = 64
# Constants of SplitMix64 (Steele et al., 2014), as signed numbers.
_GAMMA, _MIX_1, _MIX_2 = (
    constant - (1 << _BITS)
    for constant in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB)
)


class Chance(Protocol):
    """A source of randomness for the rows of one call."""

    def draw(self, scores: Tensor, rows: Tensor, count: int, step: int = 0) -> Tensor:
        """Draw `count` columns (R, count) of `scores` (R, W), for the rows named, (R,).

        Steps are counted from 1, one for each draw, unless `step` says which one it is.
        """
        ...


class SharedChance:
    """The global random state: what a row draws depends on how many rows there are."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def draw(self, scores: Tensor, rows: Tensor, count: int, step: int = 0) -> Tensor:
        """Draw for all rows, so that the same noise falls to a row whichever have ended."""
        # HF: torch.multinomial draws this very noise, so that equal seeds give equal tokens.
        noise = torch.empty(self.rows, scores.shape[1], device=scores.device).exponential_(1)
        noise = noise if len(rows) == self.rows else noise[rows]
        return (scores.softmax(-1) / noise).topk(count).indices


class SeededChance:
    """A seed for each row: what a row draws is a function of its seed, the step and the token.

    So it does not matter which rows there are besides, on what device, or which of the tokens that
    cannot be drawn were left out.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        keys = [_digest(f"{seed}", 8) - (1 << (_BITS - 1)) for seed in seeds]
        self.keys = torch.tensor(keys, device=device)
        self.step = 0

    def draw(self, scores: Tensor, rows: Tensor, count: int, step: int = 0) -> Tensor:
        """Draw for the rows named."""
        self.step = step or self.step + 1
        width = survivors(scores, count)
        columns = None
        if width < scores.shape[1]:
            scores, columns = scores.topk(width)
        tokens = torch.arange(width, device=scores.device) if columns is None else columns
        noise = self._noise(rows, tokens)
        drawn = (scores.softmax(-1) / noise).topk(count).indices
        return drawn if columns is None else columns.gather(1, drawn)

    def _noise(self, rows: Tensor, tokens: Tensor) -> Tensor:
        """Hash each row's key, the step and each token into exponential noise."""
        mixed = self.keys[rows][:, None] + (tokens + (self.step << 32)) * _GAMMA
        mixed = (mixed ^ _shifted(mixed, 30)) * _MIX_1
        mixed = (mixed ^ _shifted(mixed, 27)) * _MIX_2
        uniform = (_shifted(mixed ^ _shifted(mixed, 31), 11).double() + 0.5) * 2.0**-53
        return -uniform.log()


def chance(
    seed: int | Sequence[int] | None, prompts: int, copies: int, device: torch.device
) -> Chance:
    """Return the randomness of `prompts` prompts, each continued `copies` times.

    Args:
        seed: One number for the call, or one for each prompt; None for the global random state.
        prompts: How many prompts there are.
        copies: How many rows continue each of them.
        device: Where the scores are.

    Raises:
        ArgumentError: the seeds are not whole numbers, or not as many as prompts.
    """
    if seed is None:
        return SharedChance(prompts * copies)
    given = list(seed) if isinstance(seed, Iterable) else [seed]
    wrong = [one for one in given if not isinstance(one, Integral) or one < 0]
    if wrong:
        raise ArgumentError(f"`seed` should be a whole number, 0 or more, but is {wrong[0]!r}")
    if not isinstance(seed, Iterable):
        given = [row_seed(int(seed), row) for row in range(prompts)]
    if len(given) != prompts:
        raise ArgumentError(f"`seed` holds {len(given)} numbers for {prompts} prompts")
    seeds = [row_seed(int(one), copy, "copy") for one in given for copy in range(copies)]
    return SeededChance(seeds, device)


def fresh_seeds(prompts: int) -> list[int]:
    """Return a seed for each prompt out of the global random state."""
    return torch.randint(1 << 62, (prompts,)).tolist()


def row_seed(seed: int, row: int, kind: str = "row") -> int:
    """Return the seed of one row of a call: the first row's is the call's own.

    >>> row_seed(7, 0), row_seed(7, 1) == row_seed(7, 1), row_seed(7, 1) == row_seed(7, 2)
    (7, True, False)
    """
    return seed if row == 0 else _digest(f"{seed} {kind} {row}", 6)


def _digest(text: str, size: int) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=size).digest(), "big")


def _shifted(bits: Tensor, by: int) -> Tensor:
    """Shift 64 bits to the right as if they had no sign."""
    return (bits >> by) & ((1 << (_BITS - by)) - 1)
