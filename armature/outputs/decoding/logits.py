"""Pure functions on scores: what may be said next, and how likely.

`scores` (R, V) are unnormalised log-probabilities and `ids` (R, L) the tokens so far, with a
negative number where a row has padding.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from armature.errors import ArgumentError

NEVER = float("-inf")
_SHORTLIST = 4  # few survivors: less than a quarter of the vocabulary


def top_k_top_p_filtering(
    logits: Tensor,
    top_k: int = 0,
    top_p: float = 1.0,
    filter_value: float = NEVER,
    min_tokens_to_keep: int = 1,
) -> Tensor:
    """Keep the `top_k` best tokens, and of those the fewest whose probability reaches `top_p`.

    Args:
        logits: Scores, (B, V).
        top_k: How many to keep; 0 keeps all.
        top_p: The probability to reach; 1.0 keeps all.
        filter_value: The score of the tokens left out.
        min_tokens_to_keep: Keep at least so many.

    Returns:
        A new tensor (B, V).

    >>> top_k_top_p_filtering(torch.tensor([[0.0, 2.0, 1.0]]), top_k=2)
    tensor([[-inf, 2., 1.]])
    """
    if top_k < 0 or not 0 <= top_p <= 1 or min_tokens_to_keep < 1:
        raise ArgumentError(
            f"top_k_top_p_filtering() needs top_k ≥ 0, top_p from 0 to 1 and min_tokens_to_keep ≥ 1"
            f", but got {top_k}, {top_p} and {min_tokens_to_keep}"
        )
    if top_k:
        kept = top_k_filter(logits, top_k, min_tokens_to_keep)
        logits = logits.masked_fill(kept == NEVER, filter_value)
    if top_p < 1:
        kept = top_p_filter(logits, top_p, min_tokens_to_keep)
        logits = logits.masked_fill(kept == NEVER, filter_value)
    return logits


def temperature(scores: Tensor, value: float) -> Tensor:
    """Sharpen (below 1) or flatten (above 1) the distribution."""
    return scores / value


def top_k_filter(scores: Tensor, k: int, keep: int = 1) -> Tensor:
    """Keep the k best tokens, and all that score the same as the last of them."""
    k = min(max(k, keep), scores.shape[-1])
    return scores.masked_fill(scores < scores.topk(k).values[..., -1:], NEVER)


def top_p_filter(scores: Tensor, p: float, keep: int = 1) -> Tensor:
    """Keep the fewest tokens whose probability reaches p (Holtzman et al., 2020)."""
    width = survivors(scores, keep)
    if width < scores.shape[-1]:
        ordered, index = (part.flip(-1) for part in scores.topk(width))
    else:
        ordered, index = scores.sort()
    dropped = ordered.softmax(-1).cumsum(-1) <= 1 - p
    dropped[..., -keep:] = False
    return scores.scatter(-1, index, ordered.masked_fill(dropped, NEVER))


def survivors(scores: Tensor, least: int = 1) -> int:
    """Return how many of the best columns hold all that is not forbidden, or all columns.

    Ordering the survivors alone is faster where they are few; where counting them would have to
    wait for a device, or they are many, all columns count as such.
    """
    width = scores.shape[-1]
    if scores.device.type != "cpu":
        return width
    most = max(int((scores != NEVER).sum(-1).max()), least)
    return most if most * _SHORTLIST < width else width


def min_p_filter(scores: Tensor, p: float, keep: int = 1) -> Tensor:
    """Keep the tokens at least p times as likely as the likeliest (Nguyen et al., 2024)."""
    probabilities = scores.softmax(-1)
    dropped = probabilities < p * probabilities.amax(-1, keepdim=True)
    dropped.scatter_(-1, probabilities.topk(min(keep, scores.shape[-1])).indices, False)
    return scores.masked_fill(dropped, NEVER)


def top_h_filter(scores: Tensor, h: float) -> Tensor:
    """Keep the likeliest tokens up to the share h of the entropy of the best 100."""
    best, index = scores.topk(min(100, scores.shape[-1]))
    probabilities = best.softmax(-1)
    entropy = -(probabilities * best.log_softmax(-1)).nan_to_num(nan=0.0)
    kept = entropy.cumsum(-1) <= h * entropy.sum(-1, keepdim=True)
    kept &= probabilities > 0
    kept[..., 0] = True
    return torch.full_like(scores, NEVER).scatter(-1, index, best.masked_fill(~kept, NEVER))


def typical_filter(scores: Tensor, mass: float, keep: int = 1) -> Tensor:
    """Keep the tokens whose surprise is nearest the expected one (Meister et al., 2022)."""
    logs = scores.log_softmax(-1)
    entropy = -(logs * logs.exp()).nansum(-1, keepdim=True)
    distance, index = (-logs - entropy).abs().sort()
    reached = scores.gather(-1, index).softmax(-1).cumsum(-1)
    last = (reached < mass).sum(-1, keepdim=True).clamp(max=scores.shape[-1] - 1)
    dropped = distance > distance.gather(-1, last)
    dropped[..., :keep] = False
    return scores.masked_fill(torch.zeros_like(dropped).scatter(-1, index, dropped), NEVER)


def epsilon_filter(scores: Tensor, epsilon: float, keep: int = 1) -> Tensor:
    """Drop tokens less likely than epsilon (Hewitt et al., 2022)."""
    return _drop_below(scores, scores.softmax(-1), torch.tensor(epsilon), keep)


def eta_filter(scores: Tensor, epsilon: float, keep: int = 1) -> Tensor:
    """Drop tokens less likely than a bound that falls with the entropy (Hewitt et al., 2022)."""
    logs = scores.log_softmax(-1)
    entropy = -(logs * logs.exp()).nansum(-1, keepdim=True)
    bound = (epsilon**0.5 * (-entropy).exp()).clamp(max=epsilon)
    return _drop_below(scores, logs.exp(), bound, keep)


def _drop_below(scores: Tensor, probabilities: Tensor, bound: Tensor, keep: int) -> Tensor:
    best = scores.topk(min(keep, scores.shape[-1])).values[..., -1:]
    dropped = (probabilities < bound.to(scores.device)) & (scores < best)
    return scores.masked_fill(dropped, NEVER)


def repetition_penalty(scores: Tensor, ids: Tensor, penalty: float) -> Tensor:
    """Make the tokens in `ids` less likely (penalty above 1) or likelier (below 1).

    A positive score is divided by the penalty and a negative one multiplied (Keskar et al., 2019).
    """
    vocabulary = scores.shape[-1]
    index = _spare(ids, vocabulary)
    wider = F.pad(scores, (0, 1))
    found = wider.gather(-1, index)
    found = torch.where(found < 0, found * penalty, found / penalty)
    return wider.scatter(-1, index, found)[..., :vocabulary]


def said_penalty(scores: Tensor, ids: Tensor, presence: float, frequency: float) -> Tensor:
    """Lower the scores of the tokens in `ids`: once for being there, and by how often they are."""
    vocabulary = scores.shape[-1]
    index = _spare(ids, vocabulary)
    counts = scores.new_zeros(len(scores), vocabulary + 1)
    counts = counts.scatter_add(1, index, torch.ones_like(index, dtype=counts.dtype))[:, :-1]
    return scores - presence * (counts > 0) - frequency * counts


def no_repeat_ngram(scores: Tensor, ids: Tensor, size: int, source: Tensor) -> Tensor:
    """Forbid each token that would repeat a run of `size` tokens of `source`, (R, S)."""
    before, vocabulary = size - 1, scores.shape[-1]
    if ids.shape[1] < before or source.shape[1] < size:
        return scores
    runs = source.unfold(1, size, 1)  # (R, S - size + 1, size)
    same = (runs[..., :before] == ids[:, None, ids.shape[1] - before :]).all(-1)
    ends = _spare(runs[..., -1], vocabulary).masked_fill(~same, vocabulary)
    banned = scores.new_zeros((scores.shape[0], vocabulary + 1), dtype=torch.bool)
    return scores.masked_fill(banned.scatter_(1, ends, True)[:, :vocabulary], NEVER)


def _spare(ids: Tensor, vocabulary: int) -> Tensor:
    """Point padding, and ids that only the embedding knows, at one column past the last."""
    return ids.masked_fill((ids < 0) | (ids > vocabulary), vocabulary)


def sequence_bias(
    scores: Tensor, ids: Tensor, prefixes: Tensor, ends: Tensor, bias: Tensor
) -> Tensor:
    """Add `bias` (S,) to the tokens `ends` (S,) in rows that end with `prefixes` (S, P)."""
    size = prefixes.shape[1]
    if ids.shape[1] < size:
        return scores
    same = (ids[:, None, ids.shape[1] - size :] == prefixes).all(-1)  # (R, S)
    return scores.index_add(1, ends, torch.where(same, bias, 0).to(scores.dtype))


def forbid(scores: Tensor, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
    """Forbid `tokens`, (N,): in the rows that are True in `rows`, (R,), or in all, where they are.

    It is the one function that writes over its scores: no other changes so few of so many.
    """
    if rows is None:
        return scores.index_fill_(1, tokens, NEVER)
    return torch.where(rows[:, None], scores.index_fill(1, tokens, NEVER), scores)


def force(scores: Tensor, tokens: Tensor, rows: Tensor | None = None) -> Tensor:
    """Forbid everything but `tokens`, (N,): in the rows that are True in `rows`, or in all."""
    forced = torch.full_like(scores, NEVER).index_fill(1, tokens, 0)
    return forced if rows is None else torch.where(rows[:, None], forced, scores)


def remove_invalid_values(scores: Tensor) -> Tensor:
    """Replace NaN by 0 and the infinite by the largest and smallest numbers there are."""
    return scores.nan_to_num(nan=0.0)


def grow(scores: Tensor, tokens: Tensor, factor: float) -> Tensor:
    """Raise the scores of `tokens`, (N,), by `factor` times their size."""
    found = scores[:, tokens]
    raised = found + (found.abs() * factor).masked_fill(~found.isfinite(), 0)
    return scores.index_copy(1, tokens, raised)
