"""Beam search in groups, each apart from those before it, or towards words that must be said.

Diverse beam search (Vijayakumar et al., 2016): a group pays for each token that groups before it
have just said. Constrained beam search (Post & Vilar, 2018) is one group that also goes on with
what brings its texts nearer to the words demanded.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from armature.outputs.decoding.beam import NOTHING, Finished, Hypothesis
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.constraints import Demands, Going
from armature.outputs.decoding.controls import Diversity
from armature.outputs.decoding.search import Search, no_choice


@dataclass
class Lineup:
    """The running texts of one group of one prompt, and those that are finished."""

    prompt: int
    rows: list[int]
    """Which rows they are."""
    finished: Finished
    demands: Demands | None
    wanted: int
    """How many texts the caller wants."""
    done: bool = False


class GroupSearch:
    """One call: B prompts, each with G groups of W texts; rows lie by prompt, then by group."""

    def __init__(self, run: Search, config: GenerationConfig, demands: Demands | None) -> None:
        self.run, self.config = run, config
        self.groups = config.num_beam_groups or 1
        self.beams = config.num_beams or 1
        self.width = self.beams // self.groups
        self.prompts = len(run.history.origin)
        self.wide = self.width * max(2, 1 + len(run.stop.ends))
        self.diversity = next((c for c in run.controls if isinstance(c, Diversity)), None)
        self.lineups = [
            [self._lineup(prompt, group, demands) for prompt in range(self.prompts)]
            for group in range(self.groups)
        ]

    def _lineup(self, prompt: int, group: int, demands: Demands | None) -> Lineup:
        first = prompt * self.beams + group * self.width
        finished = Finished(self.config, self.run.stop.limits[prompt : prompt + 1], self.width)
        rows = list(range(first, first + self.width))
        return Lineup(prompt, rows, finished, demands, self.config.num_return_sequences or 1)

    def __call__(self, scores: Tensor) -> list[list[Hypothesis]]:
        """Return the finished texts of each prompt, best first; (B, V) scores of its first."""
        run, device = self.run, scores.device
        rows = torch.arange(self.prompts, device=device).repeat_interleave(self.beams)
        lineage = rows.new_empty(len(rows), 0)
        running = torch.full((len(rows),), NOTHING, device=device)
        running[:: self.width] = 0  # all texts of a group are alike at first: one of them counts
        run.history.select(rows)
        run.steps.select(rows)
        scores = scores[rows]
        while True:
            going = self._step(scores.float(), running, lineage)
            if all(lineup.done for group in self.lineups for lineup in group):
                return self._ranked()
            running = torch.tensor(going.scores, device=device)
            rows = torch.tensor(going.rows, device=device)
            tokens = torch.tensor(going.tokens, device=device)
            if run.record.keeps:
                lineage = torch.cat([lineage[rows], rows[:, None]], 1)
            run.history.select(rows)
            run.history.append(tokens)
            run.steps.select(rows)
            scores = run.steps.step(tokens if run.pad < run.vocabulary else self._known(tokens))

    def _known(self, tokens: Tensor) -> Tensor:
        """Return tokens that the model knows: the padding of a group that is done may be none."""
        return tokens.masked_fill(tokens >= self.run.vocabulary, 0)

    def _step(self, logits: Tensor, running: Tensor, lineage: Tensor) -> Going:
        """Let each group choose how to go on, one after another."""
        run = self.run
        total, shaped = Going([], [], []), torch.empty_like(logits)
        said = torch.empty(self.prompts, 0, dtype=torch.long, device=logits.device)
        found: list[list[Going]] = []
        for group in self.lineups:
            rows = torch.tensor([row for lineup in group for row in lineup.rows])
            rows = rows.to(logits.device)
            part, scores = run.history.part(rows), logits[rows].log_softmax(-1)
            if self.diversity is not None:
                self.diversity.said = said
            for control in run.controls:
                scores = control(part, scores)
            shaped[rows] = scores
            found.append(self._group(group, scores + running[rows, None], lineage))
            tokens = torch.tensor([going.tokens for going in found[-1]], device=said.device)
            said = torch.cat([said, tokens], 1)
        run.record.add(logits, shaped)
        for prompt in range(self.prompts):
            for group in found:
                total.extend(group[prompt])
        return total

    def _group(self, group: list[Lineup], scores: Tensor, lineage: Tensor) -> list[Going]:
        """Choose for all prompts' texts of one group, whose sums (B · W, V) are `scores`."""
        run, vocabulary = self.run, scores.shape[-1]
        flat = scores.view(self.prompts, -1)
        best, index = flat.topk(min(self.wide, flat.shape[1]))
        rows = torch.tensor([lineup.rows for lineup in group], device=scores.device)
        rows, tokens = rows.gather(1, index // vocabulary), index % vocabulary

        def ids() -> Tensor:
            return torch.cat([run.ids()[rows.flatten()], tokens.view(-1, 1)], 1)

        ended = run.stop.ended(tokens.flatten(), ids, run.record.scores).view_as(tokens)
        found = []
        for i, lineup in enumerate(group):
            stuck = not float(best[i, 0]) > float("-inf")
            if stuck and not lineup.done and not lineup.finished.best[0]:
                raise no_choice(run.history.new + 1, torch.tensor([lineup.prompt]))
            lineup.done |= stuck  # all that may be said has been found
            if lineup.done:
                zero = [0.0] * self.width
                found.append(Going(zero, lineup.rows, [run.pad] * self.width))
                continue
            going = Going(best[i].tolist(), rows[i].tolist(), tokens[i].tolist())
            found.append(self._choose(lineup, going, ended[i].tolist(), lineage))
            if lineup.demands is not None and not lineup.done:
                own = scores[i * self.width : (i + 1) * self.width]
                texts = {row: self._text(row) for row in lineup.rows}
                found[-1] = lineup.demands.advance(found[-1], lineup.rows, texts, own)
            new = run.history.new + 1
            if not lineup.done and new >= int(lineup.finished.limits[0]):
                self._close(lineup, found[-1], lineage)
        return found

    def _choose(self, lineup: Lineup, found: Going, ended: list[bool], lineage: Tensor) -> Going:
        """Set apart what has ended; return what goes on."""
        going, texts = Going([], [], []), list(found)
        for rank, text in enumerate(texts):
            if not ended[rank] and len(going.rows) < self.width:
                going.add(*text)
            elif ended[rank] and rank < self.width and self._counts(lineup, *text):
                self._add(lineup, *text, lineage)
        lineup.done = lineup.finished.beyond(found.scores[0], self.run.history.new + 1)
        if not going.rows:  # a rule of the caller's has ended everything
            lineup.done = True
            if not lineup.finished.best[0]:
                self._add(lineup, *texts[0], lineage)
        while len(going.rows) < self.width:
            going.add(NOTHING, *texts[0][1:])
        return going

    def _counts(self, lineup: Lineup, score: float, row: int, _token: int) -> bool:
        """Return whether a text that has ended is one: no empty twin, and with all its words."""
        real = score > NOTHING / 2
        return real and (lineup.demands is None or lineup.demands.met(self._text(row)))

    def _close(self, lineup: Lineup, going: Going, lineage: Tensor) -> None:
        """Finish what still runs where a text may not get longer."""
        lineup.done = True
        texts = list(going)
        whole = [
            lineup.demands is None or lineup.demands.met([*self._text(row), token])
            for _, row, token in texts
        ]
        # What is demanded may be impossible: then the best texts without it are better than none.
        for first in (True, False):
            if first or sum(whole) < lineup.wanted:
                for fits, (score, row, token) in zip(whole, texts, strict=True):
                    if fits == first:
                        self._add(lineup, score, row, token, lineage)

    def _text(self, row: int) -> list[int]:
        """Return the tokens of a row, its prompt among them."""
        return [token for token in self.run.history.ids[row].tolist() if token >= 0]

    def _add(self, lineup: Lineup, score: float, row: int, token: int, lineage: Tensor) -> None:
        history, finished = self.run.history, lineup.finished
        last = torch.tensor([token], device=history.ids.device)
        tokens = torch.cat([history.ids[row, history.prompt :], last])
        trail = None
        if self.run.record.keeps:
            trail = torch.cat([lineage[row], torch.tensor([row], device=lineage.device)])
        finished.add(0, Hypothesis(score / (history.new + 1) ** finished.power, tokens, trail))

    def _ranked(self) -> list[list[Hypothesis]]:
        """Return all groups' texts of each prompt, best first."""
        found = []
        for prompt in range(self.prompts):
            best = [h for group in self.lineups for h in group[prompt].finished.ranked()[0]]
            found.append(sorted(best, key=lambda hypothesis: -hypothesis.score))
        return found
