"""The tokens of every row so far, aligned at the right, so that all rows grow in one column."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from armature.outputs.decoding.prompt import Prompt

_ROOM = 256  # columns that are made room for at once


PADDING = -1


class History:
    """R rows of tokens: padding, then the prompt, then the new tokens.

    Wherever the caller put the padding and whatever its id, here it is PADDING on the left. So
    nothing that looks at a row's tokens can tell whether the row has neighbours.
    """

    def __init__(self, prompt: Prompt) -> None:
        ids = prompt.ids
        self.prompt = ids.shape[1]
        self.length = self.prompt
        self.origin = torch.arange(prompt.rows, device=ids.device)
        """(R,) the prompt that each row continues."""
        self.pads: Tensor | None = None
        """(R,) columns of padding on the left; None where no row has any."""
        if prompt.mask is not None:
            ids = ids.masked_fill(~prompt.mask, PADDING)
            ids = ids.gather(1, prompt.mask.long().argsort(dim=1, stable=True))
            self.pads = self.prompt - prompt.lengths
        self._ids = torch.nn.functional.pad(ids, (0, _ROOM))

    @property
    def ids(self) -> Tensor:
        """Return the tokens so far, (R, length)."""
        return self._ids[:, : self.length]

    @property
    def new(self) -> int:
        """Return how many tokens have been appended."""
        return self.length - self.prompt

    @property
    def lengths(self) -> Tensor | int:
        """Return how many real tokens each row holds: one number where it is the same for all."""
        return self.length if self.pads is None else self.length - self.pads

    def append(self, tokens: Tensor) -> None:
        """Append one token to each row, (R,)."""
        if self.length == self._ids.shape[1]:
            self._ids = torch.nn.functional.pad(self._ids, (0, self.length))
        self._ids[:, self.length] = tokens
        self.length += 1

    def select(self, rows: Tensor) -> None:
        """Keep the rows named, in that order; a row may be named several times."""
        self._ids = self._ids[rows]
        self.origin = self.origin[rows]
        if self.pads is not None:
            self.pads = self.pads[rows]

    def part(self, rows: Tensor | None) -> History:
        """Return a copy that goes its own way, of the rows named or of all."""
        found = copy.copy(self)
        if rows is None:
            found._ids = self._ids.clone()
        else:
            found.select(rows)
        return found
