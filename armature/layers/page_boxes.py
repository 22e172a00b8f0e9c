"""Boxes: where each token stands on its page, embedded, and as a bias of attention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from armature.batch import extremes
from armature.errors import ArgumentError
from armature.layers.attention import SelfAttention
from armature.layers.bias import Relative
from armature.layers.context import Context
from armature.layers.embed import Embedding
from armature.layers.kernels import Content, Rule

PAGE = 1000  # boxes are in thousandths of a page


class BoxTables(nn.Module):
    """Corners and sides of a box (Xu et al., 2020), their vectors one after another."""

    def __init__(self, size: int, corner: int, side: int) -> None:
        super().__init__()
        self.x, self.y = Embedding(size, corner), Embedding(size, corner)
        self.high, self.wide = Embedding(size, side), Embedding(size, side)

    def forward(self, boxes: Tensor) -> Tensor:
        """(…, 4) left, top, right, bottom → (…, 4 · corner + 2 · side)."""
        sides = (boxes[..., 2:] - boxes[..., :2]).clamp(0, 1023)
        seen, far = extremes(boxes), extremes(sides)
        if seen and far and not (seen[0] >= 0 and max(seen[1], far[1]) < self.x.num_embeddings):
            raise ArgumentError(
                f"bbox holds numbers from {seen[0]} to {seen[1]}, but the model knows 0 to "
                f"{self.x.num_embeddings - 1}: give left, top, right and bottom in thousandths "
                "of the page"
            )
        left, top, right, bottom = boxes.unbind(-1)
        corners = (self.x(left), self.y(top), self.x(right), self.y(bottom))
        return torch.cat((*corners, self.high(sides[..., 1]), self.wide(sides[..., 0])), -1)


def boxes_of(given: Mapping[str, Any], shape: tuple[int, int], device: torch.device) -> Tensor:
    """Return the boxes (B, T, 4) that a call gives its tokens; zeros where it gives none."""
    boxes = given.get("bbox")
    if boxes is None:
        return torch.zeros(*shape, 4, dtype=torch.long, device=device)
    if tuple(boxes.shape) != (*shape, 4):
        raise ArgumentError(
            f"bbox has the shape {tuple(boxes.shape)}, but the input has {shape} tokens: give "
            "four numbers for each"
        )
    return boxes.to(device).long()


def grid_boxes(down: int, across: int, device: torch.device) -> Tensor:
    """Return the (down · across, 4) boxes of squares that a page is cut into, row by row."""
    x = torch.arange(0, PAGE * (across + 1), PAGE, device=device) // across
    y = torch.arange(0, PAGE * (down + 1), PAGE, device=device) // down
    left, right = x[:-1].expand(down, -1), x[1:].expand(down, -1)
    top, bottom = y[:-1, None].expand(-1, across), y[1:, None].expand(-1, across)
    return torch.stack((left, top, right, bottom), -1).flatten(0, 1)


class BoxBias(nn.Module):
    """Biases by how far tokens are apart: in the text, and across and down the page."""

    def __init__(
        self, heads: int, flat: tuple[int, int] | None, page: tuple[int, int] | None
    ) -> None:
        super().__init__()
        self.flat = None if flat is None else Relative(heads, *flat, bidirectional=True)
        self.x = None if page is None else Relative(heads, *page, bidirectional=True)
        self.y = None if page is None else Relative(heads, *page, bidirectional=True)

    def content(self, places: Tensor, boxes: Tensor, real: Tensor, factor: float) -> Content:
        """Return what adds the biases to the scores of some rows, once for all layers.

        Args:
            places: (B, T) of tokens in their text.
            boxes: (B, T, 4) of theirs on the page.
            real: (B, T) which of them others see: padding is computed, too.
            factor: on the biases.
        """
        made: dict[int, Tensor] = {}

        def add(_q: Tensor, _k: Tensor, rows: slice) -> Tensor:
            if rows.start not in made:
                biases = factor * self._biases(places[rows], boxes[rows])
                hidden = ~real[rows, None, None, :]
                made[rows.start] = biases.masked_fill(hidden, float("-inf"))
            return made[rows.start]

        return add

    def _biases(self, places: Tensor, boxes: Tensor) -> Tensor:
        """(b, T) and (b, T, 4) → (b, H, T, T)."""
        kinds = ((self.flat, places), (self.x, boxes[..., 0]), (self.y, boxes[..., 3]))
        found = places.new_zeros(*places.shape[:1], 1, *2 * places.shape[1:], dtype=torch.float32)
        for bias, numbers in kinds:
            if bias is not None:
                found = found + torch.stack([bias(one, one) for one in numbers])
        return found


class BoxedAttention(SelfAttention):
    """Attention whose scores know where tokens stand on a page."""

    def _rule(self, context: Context) -> Rule:
        return replace(super()._rule(context), content=context.shared.get("content"))
