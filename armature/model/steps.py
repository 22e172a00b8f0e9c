"""Steps: a body and its word scores, as decoding sees them: start, step, select."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from armature.batch import Layout
from armature.layers.cache import Cache
from armature.layers.context import Record
from armature.layers.embed import Inputs
from armature.model.stack import Stack


class StackSteps:
    """Decode with a stack: the prompt once, then one token for each row at a time."""

    def __init__(
        self,
        stack: Stack,
        score: Callable[[Tensor], Tensor],
        prompt: Inputs,
        capacity: int,
        memory: tuple[Tensor, Layout] | None = None,
    ) -> None:
        self._stack, self._score = stack, score
        self._prompt, self._memory = prompt, memory
        self.cache = Cache(capacity)
        # New tokens go on in the segment of the prompt's last one, and after its position.
        self._types: Tensor | None = None  # (B,)
        self._positions = torch.empty(0)  # (B,)

    def start(self) -> Tensor:
        """Return the (B, V) scores of the token after each prompt."""
        layout = self._prompt.layout
        if self._prompt.positions is None:
            # A row's positions count its own tokens, so padding beside it changes nothing.
            self._prompt.positions = layout.counts
        states = self._run(self._prompt)
        ends = torch.tensor(layout.starts, device=states.device)
        ends = ends + torch.tensor(layout.lengths, device=states.device) - 1
        self._types = None if self._prompt.types is None else self._prompt.types[ends]
        self._positions = self._prompt.positions[ends] + 1
        return self._score(states[ends])

    def step(self, tokens: Tensor) -> Tensor:
        """(B,) tokens chosen → (B, V) scores of those that follow."""
        past = self.cache.lengths
        layout = Layout((1,) * len(past), 1, tokens.device, past=past)
        inputs = Inputs(layout, tokens=tokens, types=self._types, positions=self._positions)
        self._positions = self._positions + 1
        return self._score(self._run(inputs))

    def select(self, rows: Tensor) -> None:
        """Go on with these rows, in this order; a row may be named several times."""
        self.cache.select(rows)
        self._types = None if self._types is None else self._types[rows]
        self._positions = self._positions[rows]

    def _run(self, inputs: Inputs) -> Tensor:
        memory, layout = self._memory or (None, None)
        return self._stack(inputs, Record(), cache=self.cache, memory=memory, memory_layout=layout)
