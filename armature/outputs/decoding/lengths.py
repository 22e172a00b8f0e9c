"""How long each row may get, and what fills the rows that end before others."""

from __future__ import annotations

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.prompt import Prompt
from armature.outputs.decoding.rules import tokens_of
from armature.outputs.decoding.settings import note
from armature.outputs.decoding.steps import Generates

_NEW = 20  # new tokens where nothing says how many
_MOST = 1 << 40  # some tokenizers state a maximum length that no tensor could hold


def new_token_limits(model: Generates, prompt: Prompt, config: GenerationConfig) -> Tensor:
    """Return how many new tokens each prompt may get, (B,).

    `max_length` counts a row's own tokens, not its padding: a row gets what it would get alone.

    Raises:
        ArgumentError: a prompt leaves no room for a new token.
    """
    lengths = prompt.lengths
    longest, positions = int(lengths.max()), getattr(model, "max_positions", None)
    if positions is not None and longest > positions:
        raise ArgumentError(
            f"the prompt holds {longest} tokens, but the model has positions for {positions}.\n"
            "  → truncate it: tokenizer(text, truncation=True, max_length=…)"
        )
    if config.max_new_tokens is not None:
        limits = torch.full_like(lengths, min(config.max_new_tokens, _MOST))
    elif config.max_length is not None:
        limits = min(config.max_length, _MOST) - lengths
        if longest >= config.max_length:
            raise ArgumentError(
                f"the prompt holds {longest} tokens, which leaves nothing of "
                f"`max_length={config.max_length}`.\n  → pass max_new_tokens=… instead"
            )
    else:
        limits = torch.full_like(lengths, _NEW)
    if positions is not None:
        limits = _within(positions, lengths, limits)
    _say_what_cannot_be(config, lengths, limits)
    return limits


def padding_token(config: GenerationConfig, rows: int) -> int:
    """Return the id that fills rows which end before others."""
    pads = tokens_of(config.pad_token_id)
    if pads:
        return pads[0]
    chosen = [*tokens_of(config.eos_token_id), *tokens_of(config.bos_token_id), 0][0]
    if rows > 1:
        note(
            f"generate(): no `pad_token_id` is set, so rows that end early are filled with {chosen}"
        )
    return chosen


def _within(positions: int, lengths: Tensor, limits: Tensor) -> Tensor:
    """Keep to the model's positions: its last one still has a token after it."""
    room = positions + 1 - lengths
    if bool((room < limits).any()):
        note(f"generate(): a text ends where the model's {positions} positions do")
    return limits.minimum(room)


def _say_what_cannot_be(config: GenerationConfig, lengths: Tensor, limits: Tensor) -> None:
    if config.min_new_tokens is not None:
        name, least = "min_new_tokens", torch.full_like(lengths, config.min_new_tokens)
    else:
        name, least = "min_length", (config.min_length or 0) - lengths
    if bool((least > limits).any()):
        note(
            f"generate(): `{name}={getattr(config, name)}` cannot be reached: "
            f"{int(limits.min())} new tokens are allowed"
        )
