"""Beam search and beam sampling: the best K continuations of each prompt, kept side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from armature.native.scores import best
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.search import Search, no_choice
from armature.outputs.decoding.steps import rest

NOTHING = -1e9  # the score of a place that no continuation has taken


@dataclass(frozen=True)
class Hypothesis:
    """One finished continuation of a prompt."""

    score: float
    """The sum of its tokens' log-probabilities over a power of its length."""
    tokens: Tensor
    """(new,) its tokens."""
    parents: Tensor | None
    """(new,) the row that each token was chosen in, where the search keeps a record."""


class Finished:
    """The best finished continuations of each prompt, K at most, and whether better can come."""

    def __init__(self, config: GenerationConfig, limits: Tensor, width: int = 0) -> None:
        self.width = width or config.num_beams or 1
        self.early = config.early_stopping or False
        self.power = 1.0 if config.length_penalty is None else float(config.length_penalty)
        self.limits = limits
        self.best: list[list[Hypothesis]] = [[] for _ in limits]
        self.bar = torch.full(limits.shape, NOTHING, device=limits.device)
        """(B,) the score to beat: the worst of K finished ones."""
        self.full = torch.zeros(limits.shape, dtype=torch.bool, device=limits.device)
        """(B,) whether K are finished."""

    def add(self, prompt: int, hypothesis: Hypothesis) -> None:
        """Keep a continuation if it is among the best K of its prompt."""
        best = self.best[prompt]
        best.append(hypothesis)
        best.sort(key=lambda finished: -finished.score)
        del best[self.width :]
        if len(best) == self.width:
            self.bar[prompt], self.full[prompt] = best[-1].score, True

    def ranked(self) -> list[list[Hypothesis]]:
        """Return K continuations of each prompt, best first; empty ones where fewer exist."""
        nothing = self.limits.new_empty(0)
        missing = Hypothesis(NOTHING, nothing, nothing)
        return [best + [missing] * (self.width - len(best)) for best in self.best]

    def beyond(self, best: float, new: int) -> bool:
        """Return whether nothing can beat what the only prompt's K finished continuations score.

        Args:
            best: The sum of the best candidate, be it finished or not.
            new: How many new tokens it has.
        """
        if len(self.best[0]) < self.width:
            return False
        length = int(self.limits[0]) if self.early == "never" and self.power > 0 else new
        return self.early is True or self.best[0][-1].score >= best / length**self.power

    def can_improve(self, prompts: Tensor, running: Tensor, new: int) -> Tensor:
        """Return for which prompts (b,) a running continuation may still be kept.

        With early stopping, K finished ones are enough. Without, the best that runs must score
        more than the worst of them: as it is, or ("never") as it would at its full length.

        Args:
            prompts: The prompts still open, (b,).
            running: The score of their best running continuation, (b,).
            new: How many new tokens that has.
        """
        if self.early == "never" and self.power > 0:
            lengths = self.limits[prompts].float() ** self.power
        else:
            lengths = new**self.power
        hopeful = running / lengths > self.bar[prompts]
        return hopeful & ~self.full[prompts] if self.early is True else hopeful


@dataclass
class Candidates:
    """The best continuations by one token of each open prompt, (b, C) each, best first."""

    scores: Tensor
    rows: Tensor
    """The row that each continues."""
    tokens: Tensor
    done: Tensor
    """Which of them are finished."""
    stuck: Tensor
    """(b,) which prompts no token can follow."""


def beam_search(run: Search, scores: Tensor, config: GenerationConfig) -> list[list[Hypothesis]]:
    """Continue each prompt until its best K continuations are known.

    Args:
        run: The search; its history holds B rows, one for each prompt.
        scores: The model's scores of the first new token, (B, V).
        config: The number of beams, their length penalty and early stopping.

    Returns:
        The finished continuations of each prompt, best first.
    """
    prompts, finished = len(scores), Finished(config, run.stop.limits)
    width = finished.width
    wide = width * max(2, 1 + len(run.stop.ends))  # enough to go on with when the best K all end
    origin = torch.arange(prompts, device=scores.device)  # the prompts that history and steps hold
    open_ = torch.ones(prompts, dtype=torch.bool, device=scores.device)
    rows = origin.repeat_interleave(width)
    lineage = rows.new_empty(len(rows), 0)
    running = scores.new_full((prompts, width), NOTHING, dtype=torch.float32)
    running[:, 0] = 0  # all beams of a prompt are alike at first: one of them counts
    run.history.select(rows)
    run.steps.select(rows)
    scores = scores[rows]

    while True:
        found = _candidates(run, scores.float(), running, origin, wide)
        _finish(run, finished, found, open_, lineage)
        running, order = (found.scores + found.done * NOTHING).topk(width)
        open_ = open_ & ~found.done.all(1)
        open_ &= finished.can_improve(origin, running[:, 0], run.history.new + 1)
        any_open, all_open = torch.stack((open_.any(), open_.all())).tolist()
        if not any_open:
            return finished.ranked()
        rows, tokens = found.rows.gather(1, order), found.tokens.gather(1, order)
        if run.drops and not all_open:
            running, rows, tokens = running[open_], rows[open_], tokens[open_]
            origin, open_ = origin[open_], open_[open_]
        rows, tokens = rows.flatten(), tokens.flatten()
        if run.record.keeps:
            lineage = torch.cat([lineage[rows], rows[:, None]], 1)
        run.history.select(rows)
        run.history.append(tokens)
        run.steps.select(rows)
        if not (run.drops or all_open):
            rest(run.steps, ~open_.repeat_interleave(width))
        scores = run.steps.step(tokens)


def _candidates(
    run: Search, logits: Tensor, running: Tensor, origin: Tensor, wide: int
) -> Candidates:
    """Choose the best continuations by one token, or draw them."""
    vocabulary = logits.shape[-1]
    prompts, width = running.shape
    scores = run.shape(logits, logs=True).contiguous()
    first = torch.arange(prompts, device=logits.device)[:, None] * width
    if run.chance is None:  # of each row's best, the best of all
        of_row, columns = best(scores, min(wide, vocabulary))
        total = (of_row.view(prompts, width, -1) + running[:, :, None]).flatten(1)
        chosen, index = total.topk(min(wide, total.shape[1]))
        rows, tokens = first + index // of_row.shape[1], columns.view(prompts, -1).gather(1, index)
        stuck = ~(chosen[:, 0] > float("-inf"))
    else:
        total = (scores.view(prompts, width, -1) + running[:, :, None]).flatten(1)  # (b, K * V)
        index = run.chance.draw(total, origin, min(wide, total.shape[1]))
        rows, tokens = first + index // vocabulary, index % vocabulary
        chosen = total.gather(1, index)
        stuck = ~total.amax(1).isfinite()

    def ids() -> Tensor:
        return torch.cat([run.ids()[rows.flatten()], tokens.view(-1, 1)], 1)

    done = run.stop(
        tokens.flatten(),
        run.history.new + 1,
        run.history.origin[rows.flatten()],
        ids,
        run.record.scores,
    )
    return Candidates(chosen, rows, tokens, done.view_as(tokens), stuck)


def _finish(
    run: Search, finished: Finished, found: Candidates, open_: Tensor, lineage: Tensor
) -> None:
    """Keep what has ended among the best K of each open prompt.

    The other candidates are there to go on with; they never count as finished.
    """
    history, width = run.history, finished.width
    stuck = found.stuck & open_
    real = found.scores[:, :width] > NOTHING / 2  # not a beam's empty twin, nor what is forbidden
    ended = found.done[:, :width] & open_[:, None] & real
    any_stuck, any_ended = torch.stack((stuck.any(), ended.any())).tolist()
    if any_stuck:
        raise no_choice(history.new + 1, history.origin[::width][stuck])
    if not any_ended:
        return
    rows, last = found.rows[:, :width][ended], found.tokens[:, :width][ended]
    scores = found.scores[:, :width][ended] / (history.new + 1) ** finished.power
    tokens = torch.cat([history.ids[rows, history.prompt :], last[:, None]], 1)
    parents = (
        torch.cat([lineage[rows], rows[:, None]], 1) if run.record.keeps else [None] * len(rows)
    )
    for prompt, score, said, trail in zip(
        history.origin[rows].tolist(), scores.tolist(), tokens, parents, strict=True
    ):
        finished.add(prompt, Hypothesis(score, said, trail))
