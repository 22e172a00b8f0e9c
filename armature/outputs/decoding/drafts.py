"""Drafts: what a text may go on with, looked up in the text itself or said by a smaller model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding.assist import Choices, Row, extended
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.prompt import Prompt
from armature.outputs.decoding.search import Search
from armature.outputs.decoding.steps import Generates, Rewinds, able

_COUNT, _SURE, _NGRAM = 20, 0.4, 2  # settings that nobody made

_LEARNT: WeakKeyDictionary[Any, int] = WeakKeyDictionary()
"""How many tokens to draft, by assistant, where a schedule lasts beyond one call."""


def check_drafting(model: Generates, config: GenerationConfig, assistant: Any) -> None:
    """Refuse what does not go with drafts, or with this assistant.

    Raises:
        ArgumentError: naming both and the remedy.
    """
    name = "prompt_lookup_num_tokens" if assistant is None else "assistant_model"
    for other, asked in {
        "num_beams": (config.num_beams or 1) > 1,
        "penalty_alpha": config.penalty_alpha and not config.do_sample,
        "dola_layers": config.dola_layers,
        "use_cache": config.use_cache is False,
        "output_attentions": config.output_attentions,
        "output_hidden_states": config.output_hidden_states,
    }.items():
        if asked:
            raise ArgumentError(
                f"`{name}` checks drafts of one text for each row with a cache, which does not go "
                f"with `{other}={getattr(config, other)!r}`.\n  → drop one of the two"
            )
    if assistant is None:
        return
    if config.prompt_lookup_num_tokens:
        raise ArgumentError(
            "`assistant_model` and `prompt_lookup_num_tokens` both draft.\n  → drop one of the two"
        )
    if not hasattr(assistant, "steps"):
        raise ArgumentError(
            f"`assistant_model` should be a model that can generate, but is a "
            f"{type(assistant).__name__}.\n  → AutoModelForCausalLM.from_pretrained(…) opens one"
        )
    if bool(assistant.is_encoder_decoder) == bool(model.is_encoder_decoder):
        return
    if assistant.is_encoder_decoder or not shares_encoder(assistant):
        raise _otherwise()


def shares_encoder(assistant: Any) -> bool:
    """Return whether an assistant is a decoder that attends to what another's encoder made."""
    return "encoder_outputs" in getattr(assistant, "input_names", ())


def check_shared(model: Generates, assistant: Any, inputs: dict[str, Any]) -> None:
    """Refuse a decoder as an assistant where nothing is encoded yet that it could attend to.

    Raises:
        ArgumentError: saying what to pass.
    """
    if assistant is None:
        return
    alone = model.is_encoder_decoder and not assistant.is_encoder_decoder
    if alone and "encoder_outputs" not in inputs:
        raise _otherwise()


def _otherwise() -> ArgumentError:
    return ArgumentError(
        "`assistant_model` reads its prompt otherwise: only one of the two models has an "
        "encoder.\n  → choose an assistant of the same kind"
    )


class Lookup:
    """Drafts that repeat what followed the last tokens when they were said before."""

    def __init__(self, prompt: Prompt, config: GenerationConfig, origin: Tensor) -> None:
        self.count = config.prompt_lookup_num_tokens or 0
        self.size = config.max_matching_ngram_size or _NGRAM
        self.before: list[Tensor] = [prompt.ids.new_empty(0)] * len(origin)
        if prompt.source is not None and prompt.source is not prompt.ids:  # an encoder's text
            real = prompt.source_mask
            texts = [
                text if real is None else text[real[i]] for i, text in enumerate(prompt.source)
            ]
            self.before = [texts[i] for i in origin.tolist()]

    def draft(self, rows: list[Row]) -> list[list[int]]:
        """Look up each row's last tokens."""
        return [
            []
            if row.done
            else looked_up(
                torch.cat((self.before[row.number], row.text)), self.size, min(self.count, row.room)
            )
            for row in rows
        ]

    def learn(self, rows: list[Row], offered: list[int], kept: list[int]) -> None:
        """Do nothing: a text does not change its mind."""

    def select(self, live: Tensor) -> None:
        """Do nothing: rows are known by their numbers."""


def looked_up(text: Tensor, size: int, count: int) -> list[int]:
    """Return up to `count` tokens that followed the last `size` or fewer tokens before.

    >>> looked_up(torch.tensor([1, 2, 3, 4, 1, 2]), 2, 3)
    [3, 4, 1]
    """
    for width in range(min(size, len(text) - 1), 0, -1):
        runs = text[:-1].unfold(0, width, 1)
        found = (runs == text[-width:]).all(1).nonzero().flatten() + width
        if len(found) and count > 0:
            whole = found[found + count <= len(text)]  # the latest that says enough, or the first
            begin = int(whole[-1] if len(whole) else found[0])
            return text[begin : begin + count].tolist()
    return []


class Assistant:
    """Drafts of a smaller model with the same vocabulary, which reads along."""

    def __init__(
        self, model: Generates, prompt: Prompt, config: GenerationConfig, run: Search, capacity: int
    ) -> None:
        """Let the assistant read the prompts.

        Args:
            model: The assistant.
            prompt: What it begins with.
            config: The call's settings; what they leave open is in the assistant's own.
            run: The search, for how tokens are chosen.
            capacity: Tokens of a row to make room for.
        """
        self.model, own = model, model.generation_config

        def setting(name: str, default: Any) -> Any:
            value = getattr(config, name)
            value = getattr(own, name) if value is None else value
            return default if value is None else value

        self.schedule = setting("num_assistant_tokens_schedule", "constant")
        count = int(setting("num_assistant_tokens", _COUNT))
        if self.schedule == "heuristic":
            count = _LEARNT.get(model, count)
        self.counts = [count] * len(run.history.origin)  # by number of the row
        self.sure = setting("assistant_confidence_threshold", _SURE)
        self.most = getattr(model, "max_positions", None) or 1 << 40
        self.run = replace(run, controls=run.plain)
        steps = model.steps(prompt.ids, prompt.mask, prompt.inputs, capacity)
        self.steps: Rewinds = able(steps, ("extend", "crop"), "drafting")
        self.reads = prompt.ids.shape[1] <= self.most
        self.held: list[list[int]] = []
        """What it has read of each row."""
        if self.reads:
            self.vocabulary = self.steps.start().shape[-1]
            self.steps.select(run.history.origin)
            real = prompt.ids >= 0 if prompt.mask is None else prompt.mask
            texts = [row[known].tolist() for row, known in zip(prompt.ids, real, strict=True)]
            self.held = [texts[i] for i in run.history.origin.tolist()]

    def text(self, row: Row) -> list[int]:
        """Return the tokens of a row as the assistant knows them."""
        return row.text.tolist()

    def draft(self, rows: list[Row]) -> list[list[int]]:
        """Say what the assistant would, for as long as it is sure enough."""
        drafts: list[list[int]] = [[] for _ in rows]
        if not self.reads:
            return drafts
        wanted, read = self._caught_up(rows)
        ahead = [replace(row, history=row.history.part(None)) for row in rows]
        device = self.run.history.ids.device
        while any(read):
            scores = extended(self.steps, read, device)
            ends = [len(one) - 1 for one in read]
            self.held = [before + one for before, one in zip(self.held, read, strict=True)]
            last = torch.tensor(ends, device=device).clamp(min=0)
            found = self.chosen(scores[torch.arange(len(rows), device=device), last, None], ahead)
            read = [[] for _ in rows]
            for i, end in enumerate(ends):
                token = found(i) if end >= 0 else None
                if token is not None:
                    drafts[i].append(token)
                    if len(drafts[i]) < wanted[i]:
                        read[i] = [token]
        return drafts

    def _caught_up(self, rows: list[Row]) -> tuple[list[int], list[list[int]]]:
        """Forget what was not kept; return how much to draft, and what there is to read first."""
        wanted, surplus, read = [], [], []
        for i, row in enumerate(rows):
            want = 0 if row.done else min(self.counts[row.number], row.room)
            text = self.text(row) if want > 0 else []
            want = min(want, self.most - len(text))
            wanted.append(want)
            if want <= 0:
                surplus.append(0)
                read.append([])
                continue
            known = min(_common(text, self.held[i]), len(text) - 1)
            surplus.append(len(self.held[i]) - known)
            self.held[i] = self.held[i][:known]
            read.append(text[known:])
        if any(surplus):
            self.steps.crop(torch.tensor(surplus, device=self.run.history.ids.device))
        return wanted, read

    def chosen(self, scores: Tensor, ahead: list[Row]) -> Callable[[int], int | None]:
        """Return what gives the next token of a row, None where the assistant is not sure."""
        missing = self.run.vocabulary - scores.shape[-1]  # tables are padded to round sizes
        scores = torch.nn.functional.pad(scores, (0, missing), value=float("-inf"))
        choose = Choices(self.run, scores, keeps=False)
        likely = scores[:, 0].float().softmax(-1)

        def found(i: int) -> int | None:
            token = choose(i, 0, ahead[i])
            ahead[i].history.append(token)
            return None if self.sure and likely[i, token] < self.sure else int(token)

        return found

    def learn(self, rows: list[Row], offered: list[int], kept: list[int]) -> None:
        """Follow the schedule."""
        for row, many, good in zip(rows, offered, kept, strict=True):
            if many and self.schedule != "constant":
                count = self.counts[row.number]
                self.counts[row.number] = count + 2 if good >= many else max(1, count - 1)
                if self.schedule == "heuristic":
                    _LEARNT[self.model] = self.counts[row.number]

    def select(self, live: Tensor) -> None:
        """Go on with these rows only."""
        if self.reads:
            self.steps.select(live)
            self.held = [self.held[i] for i in live.tolist()]


def _common(one: list[int], other: list[int]) -> int:
    """Return how many tokens two texts begin with alike."""
    least = min(len(one), len(other))
    if one[:least] == other[:least]:
        return least
    return next(i for i in range(least) if one[i] != other[i])
