"""Times as tokens: the rule that keeps them in order, and the segments that they end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

_NEVER = float("-inf")


@dataclass
class TimeRule:
    """Times come in pairs that never go back; one comes first, and wherever one is likelier."""

    begin: int
    """How many tokens of each row are no part of the transcript."""
    first: int
    """The token of the time 0.00."""
    end: int
    """The token that ends a text."""
    latest: int | None = None
    """How many steps after 0.00 the first time may be."""

    def __call__(self, ids: Tensor, scores: Tensor) -> Tensor:
        """(ids so far (R, L), scores (R, V)) → scores (R, V)."""
        scores[:, self.first - 1] = _NEVER  # the token that says: no times
        said = ids[:, self.begin :]
        if not said.shape[1]:
            scores[:, : self.first] = _NEVER
            if self.latest is not None:
                scores[:, self.first + self.latest + 1 :] = _NEVER
        else:
            self._keep_order(said, scores)
        logs = scores.float().log_softmax(-1)
        times, words = logs[:, self.first :], logs[:, : self.first]
        likelier = times.logsumexp(-1) > words.amax(-1)
        scores[:, : self.first].masked_fill_(likelier[:, None], _NEVER)
        return scores

    def _keep_order(self, said: Tensor, scores: Tensor) -> None:
        """Forbid what breaks pairs, and times that go back."""
        is_time = said >= self.first
        last = is_time[:, -1]
        before = is_time[:, -2] if said.shape[1] > 1 else torch.ones_like(last)
        scores[:, self.first :].masked_fill_((last & before)[:, None], _NEVER)
        scores[:, : self.end].masked_fill_((last & ~before)[:, None], _NEVER)
        # The end of one segment may be the beginning of the next, else no time comes twice.
        places = torch.arange(1, said.shape[1] + 1, device=said.device) * is_time
        latest = said.gather(1, (places.amax(1, keepdim=True) - 1).clamp(min=0))[:, 0]
        latest = torch.where(last & ~before, latest, latest + 1)
        latest = torch.where(is_time.any(1), latest, self.first)
        steps = torch.arange(self.first, scores.shape[-1], device=scores.device)
        scores[:, self.first :].masked_fill_(steps < latest[:, None], _NEVER)


@dataclass
class Span:
    """A part of what one piece says, between two times."""

    start: float
    """Steps after the beginning of the piece."""
    stop: float
    first: int
    """Its tokens: from this one of the piece's…"""
    end: int
    """…to the one before this."""


def spans(tokens: list[int], first: int, whole: float) -> tuple[list[Span], int | None]:
    """Cut the tokens of one piece where two times meet.

    Args:
        tokens: what was said of the piece.
        first: the token of the time 0.00.
        whole: steps of the piece.

    Returns:
        The spans; and the step at which to go on, None where all of the piece is done.
    """
    is_time = [token >= first for token in tokens]
    cuts = [i + 1 for i in range(len(tokens) - 1) if is_time[i] and is_time[i + 1]]
    if not cuts:
        times = [token for token in tokens if token >= first]
        stop = times[-1] - first if times and times[-1] != first else int(whole)
        return [Span(0, stop, 0, len(tokens))], None
    alone = is_time[-2:] == [False, True]  # a single time at the end: nothing is said after it
    if alone:
        cuts.append(len(tokens))
    else:
        cuts[-1] += 1  # the second time of a pair shows that the last span did end
    found = list(_between(tokens, first, cuts, alone=alone))
    return found, None if alone else tokens[cuts[-1] - 2] - first


def _between(tokens: list[int], first: int, cuts: list[int], *, alone: bool) -> Iterator[Span]:
    begin = 0
    for cut in cuts:
        part = tokens[begin:cut]
        closing = part[-1 if cut != cuts[-1] or alone else -2]
        yield Span(part[0] - first, closing - first, begin, cut)
        begin = cut
