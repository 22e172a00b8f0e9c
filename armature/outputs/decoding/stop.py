"""When a row is done: it said an end token or a stop string, or the caller's own rule says so."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.rules import tokens_of


class StoppingCriteria:
    """Base of a caller's own rules: (ids so far (R, L), scores or None) → which rows are done."""

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor | bool:
        """Return True for the rows that are done, (R,), or one answer for all."""
        raise NotImplementedError


class StoppingCriteriaList(list[Callable[..., Any]]):
    """Rules of which any ends a row."""

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        """Return which rows are done, (R,)."""
        return _any(self, input_ids, scores, **kwargs)


class StopStrings(StoppingCriteria):
    """A row is done once its last token completes one of some texts."""

    def __init__(self, tokenizer: Any, stop_strings: str | Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.texts = [stop_strings] if isinstance(stop_strings, str) else list(stop_strings)
        if not self.texts or not all(isinstance(text, str) and text for text in self.texts):
            raise ArgumentError(f"`stop_strings` should be texts, but is {stop_strings!r}")
        self.most = max(len(text.encode()) for text in self.texts)
        """How many tokens may hold a text: a token holds a byte at least."""

    def __call__(self, input_ids: Tensor, scores: Any = None, **kwargs: Any) -> Tensor:
        """Return which rows end with a stop string, wherever in the last token it ends."""
        rows = input_ids[:, -self.most - 1 :].tolist()
        return torch.tensor([self._ended(row) for row in rows], device=input_ids.device)

    def _ended(self, ids: list[int]) -> bool:
        before, text = self._text(ids[:-1]), self._text(ids)
        same = 0  # how far the text stood before the last token; its bytes may complete a character
        while same < min(len(before), len(text)) and before[same] == text[same]:
            same += 1
        # The first token is there to be read before: cut out of its text, it may read otherwise.
        begin = len(self._text(ids[:1])) if len(ids) > self.most else 0
        return any(text.find(stop, max(begin, same - len(stop) + 1)) >= 0 for stop in self.texts)

    def _text(self, ids: list[int]) -> str:
        return self.tokenizer.decode(
            ids, skip_special_tokens=False, clean_up_tokenization_spaces=False
        )


class MaxTime(StoppingCriteria):
    """All rows are done once so many seconds have passed."""

    def __init__(self, seconds: float) -> None:
        self.end = time.monotonic() + seconds

    def __call__(self, input_ids: Tensor, scores: Any = None, **kwargs: Any) -> bool:
        """Return whether time is up."""
        return time.monotonic() >= self.end


class Stop:
    """All the rules of one call."""

    def __init__(self, ends: Tensor, limits: Tensor, rules: Sequence[Callable[..., Any]]) -> None:
        self.ends = ends
        """(E,) the tokens that end a row."""
        self.limits = limits
        """(B,) how many new tokens each prompt may get."""
        self.rules = rules
        self.first, self.last = int(limits.min()), int(limits.max())

    def __call__(
        self, tokens: Tensor, new: int, origin: Tensor, ids: Callable[[], Tensor], scores: Any
    ) -> Tensor:
        """Return which rows are done, (R,).

        Args:
            tokens: The token that each row just got, (R,).
            new: How many new tokens each row has, this one included.
            origin: The prompt of each row, (R,).
            ids: Gives each row's tokens, (R, L), this one included; called only if a rule asks.
            scores: What the caller's rules get as `scores`.
        """
        if new >= self.last:
            return torch.ones_like(tokens, dtype=torch.bool)
        done = self.ended(tokens, ids, scores)
        return done | (self.limits[origin] <= new) if new >= self.first else done

    def ended(self, tokens: Tensor, ids: Callable[[], Tensor], scores: Any) -> Tensor:
        """Return which rows are done, (R,), however long they are."""
        done = (tokens[:, None] == self.ends).any(1)
        return done | _any(self.rules, ids(), scores) if self.rules else done


def stop(
    config: GenerationConfig,
    limits: Tensor,
    rules: Iterable[Callable[..., Any]] | None,
    tokenizer: Any,
) -> Stop:
    """Return the rules of one call.

    Args:
        config: Its settings.
        limits: (B,) how many new tokens each prompt may get.
        rules: The caller's own.
        tokenizer: What `stop_strings` are found with.

    Raises:
        ArgumentError: `stop_strings` without a tokenizer.
    """
    found: list[Callable[..., Any]] = []
    if config.max_time is not None:
        found.append(MaxTime(config.max_time))
    if config.stop_strings:
        if tokenizer is None:
            raise ArgumentError(
                "`stop_strings` are found in text, and generate() only sees ids.\n"
                "  → pass tokenizer=tokenizer"
            )
        found.append(StopStrings(tokenizer, config.stop_strings))
    ends = torch.tensor(tokens_of(config.eos_token_id), dtype=torch.long, device=limits.device)
    return Stop(ends, limits, [*found, *(rules or ())])


def _any(rules: Iterable[Callable[..., Any]], ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
    done = torch.zeros(len(ids), dtype=torch.bool, device=ids.device)
    for rule in rules:
        answer = rule(ids, scores, **kwargs)
        done |= answer.to(done.device) if isinstance(answer, Tensor) else bool(answer)
    return done
