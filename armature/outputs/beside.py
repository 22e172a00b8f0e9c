"""Beside: heads that read the tokens of a text alone, where an image's patches follow them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import torch
from torch import Tensor

from armature.batch import Layout
from armature.config import Config
from armature.outputs import tasks
from armature.outputs.heads import Ends, HeadModule, Tokens, Words
from armature.outputs.picking import Given

TEXT = "text"  # where embeddings tell, in `Inputs.further`, which tokens are the text's

_KINDS: dict[type[tasks.Head], type[HeadModule]] = {
    tasks.MaskedLM: Words,
    tasks.TokenClassifier: Tokens,
    tasks.Spans: Ends,
}


def mark_text(layout: Layout, text: Layout) -> dict[str, Any]:
    """Return what tells which packed tokens of `layout` are of the text that each row begins with.

    Args:
        layout: of texts and patches.
        text: of the texts alone.
    """
    first = torch.zeros(layout.rows, layout.width, dtype=torch.bool, device=layout.device)
    first[:, : text.width] = True
    return {TEXT: (layout.pack(first), text)}


def build_text_head(spec: tasks.Head, config: Config, body: Any) -> HeadModule:
    """Build a head that scores a text's tokens and sees no patch."""
    kind = next(kind for task, kind in _KINDS.items() if isinstance(spec, task))
    width, words = body.embed.width, body.embed.token.weight.shape
    sizes = (width, width, 2 if kind is Ends else int(config.num_labels))
    return _of_text(kind)(spec, config, (width, words[1], words[0]) if kind is Words else sizes)


@cache
def _of_text(kind: type[Any]) -> type[Any]:
    class OfText(kind):
        """It gets the states of the text's tokens."""

        def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
            which, layout = given.further[TEXT]
            return super().forward(x[which], replace(given, layout=layout))

    OfText.__name__ = kind.__name__
    return OfText
