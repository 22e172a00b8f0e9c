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
    """Keeps each row's tokens as its cache, so that a wrong `select` or `crop` shows."""

    def __init__(self, model, prompt, mask, inputs):
        self.model, self.calls = model, 0
        self.texts = [row[m] for row, m in zip(prompt, self._real(prompt, mask), strict=True)]
        self.start_value = torch.zeros(len(prompt), dtype=torch.long)
        if model.is_encoder_decoder:
            text = inputs["input_ids"]
            real = self._real(text, inputs.get("attention_mask"))
            self.start_value = (text * real).sum(1) + real.sum(1)
        self._read(self.texts)

    @staticmethod
    def _real(ids, mask):
        return torch.ones_like(ids, dtype=torch.bool) if mask is None else mask.bool()

    def _scores(self):
        none = torch.zeros(2, dtype=torch.long)
        before, last = torch.stack([torch.cat((none, text))[-2:] for text in self.texts]).T
        scores = scores_after(before, last, self.start_value, self.model.vocabulary)
        return scores + self.model.noise(before, last, self.start_value)

    def _read(self, tokens):
        """Keep what was read as states: a vector for each token."""
        one = torch.tensor(1)
        vectors = [scores_after(row, one, 0 * one, 8) for row in tokens]
        self.states = torch.nn.utils.rnn.pad_sequence(vectors, batch_first=True)

    def start(self):
        return self._scores()

    def step(self, tokens):
        return self.extend(tokens[:, None])[:, 0]

    def extend(self, tokens, counts=None):
        self.calls += 1
        self.model.passes += 1
        assert len(tokens) == len(self.texts)
        counts = [tokens.shape[1]] * len(tokens) if counts is None else counts.tolist()
        self.model.rows_run += sum(counts)
        scores, whole = [], self.texts
        rows = zip(whole, tokens, counts, strict=True)
        after = [torch.cat((text, row[:n])) for text, row, n in rows]
        for place in range(tokens.shape[1]):
            kept = [text[: len(old) + place + 1] for old, text in zip(whole, after, strict=True)]
            self.texts = kept
            scores.append(self._scores())
        self.texts = after
        self._read([row[:n] for row, n in zip(tokens, counts, strict=True)])
        return torch.stack(scores, 1)

    def crop(self, counts):
        counts = [counts] * len(self.texts) if isinstance(counts, int) else counts.tolist()
        self.texts = [text[: len(text) - n] for text, n in zip(self.texts, counts, strict=True)]

    def select(self, rows):
        self.texts = [self.texts[row] for row in rows.tolist()]
        self.start_value, self.states = self.start_value[rows], self.states[rows]


class TableModel:
    """A model in the sense of `Generates`."""

    device = torch.device("cpu")
    config = None

    def __init__(self, vocabulary=24, *, encoder=False, max_positions=None, wrong=0.0, **settings):
        self.vocabulary, self.is_encoder_decoder = vocabulary, encoder
        self.wrong, self.passes = wrong, 0
        self.generation_config = GenerationConfig(**settings)
        self.rows_run = 0
        if max_positions is not None:
            self.max_positions = max_positions

    def noise(self, before, last, start):
        """Return what an assistant that is `wrong` gets wrong."""
        if not self.wrong:
            return 0.0
        return scores_after(last, before + 1, start + 5, self.vocabulary, self.wrong)

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
