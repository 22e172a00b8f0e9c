"""A model small enough to be checked by hand: its scores depend on a row's last two tokens."""

from __future__ import annotations

import pytest
import torch

from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.generate import generate

PRIME = 1_000_003


def scores_after(first, second, start, vocabulary, spread=8.0):
    """Return exact scores (…, V) that any machine computes alike.

    `first` and `second` are a row's last two tokens, `start` a number of the encoder's text.
    """
    token = torch.arange(vocabulary)
    mixed = (first * 7919 + second * 104_729 + start * 15_485_863)[..., None] + token * 1_299_709
    mixed = mixed * (mixed % 8191 + 17) % PRIME
    return (mixed.double() / PRIME * spread - spread / 2).float()


class TableSteps:
    """Keeps each row's last two tokens as its cache, so that a wrong `select` shows."""

    def __init__(self, model, prompt, mask, inputs):
        self.model, self.calls = model, 0
        self.kept = [row[m] for row, m in zip(prompt, self._real(prompt, mask), strict=True)]
        self.last = torch.stack([row[-1] for row in self.kept])
        self.before = torch.stack(
            [row[-2] if len(row) > 1 else torch.tensor(0) for row in self.kept]
        )
        self.start_value = torch.zeros(len(prompt), dtype=torch.long)
        if model.is_encoder_decoder:
            text = inputs["input_ids"]
            real = self._real(text, inputs.get("attention_mask"))
            self.start_value = (text * real).sum(1) + real.sum(1)

    @staticmethod
    def _real(ids, mask):
        return torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()

    def _scores(self):
        return scores_after(self.before, self.last, self.start_value, self.model.vocabulary)

    def start(self):
        return self._scores()

    def step(self, tokens):
        self.calls += 1
        self.model.rows_run += len(tokens)
        assert tokens.shape == self.last.shape
        self.before, self.last = self.last, tokens
        return self._scores()

    def select(self, rows):
        self.before, self.last = self.before[rows], self.last[rows]
        self.start_value = self.start_value[rows]


class TableModel:
    """A model in the sense of `Generates`."""

    device = torch.device("cpu")
    config = None

    def __init__(self, vocabulary=24, *, encoder=False, max_positions=None, **settings):
        self.vocabulary, self.is_encoder_decoder = vocabulary, encoder
        self.generation_config = GenerationConfig(**settings)
        self.rows_run = 0
        if max_positions is not None:
            self.max_positions = max_positions

    def steps(self, prompt, prompt_mask, inputs, capacity):
        assert capacity > prompt.shape[1]
        return TableSteps(self, prompt, prompt_mask, inputs)

    def generate(self, *args, **kwargs):
        return generate(self, *args, **kwargs)


@pytest.fixture
def table_model():
    return TableModel


class Letters:
    """A tokenizer whose tokens are bytes, two bytes, or special: 0-255, 256…, and 300 = "</s>"."""

    clean_up_tokenization_spaces = False

    def __init__(self, pairs=()):
        self.pairs = {256 + i: pair for i, pair in enumerate(pairs)}
        self.decoded = 0

    def decode(self, ids, skip_special_tokens=False, clean_up_tokenization_spaces=None):
        self.decoded += len(ids)
        parts = []
        for token in ids:
            if token == 300:
                parts.append(b"" if skip_special_tokens else b"</s>")
            else:
                parts.append(self.pairs.get(token) or bytes([token]))
        return b"".join(parts).decode("utf-8", errors="replace")


@pytest.fixture
def letters():
    return Letters
