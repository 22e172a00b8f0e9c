"""Token healing: a prompt's last token may go on as a longer one, as it would inside a text.

A prompt is cut into tokens where it ends, "http:" perhaps, though the text goes on with "//" and
"://" is a token. So the last token is chosen anew, among those that begin with it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from armature.errors import ArgumentError
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.prompt import Prompt
from armature.outputs.decoding.rules import tokens_of
from armature.outputs.decoding.steps import Generates

_LONGER, _SAME = 10.0, 11.0  # added to the scores of tokens that go on, and of the token itself


def healed(model: Generates, prompt: Prompt, config: GenerationConfig, tokenizer: Any) -> Prompt:
    """Return the prompts with their last tokens chosen anew, spaces at their ends left out.

    Raises:
        ArgumentError: there is no tokenizer, or an encoder reads the prompts.
    """
    if tokenizer is None:
        raise ArgumentError(
            "`token_healing` looks for tokens that begin like the last one, and generate() only "
            "sees ids.\n  → pass tokenizer=tokenizer"
        )
    if model.is_encoder_decoder:
        raise ArgumentError(
            "`token_healing` mends the end of a decoder's prompt, but here an encoder reads it.\n"
            "  → drop it"
        )
    mask = prompt.ids >= 0 if prompt.mask is None else prompt.mask
    rows = [
        _stripped(ids[real].tolist(), tokenizer) for ids, real in zip(prompt.ids, mask, strict=True)
    ]
    others = {row: _longer(ids[-1], tokenizer) for row, ids in enumerate(rows)}
    begin = tokens_of(config.bos_token_id)[:1]
    before = {
        row: rows[row][:-1] or begin
        for row, found in others.items()
        if len(found) > 1 and (len(rows[row]) > 1 or begin)
    }
    if before:
        ids, real = _padded(list(before.values()), 0, prompt)
        scores = model.steps(ids, real, {}, ids.shape[1] + 1).start().float()
        for place, row in enumerate(before):
            known = [token for token in others[row] if token < scores.shape[-1]]
            scores[place, known] += _LONGER
            scores[place, rows[row][-1]] += _SAME - _LONGER
            rows[row][-1] = int(scores[place].argmax())
    pads = [*tokens_of(config.pad_token_id), *tokens_of(config.eos_token_id), 0]
    ids, real = _padded(rows, pads[0], prompt)
    whole = None if bool(real.all()) else real
    return replace(prompt, ids=ids, mask=whole, source=ids, source_mask=whole)


def _stripped(ids: list[int], tokenizer: Any) -> list[int]:
    """Return ids without spaces at the end of their text, whose tokens would begin a word."""
    text = tokenizer.decode(ids, skip_special_tokens=True)
    if text == text.rstrip():
        return ids
    return list(tokenizer(text.rstrip())["input_ids"]) or ids


def _longer(token: int, tokenizer: Any) -> list[int]:
    """Return the tokens that begin as this one does, itself included."""
    [start] = tokenizer.convert_ids_to_tokens([token])
    return sorted(other for text, other in tokenizer.get_vocab().items() if text.startswith(start))


def _padded(rows: list[list[int]], pad: int, prompt: Prompt) -> tuple[torch.Tensor, torch.Tensor]:
    width, device = max(map(len, rows)), prompt.ids.device
    ids = [[pad] * (width - len(row)) + row for row in rows]
    real = [[False] * (width - len(row)) + [True] * len(row) for row in rows]
    return torch.tensor(ids, device=device), torch.tensor(real, device=device)
