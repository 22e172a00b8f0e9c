"""Digits as a pen writes them: strokes from a text file, bent, shaken and drawn as pictures."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

HERE = Path(__file__).parent
SIDE = 28  # pixels of a picture
FINE = 4  # times larger while the pen draws

Stroke = list[tuple[float, float]]
"""Points that a pen passes, each across and down, from 0 to 1."""


def read(name: str) -> list[tuple[int, list[Stroke]]]:
    """Return the digits of a text file and their strokes."""
    found = []
    for line in (HERE / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        digit, _, rest = line.partition(" ")
        strokes = [[_point(word) for word in part.split()] for part in rest.split("|")]
        found.append((int(digit), strokes))
    return found


def _point(word: str) -> tuple[float, float]:
    across, down = word.split(",")
    return int(across) / 100, int(down) / 100


def smooth(points: Stroke, steps: int = 8) -> Stroke:
    """Return a curve through all points (Catmull and Rom, 1974); twice the same is a corner."""
    line = [points[0], *points, points[-1]]
    found = []
    for a, b, c, d in zip(line, line[1:], line[2:], line[3:], strict=False):
        for step in range(steps):
            t = step / steps
            found.append(
                tuple(
                    0.5 * (2 * q + (r - p) * t + (2 * p - 5 * q + 4 * r - s) * t**2)
                    + 0.5 * (3 * q - p - 3 * r + s) * t**3
                    for p, q, r, s in zip(a, b, c, d, strict=True)
                )
            )
    return [*found, points[-1]]


def bent(strokes: list[Stroke], draw: random.Random) -> list[Stroke]:
    """Return the strokes in another hand: leaning, turned, stretched, moved, each point shaken."""
    lean, turn = draw.uniform(-0.35, 0.35), draw.gauss(0, 0.12)
    wide, high = draw.uniform(0.55, 1.05), draw.uniform(0.7, 1.05)
    size = draw.uniform(0.6, 0.92)
    shake = draw.uniform(0.0, 0.035)
    away = (draw.uniform(-1, 1) * (1 - size) / 2, draw.uniform(-1, 1) * (1 - size) / 2)
    cos, sin = math.cos(turn), math.sin(turn)

    def moved(x: float, y: float) -> tuple[float, float]:
        x, y = x - 0.5 + draw.gauss(0, shake), y - 0.5 + draw.gauss(0, shake)
        x, y = (x - lean * y) * wide, y * high
        x, y = x * cos - y * sin, x * sin + y * cos
        return 0.5 + x * size + away[0], 0.5 + y * size + away[1]

    found = []
    for stroke in strokes:
        stroke = [moved(*point) for point in stroke]
        found.append(stroke[::-1] if draw.random() < 0.5 else stroke)
    return found


def picture(strokes: list[Stroke], pen: float, ink: float = 1.0, blur: float = 0.5) -> Image.Image:
    """Return a grey picture of strokes, white on black; the pen is as wide as a share of it."""
    side = SIDE * FINE
    canvas = Image.new("L", (side, side))
    brush, radius = ImageDraw.Draw(canvas), pen * side / 2
    for stroke in strokes:
        curve = [(x * side, y * side) for x, y in smooth(stroke)]
        brush.line(curve, fill=255, width=max(1, round(2 * radius)), joint="curve")
        for x, y in (curve[0], curve[-1]):
            brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill=255)
    canvas = canvas.filter(ImageFilter.GaussianBlur(blur * FINE))
    small = canvas.resize((SIDE, SIDE), Image.Resampling.BOX)
    return small.point(lambda value: round(value * ink))


class Digits:
    """Makes pictures of digits without end, each in a hand of its own."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.noise = np.random.default_rng(seed)
        self.ways = read("strokes.txt")

    def one(self) -> tuple[np.ndarray, int]:
        """Return a picture (28, 28) from 0 to 1, and its digit."""
        draw = self.draw
        digit = draw.randrange(10)
        strokes = draw.choice([way for known, way in self.ways if known == digit])
        pen, ink = draw.uniform(0.05, 0.16), draw.uniform(0.6, 1.0)
        drawn = picture(bent(strokes, draw), pen, ink, draw.uniform(0.2, 0.8))
        pixels = np.asarray(drawn, dtype=np.float32) / 255
        pixels = pixels + self.noise.normal(0, draw.uniform(0, 0.06), pixels.shape)
        pixels = pixels.clip(0, 1)
        return (1 - pixels if draw.random() < 0.5 else pixels), digit

    def batch(self, count: int) -> dict[str, Tensor]:
        """Return pixels (count, 3, 28, 28) from -1 to 1, and labels (count,)."""
        pictures, digits = zip(*(self.one() for _ in range(count)), strict=True)
        pixels = torch.from_numpy(np.stack(pictures)).float()[:, None].expand(-1, 3, -1, -1)
        return {"pixel_values": 2 * pixels - 1, "labels": torch.tensor(digits)}

    def batches(self, count: int) -> Iterator[dict[str, Tensor]]:
        """Yield such batches without end."""
        while True:
            yield self.batch(count)
