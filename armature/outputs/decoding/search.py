"""Greedy search and sampling: every row goes its own way, one token at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.native.scores import log_softmax
from armature.outputs.decoding.chance import Chance
from armature.outputs.decoding.controls import Control, shown
from armature.outputs.decoding.history import History
from armature.outputs.decoding.steps import Steps, rest
from armature.outputs.decoding.stop import Stop


@dataclass
class Record:
    """What a caller asked to keep of every step; None where it was not asked for."""

    keeps: bool = False
    """Whether the result will name the rows that tokens were chosen in."""
    scores: list[Tensor] | None = None
    """(R, V) of each step, as the controls left them."""
    logits: list[Tensor] | None = None
    """(R, V) of each step, as the model gave them."""

    def add(self, logits: Tensor, scores: Tensor) -> None:
        """Keep one step."""
        if self.logits is not None:
            self.logits.append(logits)
        if self.scores is not None:
            self.scores.append(scores)


@dataclass
class Search:
    """One search under way: where the scores come from, what shapes them, and when it ends."""

    steps: Steps
    history: History
    controls: list[Control]
    stop: Stop
    pad: int
    chance: Chance | None
    """Where to draw from; None to take the best."""
    drops: bool
    """Whether rows that are done may be left out of the steps that follow."""
    record: Record = field(default_factory=Record)
    hear: Callable[[Tensor], None] | None = None
    """Called with each new token of every row, (R,)."""
    plain: list[Control] = field(default_factory=list)
    """The controls that the settings ask for, without a caller's functions."""
    vocabulary: int = 0
    said: Tensor | None = None
    """(R,) how many new tokens each row got, its end included."""

    def ids(self) -> Tensor:
        """Return the tokens so far as a caller's own rules expect them, (R, L)."""
        return shown(self.history, self.pad)

    def shape(self, logits: Tensor, *, logs: bool = False) -> Tensor:
        """Apply the controls to logits (R, V), and keep what is to be kept.

        Args:
            logits: what may be written over.
            logs: whether to make log-probabilities of them first.
        """
        scores = logits if self.record.logits is None else logits.clone()
        scores = log_softmax(scores) if logs else scores
        for control in self.controls:
            scores = control(self.history, scores)
        if self.record.logits is not None:
            logits = getattr(self.steps, "raw", logits)
        self.record.add(logits, scores)
        return scores


def search(run: Search, scores: Tensor) -> Tensor:
    """Continue each row until it is done.

    Args:
        run: The search; its history holds R rows.
        scores: The model's scores of the first new token, (R, V).

    Returns:
        The new tokens, (R, new), padded after each row's end.
    """
    return torch.stack(list(columns(run, scores)), 1)


def columns(run: Search, scores: Tensor) -> Iterator[Tensor]:
    """Yield the new token of each row (R,), one column after another; see `search`."""
    total, vocabulary = scores.shape
    history = run.history
    rows = torch.arange(total, device=scores.device)  # those that history and steps hold
    done = torch.zeros(total, dtype=torch.bool, device=scores.device)
    counts = run.said = torch.zeros_like(rows)
    while True:
        logits = scores.float()
        tokens, stuck = choose(run, run.shape(logits), rows)
        stuck &= ~done
        counts[rows] += ~done
        tokens = tokens.masked_fill(done, run.pad)
        history.append(tokens)
        column = tokens
        if len(rows) < total:
            column = tokens.new_full((total,), run.pad).index_copy(0, rows, tokens)
        if run.hear is not None:
            run.hear(column)
        done |= run.stop(tokens, history.new, history.origin, run.ids, run.record.scores)
        any_stuck, all_done, any_done = torch.stack((stuck.any(), done.all(), done.any())).tolist()
        if any_stuck:
            raise no_choice(history.new, rows[stuck])
        yield column
        if all_done:
            return
        if any_done and run.drops:
            live = (~done).nonzero().squeeze(1)
            rows, tokens, done = rows[live], tokens[live], done[live]
            history.select(live)
            run.steps.select(live)
        elif any_done:
            rest(run.steps, done)
        fed = tokens if run.pad < vocabulary else tokens.masked_fill(done, 0)
        scores = run.steps.step(fed)


def choose(run: Search, scores: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Choose one token for each row, (R,), and tell which rows had no choice, (R,)."""
    if run.chance is None:
        best, tokens = scores.max(-1)
        return tokens, ~(best > float("-inf"))
    return run.chance.draw(scores, rows, 1).squeeze(1), ~scores.amax(-1).isfinite()


def no_choice(new: int, rows: Tensor) -> ArgumentError:
    """Return the error of rows that no token can follow."""
    return ArgumentError(
        f"generate() has no new token {new} for row {int(rows[0])}: the model's scores are NaN, or "
        "the settings forbid every token.\n  → see what `suppress_tokens`, `bad_words_ids`, "
        "`no_repeat_ngram_size` and `logits_processor` leave to say"
    )
