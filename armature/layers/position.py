"""Positions: trained tables, and rotations of queries and keys with every published scaling."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from armature.batch import Layout, extremes
from armature.errors import ArgumentError, ConfigError, nearest

Table = tuple[Tensor, Tensor]  # cosines and sines, each (N, width / 2)


class Learned(nn.Module):
    """A trained table of positions; a token's row is its column, or its rank among real tokens."""

    by_column = False  # whether decoding, too, counts padding before a text

    def __init__(self, size: int, width: int, offset: int, pad: int | None) -> None:
        super().__init__()  # a computed table of size 0 has no end
        self.size, self.width, self.offset, self.pad = size, width, offset, pad
        self._make()

    def _make(self) -> None:
        self.weight = nn.Parameter(torch.empty(self.size, self.width))

    def rows(self, layout: Layout, tokens: Tensor | None, whole: Tensor | None = None) -> Tensor:
        """Return (N,) positions before the offset.

        Args:
            layout: of the packed batch.
            tokens: (N,) packed ids.
            whole: (B, T) ids with their padding; absent where it holds the table's padding id.
        """
        if self.pad is None or tokens is None:
            return layout.columns
        # HF: tokens that equal the padding id are not counted, even where the mask keeps them;
        # all others are, even where it hides them.
        whole = layout.unpack(tokens, fill=self.pad) if whole is None else whole
        before = layout.pack((whole != self.pad).long().cumsum(1) - 1)
        if layout.past:
            before = before + torch.tensor(layout.past, device=tokens.device)[layout.row_of]
        return torch.where(tokens != self.pad, before, self.pad - self.offset)

    def after(self, columns: Tensor, tokens: Tensor) -> Tensor:
        """Return the rows (B,) of new tokens (B,) in these columns, counted from all before."""
        return (
            columns
            if self.pad is None
            else torch.where(tokens != self.pad, columns + self.offset, self.pad)
        )

    def forward(self, positions: Tensor) -> Tensor:
        """(N,) rows before the offset → (N, D)."""
        rows = positions + self.offset
        seen = extremes(rows)
        if self.size and seen and seen[1] >= self.size:
            raise ArgumentError(
                f"a sequence reaches position {seen[1] - self.offset}, but the model has "
                f"positions only up to {self.size - self.offset - 1}: "
                "shorten the text (truncation=True) or split it"
            )
        return self._look_up(rows)

    def _look_up(self, rows: Tensor) -> Tensor:
        return nn.functional.embedding(rows, self.weight)


class Counted(Learned):
    """A trained table whose row is a token's rank among the real tokens of its row."""

    def rows(self, layout: Layout, tokens: Tensor | None, whole: Tensor | None = None) -> Tensor:
        """Return (N,) positions before the offset."""
        return layout.counts


class Sinusoidal(Learned):
    """Computed positions: the sines of all waves, then their cosines (Vaswani et al., 2017)."""

    def _make(self) -> None:
        self._memo: dict[torch.device, Tensor] = {}

    def _look_up(self, rows: Tensor) -> Tensor:
        seen = extremes(rows)
        needed = max(self.size, seen[1] + 1 if seen else 0)
        table = self._memo.get(rows.device)
        if table is None or len(table) < needed:
            table = self._table(needed)
            if self.pad is not None:
                table[self.pad] = 0.0
            table = self._memo[rows.device] = table.to(rows.device)
        return nn.functional.embedding(rows, table)

    def _table(self, rows: int) -> Tensor:
        half = (self.width + 1) // 2
        slowness = 10000.0 ** (2 * torch.arange(half, dtype=torch.float64) / self.width)
        angles = torch.arange(rows, dtype=torch.float64)[:, None] / slowness
        return torch.cat((angles.sin(), angles[:, : self.width - half].cos()), 1).float()


class StoredSinusoidal(Sinusoidal):
    """Computed positions that a file may hold; then its own count, rounded as they are."""

    def _make(self) -> None:
        self.register_buffer("weight", torch.empty(self.size, self.width))
        if not self.weight.is_meta:
            self.weight.copy_(self._table(self.size))

    def compute(self, weight: Tensor) -> None:
        """Fill the table, which the file lacks: saving leaves it out again."""
        weight.copy_(self._table(self.size))
        self._non_persistent_buffers_set.add("weight")

    def _look_up(self, rows: Tensor) -> Tensor:
        return nn.functional.embedding(rows, self.weight)


class ClosedSinusoidal(Sinusoidal):
    """Computed positions whose slowest wave turns exactly 10,000 times slower than the fastest."""

    def _table(self, rows: int) -> Tensor:
        # HF: in float32 throughout, which far positions show.
        half = self.width // 2
        speeds = torch.exp(torch.arange(half).float() * -(math.log(10000) / (half - 1)))
        angles = torch.arange(rows).float()[:, None] * speeds
        odd = torch.zeros(rows, self.width % 2)
        return torch.cat((angles.sin(), angles.cos(), odd), 1)


class Rotary(nn.Module):
    """Rotary positions (Su et al., 2021): angles for each token, applied to queries and keys."""

    def __init__(self, width: int, settings: dict[str, Any], *, interleaved: bool) -> None:
        super().__init__()
        self.width, self.settings, self.interleaved = width, settings, interleaved
        self.switch: int | None = None  # how long a text is before all of it is read anew
        kind = settings.get("rope_type", "default")
        if kind not in _FREQUENCIES:
            known = nearest(str(kind), _FREQUENCIES)
            raise ConfigError(f"config.json: rope_type {kind!r} is not known.{known}")
        self._frequencies = _FREQUENCIES[kind]
        self.fixed = kind not in ("dynamic", "longrope")  # whatever the length of a text
        self._memo: dict[tuple[int, torch.device], tuple[Tensor, float]] = {}

    def forward(self, positions: Tensor, layout: Layout) -> Table:
        """(N,) positions → cosines and sines (N, width / 2)."""
        device = positions.device
        if self.fixed:
            frequencies, scale = self._of_length(0, device)
        else:  # a function of each sequence's own length, so that neighbours never matter
            rows = [self._of_length(total, device) for total in layout.totals]
            frequencies = torch.stack([row[0] for row in rows])[layout.row_of]
            scales = torch.tensor([row[1] for row in rows], device=device)
            scale = scales[layout.row_of, None]
        angles = positions[:, None].float() * frequencies
        return angles.cos() * scale, angles.sin() * scale

    def _of_length(self, length: int, device: torch.device) -> tuple[Tensor, float]:
        trained = self.settings.get("original_max_position_embeddings")
        trained = trained or self.settings.get("max_position_embeddings") or 0
        key = (length if length > trained else 0, device)
        if key not in self._memo:
            if len(self._memo) > 64:  # generation with "dynamic" asks for ever new lengths
                self._memo.clear()
            frequencies, scale = self._frequencies(self.width, self.settings, key[0])
            self._memo[key] = frequencies.to(device), scale
        return self._memo[key]

    def turn(self, x: Tensor, table: Table) -> Tensor:
        """Rotate (N, H, E); numbers beyond `width` stay as they are."""
        cos, sin = (part[:, None, :].to(x.dtype) for part in table)
        width = 2 * cos.shape[-1]  # an odd number of them is rounded up
        turned, rest = x[..., :width], x[..., width:]
        if self.interleaved:
            a, b = turned[..., 0::2], turned[..., 1::2]
            both = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1).flatten(-2)
        else:
            a, b = turned.chunk(2, dim=-1)
            both = torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)
        return torch.cat((both, rest), dim=-1) if rest.shape[-1] else both


def _powers(width: int, base: float) -> Tensor:
    return base ** (torch.arange(0, width, 2, dtype=torch.int64).float() / width)


def _default(width: int, settings: dict[str, Any], _length: int) -> tuple[Tensor, float]:
    return 1.0 / _powers(width, settings["rope_theta"]), 1.0


def _linear(width: int, settings: dict[str, Any], _length: int) -> tuple[Tensor, float]:
    return 1.0 / _powers(width, settings["rope_theta"]) / settings["factor"], 1.0


def _dynamic(width: int, settings: dict[str, Any], length: int) -> tuple[Tensor, float]:
    trained, factor = settings["max_position_embeddings"], settings["factor"]
    stretch = factor * max(length, trained) / trained - (factor - 1)
    base = settings["rope_theta"] * stretch ** (width / (width - 2))
    return 1.0 / _powers(width, base), 1.0


def _llama3(width: int, settings: dict[str, Any], _length: int) -> tuple[Tensor, float]:
    low, high = settings["low_freq_factor"], settings["high_freq_factor"]
    trained, factor = settings["original_max_position_embeddings"], settings["factor"]
    frequencies = 1.0 / _powers(width, settings["rope_theta"])
    wavelengths = 2 * math.pi / frequencies
    slowed = torch.where(wavelengths > trained / low, frequencies / factor, frequencies)
    blend = (trained / wavelengths - low) / (high - low)
    blended = (1 - blend) * slowed / factor + blend * slowed
    between = (wavelengths >= trained / high) & (wavelengths <= trained / low)
    return torch.where(between, blended, slowed), 1.0


def _yarn(width: int, settings: dict[str, Any], _length: int) -> tuple[Tensor, float]:
    base, trained = settings["rope_theta"], settings["original_max_position_embeddings"]
    factor = settings.get("factor") or settings["max_position_embeddings"] / trained

    def dimension(turns: float) -> float:
        return width * math.log(trained / (turns * 2 * math.pi)) / (2 * math.log(base))

    low = dimension(settings.get("beta_fast") or 32)
    high = dimension(settings.get("beta_slow") or 1)
    if settings.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, width - 1)
    ramp = (torch.arange(width // 2).float() - low) / ((high - low) or 0.001)
    keep = 1 - ramp.clamp(0, 1)
    powers = _powers(width, base)
    frequencies = (1 / (factor * powers)) * (1 - keep) + (1 / powers) * keep
    return frequencies, _yarn_scale(factor, settings)


def _yarn_scale(factor: float, settings: dict[str, Any]) -> float:
    def scale(weight: float) -> float:
        return 1.0 if factor <= 1 else 0.1 * weight * math.log(factor) + 1.0

    if settings.get("attention_factor") is not None:
        return float(settings["attention_factor"])
    if settings.get("mscale") and settings.get("mscale_all_dim"):
        return scale(settings["mscale"]) / scale(settings["mscale_all_dim"])
    return scale(1.0)


def _longrope(width: int, settings: dict[str, Any], length: int) -> tuple[Tensor, float]:
    longest = settings["max_position_embeddings"]
    trained = settings.get("original_max_position_embeddings") or longest
    factor = settings.get("factor") or longest / trained
    factors = settings["long_factor" if length > trained else "short_factor"]
    scale = settings.get("attention_factor")
    if scale is None:
        scale = 1.0 if factor <= 1 else math.sqrt(1 + math.log(factor) / math.log(trained))
    stretch = torch.tensor(factors, dtype=torch.float32)
    return 1.0 / (stretch * _powers(width, settings["rope_theta"])), float(scale)


_FREQUENCIES = {
    "default": _default,
    "linear": _linear,
    "dynamic": _dynamic,
    "llama3": _llama3,
    "yarn": _yarn,
    "longrope": _longrope,
    "su": _longrope,  # Phi-3's first spelling
}
