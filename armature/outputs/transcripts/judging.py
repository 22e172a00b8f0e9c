"""Judging: whether what was written of a piece repeats itself, is unlikely, or was silence."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from armature.outputs.transcripts.wishes import Wishes

_COOL = 0.5  # drawn at higher temperatures, a text is no guide for the next piece


@dataclass
class Judged:
    """What was written of one piece of a sound."""

    tokens: Tensor
    """(T,) without the prompt and the end."""
    result: Any
    """Ids with both (T′,), or a table of them and their scores."""
    wrong: bool = False
    """Whether to try again."""
    silent: bool = False
    """Whether nobody said anything."""
    sure: bool = True
    """Whether the next piece may be told."""
    times: Tensor | None = None
    """(T′,) seconds."""


def judge(  # noqa: PLR0913
    wishes: Wishes,
    result: Any,
    prompt: int,
    *,
    temperature: float | None,
    pad: int,
    ends: list[int],
    silence: float | None,
    vocabulary: int,
) -> Judged:
    """Judge one row.

    Args:
        wishes: its thresholds.
        result: ids (T,), or a table with `sequences` and `scores`.
        prompt: how many tokens were there before.
        temperature: what the tokens were drawn at.
        pad: fills rows that ended early.
        ends: the tokens that end a text.
        silence: how likely nobody says anything.
        vocabulary: V.
    """
    ids = result if isinstance(result, Tensor) else result["sequences"]
    tokens = _unpadded(ids[prompt:], pad, ends)
    found = Judged(tokens, result, sure=temperature is None or temperature < _COOL)
    most, least = wishes.compression_ratio_threshold, wishes.logprob_threshold
    if most is not None:
        found.wrong = _repeats(tokens, vocabulary) > most
    unlikely = True
    if least is not None and not isinstance(result, Tensor):
        unlikely = _likelihood(result["scores"], tokens, temperature) < least
        found.wrong = found.wrong or unlikely
    threshold = wishes.no_speech_threshold
    if threshold is not None and silence is not None and silence > threshold and unlikely:
        found.wrong, found.silent = False, True
    if len(tokens) and int(tokens[-1]) in ends:
        found.tokens = tokens[:-1]
    return found


def _unpadded(tokens: Tensor, pad: int, ends: list[int]) -> Tensor:
    """Return the tokens with their end, if they have one, and no padding."""
    count = len(tokens)
    while count and int(tokens[count - 1]) == pad:
        count -= 1
    return tokens[: count + 1] if pad in ends and count < len(tokens) else tokens[:count]


def _repeats(tokens: Tensor, vocabulary: int) -> float:
    """Return how much shorter the tokens get compressed."""
    width = int(math.log2(vocabulary) / 8) + 1
    plain = b"".join(token.to_bytes(width, "little") for token in tokens.tolist())
    return len(plain) / len(zlib.compress(plain))


def _likelihood(scores: list[Tensor], tokens: Tensor, temperature: float | None) -> float:
    """Return the mean logarithm of the tokens' shares, as they are before a temperature."""
    kept = min(len(scores), len(tokens))
    logs = (torch.stack(scores[:kept]).float() * (temperature or 1.0)).log_softmax(-1)
    chosen = logs.gather(-1, tokens[-kept:].to(logs.device)[:, None])
    return float(chosen.sum()) / max(len(tokens[-kept:]), 1)
