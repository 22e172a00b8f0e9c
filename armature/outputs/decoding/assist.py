"""Assisted decoding: cheap drafts, of which the model keeps what it would have said itself.

    text ──▶ draft some tokens ──▶ one pass scores them all ──▶ keep them up to the first other one

Each place is decided exactly as in a plain search: the same controls, the same best token, or the
same draw, for a draft draws with the very noise that the model draws with (a Gumbel coupling of the
two distributions). So drafts change how fast a text comes, and never which.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from armature.outputs.decoding.controls import shown
from armature.outputs.decoding.history import History
from armature.outputs.decoding.search import Search, no_choice
from armature.outputs.decoding.steps import Rewinds


@dataclass
class Row:
    """One text under way."""

    number: int
    """Which row of the call it is."""
    history: History
    """Its tokens, of this row alone."""
    limit: int
    """How many new tokens it may get."""
    done: bool = False
    scores: list[Tensor] = field(default_factory=list)
    logits: list[Tensor] = field(default_factory=list)

    @property
    def room(self) -> int:
        """Return how many drafts may be of use: one token follows them in any case."""
        return self.limit - self.history.new - 1

    @property
    def text(self) -> Tensor:
        """Return its tokens without padding, (L,)."""
        ids = self.history.ids[0]
        return ids if self.history.pads is None else ids[int(self.history.pads[0]) :]

    @property
    def said(self) -> Tensor:
        """Return its new tokens, (new,)."""
        return self.history.ids[0, self.history.prompt :]


class Drafts(Protocol):
    """A source of drafts for the rows of one call."""

    def draft(self, rows: list[Row]) -> list[list[int]]:
        """Return what may follow the text of each row; nothing for rows that are done."""
        ...

    def learn(self, rows: list[Row], offered: list[int], kept: list[int]) -> None:
        """Take note of how many of the tokens offered for each row were kept."""
        ...

    def select(self, live: Tensor) -> None:
        """Go on with these rows only."""
        ...


def assisted_search(run: Search, scores: Tensor, steps: Rewinds, drafts: Drafts) -> Tensor:
    """Continue each row until it is done, as `search` does.

    Args:
        run: The search; its history holds R rows.
        scores: The model's scores of the first new token, (R, V).
        steps: Those of `run`, which can read several tokens and take them back.
        drafts: What is read ahead.

    Returns:
        The new tokens, (R, new), padded after each row's end.
    """
    device = scores.device
    everything = torch.arange(len(scores), device=device)
    limits = run.stop.limits[run.history.origin].tolist()
    rows = [Row(i, run.history.part(everything[i : i + 1]), n) for i, n in enumerate(limits)]
    live = list(rows)  # those that the steps hold
    _decide(run, live, scores[:, None], [[] for _ in live])
    heard = 0
    while True:
        heard = _tell(run, rows, heard)
        if all(row.done for row in rows):
            break
        if run.drops and any(row.done for row in live):
            kept = torch.tensor([i for i, row in enumerate(live) if not row.done], device=device)
            live = [row for row in live if not row.done]
            steps.select(kept)
            drafts.select(kept)
        offered = drafts.draft(live)
        # A row that is done reads nothing more; the others read their last token and the drafts.
        read = [
            [] if row.done else [int(row.text[-1]), *draft]
            for row, draft in zip(live, offered, strict=True)
        ]
        scores = extended(steps, read, device)
        kept_counts = _decide(run, live, scores, offered)
        surplus = [len(a) - b for a, b in zip(read, kept_counts, strict=True)]
        steps.crop(torch.tensor(surplus, device=device))
        drafts.learn(live, [len(draft) for draft in offered], [n - 1 for n in kept_counts])
    _collect(run, rows)
    run.said = torch.tensor([row.history.new for row in rows], device=device)
    return pad_sequence([row.said for row in rows], batch_first=True, padding_value=run.pad)


def extended(steps: Rewinds, read: list[list[int]], device: torch.device) -> Tensor:
    """Read tokens, as many of each row as there are; return the scores (B, T, V) after each."""
    width = max(map(len, read))
    tokens = torch.tensor([row + [0] * (width - len(row)) for row in read], device=device)
    counts = [len(row) for row in read]
    even = set(counts) == {width}
    return steps.extend(tokens, None if even else torch.tensor(counts, device=device))


def _decide(run: Search, rows: list[Row], scores: Tensor, offered: list[list[int]]) -> list[int]:
    """Say tokens in each row until one is not the draft's; return how many were said."""
    found, kept = Choices(run, scores), []
    for place, (row, draft) in enumerate(zip(rows, offered, strict=True)):
        history, count = row.history, 0
        while not row.done:
            token = found(place, count, row)
            history.append(token)
            row.done = bool(
                run.stop(
                    token,
                    history.new,
                    history.origin,
                    lambda history=history: shown(history, run.pad),
                    None if run.record.scores is None else row.scores,
                )
            )
            count += 1
            if count > len(draft) or int(token) != draft[count - 1]:
                break
        kept.append(count)
    return kept


class Choices:
    """What a plain search would choose at each place of some rows, (B, T, V) scores."""

    def __init__(self, run: Search, scores: Tensor, *, keeps: bool = True) -> None:
        self.run, self.scores = run, scores
        self.best: tuple[Tensor, Tensor] | None = None
        record = run.record
        self.records = keeps and not (record.scores is None and record.logits is None)
        if not run.controls and run.chance is None and not self.records:
            best, tokens = scores.max(-1)
            self.best = tokens, best > float("-inf")

    def __call__(self, row: int, place: int, of: Row) -> Tensor:
        """Choose the token (1,) of one row after its history, whose scores are at `place`."""
        history, run = of.history, self.run
        if self.best is not None:
            token, possible = (part[row, place, None] for part in self.best)
        else:
            logits = self.scores[row, place, None].float()
            shaped = logits.clone()  # controls may write over what they get
            for control in run.controls:
                shaped = control(history, shaped)
            if self.records:
                of.logits.append(logits[0])
                of.scores.append(shaped[0])
            if run.chance is None:
                best, token = shaped.max(-1)
                possible = best > float("-inf")
            else:
                number = torch.tensor([of.number], device=logits.device)
                token = run.chance.draw(shaped, number, 1, history.new + 1)[:, 0]
                possible = shaped.amax(-1).isfinite()
        if not possible:
            raise no_choice(history.new + 1, torch.tensor([of.number]))
        return token


def _tell(run: Search, rows: list[Row], heard: int) -> int:
    """Pass on the columns that are whole; return how many were."""
    if run.hear is None:
        return heard
    longest = max(row.history.new for row in rows)
    whole = min([row.history.new for row in rows if not row.done], default=longest)
    for column in range(heard, whole):
        said = [int(row.said[column]) if column < row.history.new else run.pad for row in rows]
        run.hear(torch.tensor(said))
    return max(heard, whole)


def _collect(run: Search, rows: list[Row]) -> None:
    """Join the records of all rows step by step; zeros after a row's end."""
    for name in ("scores", "logits"):
        record = getattr(run.record, name)
        if record is not None:
            columns = pad_sequence([torch.stack(getattr(row, name)) for row in rows])
            record.extend(columns.unbind(0))
