"""Drafts across vocabularies: an assistant writes text, which the model's tokenizer reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding.assist import Row
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.drafts import Assistant
from armature.outputs.decoding.prompt import Prompt
from armature.outputs.decoding.search import Search
from armature.outputs.decoding.steps import Generates


def assistant(
    model: Generates,
    prompt: Prompt,
    config: GenerationConfig,
    run: Search,
    capacity: int,
    tokenizers: tuple[Any, Any],
) -> Assistant:
    """Return the drafts of an assistant, which may have a vocabulary of its own.

    Raises:
        ArgumentError: it has, and a tokenizer is missing or an encoder reads the prompts.
    """
    own, its = tokenizers
    if its is not None and own is None:
        raise ArgumentError(
            "`assistant_tokenizer` turns the assistant's tokens into text, which needs the model's "
            "tokenizer, too.\n  → pass tokenizer=tokenizer"
        )
    if its is not None and own.get_vocab() != its.get_vocab():
        if model.is_encoder_decoder:
            raise ArgumentError(
                "an assistant with another vocabulary cannot read an encoder's inputs.\n"
                "  → choose an assistant with the model's own vocabulary"
            )
        return Translator(model, prompt, config, run, capacity, own, its)
    found = Assistant(model, prompt, config, run, capacity)
    if its is None and found.reads and found.vocabulary != run.vocabulary:
        raise ArgumentError(
            f"the vocabularies of the model, {run.vocabulary} tokens, and of `assistant_model`, "
            f"{found.vocabulary}, are not the same.\n"
            "  → pass tokenizer=… and assistant_tokenizer=… of the two"
        )
    return found


class Translator(Assistant):
    """Drafts of an assistant with its own vocabulary: what its text is in the model's."""

    def __init__(  # noqa: PLR0913
        self,
        model: Generates,
        prompt: Prompt,
        config: GenerationConfig,
        run: Search,
        capacity: int,
        own: Any,
        its: Any,
    ) -> None:
        """Let the assistant read the prompts in its own tokens; see `Assistant`."""
        self.own, self.its = own, its
        real = prompt.mask
        texts = [row if real is None else row[real[i]] for i, row in enumerate(prompt.ids)]
        read = [self._translated(text) or [0] for text in texts]
        width = max(map(len, read))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in read])
        mask = torch.tensor([[False] * (width - len(row)) + [True] * len(row) for row in read])
        device = prompt.ids.device
        there = replace(prompt, ids=ids.to(device), mask=mask.to(device), inputs={})
        super().__init__(model, there, config, run, capacity + width)

    def _translated(self, text: Tensor) -> list[int]:
        words = self.own.decode(text.tolist(), skip_special_tokens=True)
        return list(self.its(words)["input_ids"])

    def text(self, row: Row) -> list[int]:
        """Return the tokens of a row as the assistant knows them."""
        return self._translated(row.text) or [0]

    def draft(self, rows: list[Row]) -> list[list[int]]:
        """Translate what the assistant says; nothing where the two texts do not join."""
        return [
            self._back(row, draft) if draft else []
            for row, draft in zip(rows, super().draft(rows), strict=True)
        ]

    def _back(self, row: Row, draft: list[int]) -> list[int]:
        ids = row.text.tolist()
        text = self.own.decode(ids, skip_special_tokens=True)
        before = self.text(row)
        longer = self.its.decode(before + draft, skip_special_tokens=True)
        shorter = self.its.decode(before, skip_special_tokens=True)
        if not longer.startswith(shorter):
            return []
        plain = {"add_special_tokens": False}
        known = list(self.own(text, **plain)["input_ids"])
        whole = list(self.own(text + longer[len(shorter) :], **plain)["input_ids"])
        return whole[len(known) :][: row.room] if whole[: len(known)] == known else []

    def chosen(self, scores: Tensor, ahead: list[Row]) -> Callable[[int], int | None]:
        """Return what gives the assistant's best token, None where it is not sure."""
        best, tokens = scores[:, 0].float().softmax(-1).max(-1)
        sure, said = (best >= self.sure).tolist(), tokens.tolist()
        return lambda i: said[i] if sure[i] else None
