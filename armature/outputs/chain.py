"""Linear-chain conditional random fields: scores of whole paths of labels."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class LinearChain(nn.Module):
    """Which label follows which (Lafferty et al., 2001); parameters as published CRF layers have.

    A sequence is the tokens that `kept` (B, T) marks, in their order; what lies between them is
    skipped. A path's score is the sum of its tokens' scores and of its transitions, from the start
    to the end.
    """

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.start_transitions = nn.Parameter(torch.empty(labels))
        self.end_transitions = nn.Parameter(torch.empty(labels))
        self.transitions = nn.Parameter(torch.empty(labels, labels))  # from, to

    def log_likelihood(self, scores: Tensor, labels: Tensor, kept: Tensor) -> Tensor:
        """(B, T, L), (B, T), (B, T) → (B,) logarithms of the probabilities of paths."""
        order = _in_front(kept)
        scores, present = _sorted(scores, order), kept.gather(1, order)
        path = labels.gather(1, order).masked_fill(~present, 0)
        score = scores.gather(2, path[..., None])[..., 0]  # (B, T)
        step = self.transitions[path[:, :-1], path[:, 1:]]
        last = path.gather(1, (present.sum(1, keepdim=True) - 1).clamp(min=0))[:, 0]
        total = (score * present).sum(1) + (step * present[:, 1:]).sum(1)
        total = total + self.start_transitions[path[:, 0]] + self.end_transitions[last]
        sums = self._forward(scores, present)[-1] + self.end_transitions
        return (total - sums.logsumexp(-1)).where(present[:, 0], total.new_zeros(()))

    def decode(self, scores: Tensor, kept: Tensor, follows: Tensor | None = None) -> Tensor:
        """Find the best paths (Viterbi, 1967).

        Args:
            scores: (B, T, L) of each token's labels.
            kept: (B, T) which tokens belong to the sequence.
            follows: (L + 1, L) whether a label may come after another; the last row: at the start.

        Returns:
            (B, T) labels, -1 where a token is not kept.
        """
        order = _in_front(kept)
        scores, present = _sorted(scores.float(), order), kept.gather(1, order)
        steps, start = self.transitions, self.start_transitions
        if follows is not None:
            steps = steps.masked_fill(~follows[:-1], float("-inf"))
            start = start.masked_fill(~follows[-1], float("-inf"))
        best, back = start + scores[:, 0], []  # (B, L)
        stay = torch.arange(best.shape[1], device=best.device).expand_as(best)
        for now, here in zip(scores.unbind(1)[1:], present.unbind(1)[1:], strict=True):
            top, source = (best[:, :, None] + steps).max(1)
            best = torch.where(here[:, None], top + now, best)
            back.append(torch.where(here[:, None], source, stay))
        path = [(best + self.end_transitions).argmax(1)]
        for source in reversed(back):
            path.append(source.gather(1, path[-1][:, None])[:, 0])
        found = torch.stack(path[::-1], 1).masked_fill(~present, -1)
        return torch.empty_like(found).scatter(1, order, found)

    def marginals(self, scores: Tensor, kept: Tensor) -> Tensor:
        """(B, T, L), (B, T) → (B, T, L) the probability of each label over all paths."""
        order = _in_front(kept)
        scores, present = _sorted(scores.float(), order), kept.gather(1, order)
        forward = torch.stack(self._forward(scores, present), 1)
        after = self.end_transitions.expand_as(forward[:, 0])
        backward = [after]
        for now, here in zip(
            reversed(scores.unbind(1)[1:]), reversed(present.unbind(1)[1:]), strict=True
        ):
            longer = (self.transitions + (now + after)[:, None, :]).logsumexp(-1)
            after = torch.where(here[:, None], longer, after)
            backward.append(after)
        found = (forward + torch.stack(backward[::-1], 1)).softmax(-1)
        places = order[..., None].expand_as(found)
        return torch.empty_like(found).scatter(1, places, found)

    def shares(self, scores: Tensor, paths: Tensor) -> Tensor:
        """(B, T, L), (B, T) → (B, T, L) the labels of these paths by probability; others are 0."""
        found = self.marginals(scores, paths >= 0)
        chosen = paths.clamp(min=0)[..., None]
        return torch.zeros_like(found).scatter(2, chosen, found.gather(2, chosen))

    def _forward(self, scores: Tensor, present: Tensor) -> list[Tensor]:
        """Return, for each token, the (B, L) log-sums over all paths that end there."""
        sums = [self.start_transitions + scores[:, 0]]
        for now, here in zip(scores.unbind(1)[1:], present.unbind(1)[1:], strict=True):
            longer = (sums[-1][:, :, None] + self.transitions).logsumexp(1) + now
            sums.append(torch.where(here[:, None], longer, sums[-1]))
        return sums


def _in_front(kept: Tensor) -> Tensor:
    """Return the (B, T) order that puts kept tokens first and changes nothing else."""
    return (~kept).long().argsort(dim=1, stable=True)


def _sorted(scores: Tensor, order: Tensor) -> Tensor:
    return scores.gather(1, order[..., None].expand_as(scores))


def inside_after_begin(names: Mapping[int, str]) -> Tensor:
    """Return which of these labels may follow which: `I-X` only `B-X` or `I-X`.

    Returns:
        (L + 1, L) truths; the last row says what may come first.
    """
    ordered = [names[index] for index in range(len(names))]

    def may(before: str, after: str) -> bool:
        return not after.startswith("I-") or before in (f"B-{after[2:]}", after)

    return torch.tensor([[may(before, after) for after in ordered] for before in [*ordered, ""]])
