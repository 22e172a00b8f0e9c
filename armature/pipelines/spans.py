"""Spans: scores of first and last tokens → the likeliest stretches of a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Spans:
    """The likeliest stretches of one row of tokens, best first."""

    scores: list[float]
    starts: list[int]
    """The first token of each."""
    ends: list[int]
    """The last token of each."""
    null: float
    """How likely the row holds none."""


def likeliest(
    starts: Tensor, ends: Tensor, text: Tensor, null: Tensor, *, most: int, longest: int
) -> list[Spans]:
    """Return for each row the stretches with the highest product of start and end.

    Args:
        starts: (B, T) logits of the first token.
        ends: (B, T) logits of the last token.
        text: (B, T) bool, the tokens that an answer may be made of.
        null: (B, T) bool, the token that a model points at when there is no answer.
        most: How many stretches of each row.
        longest: How many tokens of a stretch.
    """
    import torch

    masked = ~(text | null)
    first, last = (x.float().masked_fill(masked, -1e4).softmax(-1) for x in (starts, ends))
    nulls = (first * last * null).amax(1).tolist()
    first, last = first * text, last * text
    width = first.shape[1]
    longest = min(longest, width)
    ahead = torch.nn.functional.pad(last, (0, longest - 1)).unfold(1, longest, 1)
    products = (first.unsqueeze(-1) * ahead).flatten(1)  # (B, T * longest)
    scores, places = products.topk(min(most, products.shape[1]))
    begins = places // longest
    stops = begins + places % longest
    kept = text.gather(1, begins) & (stops < width) & text.gather(1, stops.clamp(max=width - 1))
    found = []
    for row, chosen in enumerate(kept):
        best, firsts, lasts = (x[row][chosen].tolist() for x in (scores, begins, stops))
        found.append(Spans(best, firsts, lasts, nulls[row]))
    return found
