"""Steps: a body and its word scores, as decoding sees them: start, step, select."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from armature.batch import Layout
from armature.layers.cache import Cache
from armature.layers.context import Record
from armature.layers.embed import Inputs
from armature.layers.position import Rotary
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
        place: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        """Keep what decoding needs.

        Args:
            stack: what reads tokens.
            score: (N, D) states → (N, V) scores of words.
            prompt: packed; its positions stay the stack's own business where `place` is given.
            capacity: tokens of a row, prompt included, to make room for.
            memory: what the stack attends to besides.
            place: columns and ids (B,) of new tokens → their positions.
        """
        self._stack, self._score, self._place = stack, score, place
        self._prompt, self._memory = prompt, memory
        self.cache = Cache(capacity)
        # New tokens go on in the segment of the prompt's last one, and after its position.
        self._types: Tensor | None = None  # (B,)
        self._positions = torch.empty(0)  # (B,)
        turns = (module for module in stack.modules() if isinstance(module, Rotary))
        self._switch = next((turn.switch for turn in turns if turn.switch), None)
        self._order = torch.arange(prompt.layout.rows)  # the prompt's rows that go on
        self._written: list[Tensor] = []  # (B,) tokens of each step, where all may be read anew

    def start(self) -> Tensor:
        """Return the (B, V) scores of the token after each prompt."""
        if self._place is None and self._prompt.positions is None:
            # A row's positions count its own tokens, so padding beside it changes nothing.
            self._prompt.positions = self._prompt.layout.counts
        states = self._run(self._prompt)
        layout = self._prompt.layout  # embeddings of one's own may change it
        places = layout.columns if self._place is not None else self._prompt.positions
        assert places is not None
        ends = layout.ends[1]
        self._types = None if self._prompt.types is None else self._prompt.types[ends]
        self._positions = places[ends] + 1
        return self._score(states[ends])

    def step(self, tokens: Tensor) -> Tensor:
        """(B,) tokens chosen → (B, V) scores of those that follow."""
        past = self.cache.lengths
        if self._switch is not None and self._prompt.tokens is not None:
            self._written.append(tokens)
            if self._switch in past:
                return self._anew(self._prompt.tokens)
        layout = Layout((1,) * len(past), 1, tokens.device, past=past)
        places = self._positions if self._place is None else self._place(self._positions, tokens)
        inputs = Inputs(layout, tokens=tokens, types=self._types, positions=places)
        self._positions = self._positions + 1
        return self._score(self._run(inputs))

    def select(self, rows: Tensor) -> None:
        """Go on with these rows, in this order; a row may be named several times."""
        self.cache.select(rows)
        self._types = None if self._types is None else self._types[rows]
        self._positions = self._positions[rows]
        if self._switch is not None:
            self._order = self._order[rows.cpu()]
            self._written = [one[rows] for one in self._written]

    def _anew(self, prompt: Tensor) -> Tensor:
        """Read the prompt and all that was written since as a prompt: older keys no longer fit."""
        texts = torch.stack(self._written, 1)  # (B, steps)
        starts = prompt.split(self._prompt.layout.lengths)
        rows = [torch.cat((starts[i], text)) for i, text in zip(self._order, texts, strict=True)]
        lengths = torch.tensor([len(row) for row in rows], device=prompt.device)
        real = torch.arange(int(lengths.max()), device=prompt.device) < lengths[:, None]
        layout = Layout.of(real, (len(rows), real.shape[1]), prompt.device)
        self._prompt = Inputs(layout, tokens=torch.cat(rows))
        self._order, self._written = torch.arange(len(rows)), []
        self.cache = Cache(self.cache.capacity)
        return self.start()

    def _run(self, inputs: Inputs) -> Tensor:
        memory, layout = self._memory or (None, None)
        return self._stack(inputs, Record(), cache=self.cache, memory=memory, memory_layout=layout)


class Rereading:
    """Base of steps that read the whole text anew for every word."""

    def __init__(self, ids: Tensor) -> None:
        self.ids = ids  # (B, T), the texts so far

    def start(self) -> Tensor:
        """Return the (B, V) scores of the token after each text."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it reads")

    def step(self, tokens: Tensor) -> Tensor:
        """(B,) tokens chosen → (B, V) scores of those that follow."""
        self.ids = torch.cat((self.ids, tokens[:, None]), 1)
        return self.start()

    def select(self, rows: Tensor) -> None:
        """Go on with these rows, in this order; a row may be named several times."""
        self.ids = self.ids[rows]
