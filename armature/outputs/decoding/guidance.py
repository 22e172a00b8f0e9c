"""Guidance (Sanchez et al., 2023): what one prompt makes likelier than another one does."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.prompt import Prompt
from armature.outputs.decoding.steps import Generates, Steps, able


def guided(config: GenerationConfig) -> bool:
    """Return whether settings ask for guidance."""
    return config.guidance_scale not in (None, 1)


def check_guidance(model: Generates, config: GenerationConfig, negative: Any) -> None:
    """Refuse a second prompt that nothing is done with, and guidance where there can be none.

    Raises:
        ArgumentError: naming the reason and the remedy.
    """
    if negative is not None and not guided(config):
        raise ArgumentError(
            "`negative_prompt_ids` guides a text only by `guidance_scale`.\n"
            "  → pass guidance_scale=1.5, or more"
        )
    if guided(config) and model.is_encoder_decoder:
        raise ArgumentError(
            "`guidance_scale` contrasts two prompts of a decoder, but here an encoder reads the "
            "prompt.\n  → drop it"
        )


def second_prompt(prompt: Prompt, ids: Any, mask: Any) -> tuple[Tensor, Tensor | None]:
    """Return the ids (B, T) and the mask of what guides: the last tokens where nothing is given.

    Raises:
        ArgumentError: they do not fit the prompts.
    """
    if ids is None:
        if prompt.mask is None:
            return prompt.ids[:, -1:], None
        last = prompt.ids.shape[1] - 1 - prompt.mask.flip(1).long().argmax(1)
        return prompt.ids.gather(1, last[:, None]), None
    if not isinstance(ids, Tensor) or ids.dim() != 2 or len(ids) != prompt.rows or not ids.numel():
        shape = tuple(ids.shape) if isinstance(ids, Tensor) else type(ids).__name__
        raise ArgumentError(
            f"`negative_prompt_ids` should be token ids of shape ({prompt.rows}, tokens), one row "
            f"for each prompt, but is {shape}"
        )
    if mask is None:
        return ids.to(prompt.ids.device), None
    if not isinstance(mask, Tensor) or mask.shape != ids.shape or not bool(mask.any(1).all()):
        raise ArgumentError(
            "`negative_prompt_attention_mask` should be 1 where `negative_prompt_ids` hold a "
            f"token, of shape {tuple(ids.shape)}, and somewhere in each row"
        )
    return ids.to(prompt.ids.device), mask.to(prompt.ids.device) != 0


class Guided:
    """Steps of two prompts that go on with the same tokens."""

    def __init__(self, steps: Steps, other: Steps, scale: float) -> None:
        """Join the steps of the prompt and of what guides it; above 1, `scale` leads away."""
        self.steps, self.other, self.scale = steps, other, scale
        self.raw = torch.empty(0)
        """What the prompt alone made of the tokens just read."""

    def start(self) -> Tensor:
        """Read both prompts; return the scores (B, V) of each row's next token."""
        return self._joined(self.steps.start(), self.other.start())

    def step(self, tokens: Tensor) -> Tensor:
        """Append one token to each row of both."""
        return self._joined(self.steps.step(tokens), self.other.step(tokens))

    def extend(self, tokens: Tensor, counts: Tensor | None = None) -> Tensor:
        """Append tokens (B, T) to each row of both."""
        both = [able(s, ("extend", "crop"), "drafting") for s in (self.steps, self.other)]
        return self._joined(*(steps.extend(tokens, counts) for steps in both))

    def crop(self, counts: int | Tensor) -> None:
        """Forget the last tokens of each row of both."""
        for steps in (self.steps, self.other):
            able(steps, ("extend", "crop"), "drafting").crop(counts)

    def select(self, rows: Tensor) -> None:
        """Keep the rows named of both."""
        self.steps.select(rows)
        self.other.select(rows)
        self.raw = self.raw[rows]

    def _joined(self, scores: Tensor, other: Tensor) -> Tensor:
        self.raw = scores.float()
        scores, other = self.raw.log_softmax(-1), other.float().log_softmax(-1)
        # What cannot be said at all stays so: infinite minus infinite is no number.
        joined = other + self.scale * (scores - other)
        return torch.where(scores == float("-inf"), scores, joined)

    def __getattr__(self, name: str) -> Any:
        """Show what the prompt's own steps show: states, passes, a cache."""
        if name in ("join", "joins"):
            raise AttributeError(name)
        return getattr(self.__dict__["steps"], name)
