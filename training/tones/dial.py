"""The tones of telephone keys, two sines each, as lines and rooms and hands make them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

RATE = 16_000  # samples a second
KEYS = ("123A", "456B", "789C", "*0#D")
LOW, HIGH = (697, 770, 852, 941), (1209, 1336, 1477, 1633)  # Hz, of rows and columns
WORDS = {"<pad>": 0, "<s>": 1, "</s>": 2, "<unk>": 3, "|": 4} | {
    key: place for place, key in enumerate("0123456789*#ABCD", 5)
}
"""Letters of the model, by their ids; the first is the blank between two of them."""


class Line:
    """Dials random numbers: each call of `number` is another hand on another line."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.noise = np.random.default_rng(seed)

    def tone(self, key: str, seconds: float, off: float = 0.0) -> np.ndarray:
        """Return one key's sound, its pitches off by a share, its ends faded in and out."""
        row = next(place for place, keys in enumerate(KEYS) if key in keys)
        times = np.arange(round(seconds * RATE)) / RATE
        phases = self.noise.uniform(0, 2 * np.pi, 2)
        loud = 10 ** (self.draw.uniform(-4, 4) / 20)  # of one sine against the other
        low = np.sin(2 * np.pi * LOW[row] * (1 + off) * times + phases[0])
        high = np.sin(2 * np.pi * HIGH[KEYS[row].index(key)] * (1 + off) * times + phases[1])
        edge = np.minimum(1, np.minimum(times, times[::-1]) / 0.004)
        return (low + loud * high) / (1 + loud) * edge

    def dialled(self, keys: str, seconds: float, gap: float, off: float = 0.0) -> np.ndarray:
        """Return the keys one after another, each so many seconds long, with gaps between."""
        parts = [np.zeros(round(self.draw.uniform(0.02, 0.15) * RATE))]
        for key in keys:
            length = seconds * self.draw.uniform(0.8, 1.25)
            parts.append(self.tone(key, length, off))
            parts.append(np.zeros(round(gap * self.draw.uniform(0.7, 1.4) * RATE)))
        return np.concatenate(parts)

    def number(self, longest: int = 6) -> tuple[np.ndarray, str]:
        """Return a sound and the keys in it."""
        draw = self.draw
        keys = "".join(draw.choices("0123456789*#ABCD", k=draw.randint(1, longest)))
        sound = self.dialled(
            keys, draw.uniform(0.07, 0.2), draw.uniform(0.05, 0.15), draw.gauss(0, 0.005)
        )
        sound = sound + self.noise.normal(0, 10 ** draw.uniform(-3, -1), len(sound))
        hum = draw.choice((50, 60)) * np.arange(len(sound)) / RATE
        sound = sound + draw.uniform(0, 0.1) * np.sin(2 * np.pi * hum)
        return (sound * draw.uniform(0.05, 0.9)).astype(np.float32), keys

    def batch(self, count: int) -> dict[str, Tensor]:
        """Return sounds normed and padded (count, samples), their mask, and letters."""
        sounds, numbers = zip(*(self.number() for _ in range(count)), strict=True)
        samples, letters = max(map(len, sounds)), max(map(len, numbers))
        values, mask = torch.zeros(count, samples), torch.zeros(count, samples, dtype=torch.long)
        labels = torch.full((count, letters), -100)
        for row, (sound, keys) in enumerate(zip(sounds, numbers, strict=True)):
            normed = (sound - sound.mean()) / np.sqrt(sound.var() + 1e-7)
            values[row, : len(sound)], mask[row, : len(sound)] = torch.from_numpy(normed), 1
            labels[row, : len(keys)] = torch.tensor([WORDS[key] for key in keys])
        return {"input_values": values, "attention_mask": mask, "labels": labels}

    def batches(self, count: int) -> Iterator[dict[str, Tensor]]:
        """Yield such batches without end."""
        while True:
            yield self.batch(count)
