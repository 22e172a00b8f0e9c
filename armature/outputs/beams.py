"""Answers by beam: a head that weighs several beginnings of an answer before it ends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from armature.config import Config
from armature.layers.linear import Linear
from armature.layers.norm import LayerNorm

if TYPE_CHECKING:
    from armature.outputs import tasks
    from armature.outputs.heads import Given


class Beams(nn.Module):
    """An answer's ends by beam: a few first tokens, and a few last ones for each of them."""

    def __init__(self, _spec: tasks.Head, config: Config, sizes: tuple[int, int, int]) -> None:
        super().__init__()
        width = sizes[0]
        self.tops = int(config.start_n_top), int(config.end_n_top)
        self.start = Linear(width, 1)
        self.last = Linear(2 * width, width)
        self.last_norm = LayerNorm(width, eps=config.layer_norm_eps)
        self.last_out = Linear(width, 1)
        self.answer = Linear(2 * width, width)
        self.answer_out = Linear(width, 1, bias=False)

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → loss, or shares and places of the likeliest ends."""
        x, labels = given.layout.unpack(x), given.labels  # (B, T, D)
        hidden = labels.get("p_mask")  # (B, T), 1 where no answer may begin or end
        starts = _hide(self.start(x)[..., 0], hidden)
        if "start_positions" in labels and "end_positions" in labels:
            return {"loss": self._loss(x, starts, labels)}
        shares = starts.softmax(-1)
        best, places = shares.topk(min(self.tops[0], x.shape[1]), -1)  # (B, K)
        ends = self._ends(x, _rows(x, places), hidden).softmax(1)  # (B, T, K)
        last, last_places = ends.topk(min(self.tops[1], x.shape[1]), 1)
        mean = (shares[..., None] * x).sum(1)
        return {
            "start_top_log_probs": best,  # HF: shares, whatever the name says
            "start_top_index": places,
            "end_top_log_probs": last.flatten(1),
            "end_top_index": last_places.flatten(1),
            "cls_logits": self._answered(x, mean, labels.get("cls_index")),
        }

    def _ends(self, x: Tensor, firsts: Tensor, hidden: Tensor | None) -> Tensor:
        """(B, T, D) and the states of K first tokens (B, K, D) → scores (B, T, K)."""
        shape = (*x.shape[:2], *firsts.shape[1:])
        both = torch.cat((x[:, :, None].expand(shape), firsts[:, None].expand(shape)), -1)
        scores = self.last_out(self.last_norm(self.last(both).tanh()))[..., 0]
        return _hide(scores, None if hidden is None else hidden[..., None])

    def _answered(self, x: Tensor, first: Tensor, place: Tensor | None) -> Tensor:
        token = x[:, -1] if place is None else _rows(x, place.view(-1, 1))[:, 0]
        return self.answer_out(self.answer(torch.cat((first, token), -1)).tanh())[..., 0]

    def _loss(self, x: Tensor, starts: Tensor, labels: dict[str, Tensor]) -> Tensor:
        first, last = labels["start_positions"].view(-1), labels["end_positions"].view(-1)
        begun = _rows(x, first[:, None])
        ends = self._ends(x, begun, labels.get("p_mask"))[..., 0]
        entropy = nn.functional.cross_entropy
        loss = (entropy(starts, first) + entropy(ends, last)) / 2
        place, none = labels.get("cls_index"), labels.get("is_impossible")
        if place is None or none is None:
            return loss
        scores = self._answered(x, begun[:, 0], place)
        none = none.view(-1).to(scores.dtype)
        return loss + 0.5 * nn.functional.binary_cross_entropy_with_logits(scores, none)


def _rows(x: Tensor, places: Tensor) -> Tensor:
    """Return the (B, K, D) states of (B, T, D) at (B, K) places."""
    return x.gather(1, places[..., None].expand(*places.shape, x.shape[-1]))


def _hide(scores: Tensor, hidden: Tensor | None) -> Tensor:
    return scores if hidden is None else scores * (1 - hidden) - 1e30 * hidden
