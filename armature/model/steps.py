"""Steps: a body and its word scores, as decoding sees them: start, step, extend, crop, select."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers.cache import Cache
from armature.layers.context import Record
from armature.layers.embed import Inputs
from armature.layers.linear import steadily
from armature.layers.position import Rotary
from armature.layers.slots import Slots
from armature.model.plan import StackPlan, pages, plan
from armature.model.stack import Stack


@dataclass(frozen=True)
class Seen:
    """What one pass of a generation showed, layer by layer; each None where nobody asked."""

    hidden_states: tuple[Tensor, ...] | None = None  # (B, T, D), T as many as were read
    attentions: tuple[Tensor, ...] | None = None  # (B, H, T, S), S as many as the text has columns
    cross_attentions: tuple[Tensor, ...] | None = None


class StackSteps:
    """Decode with a stack: the prompt once, then some tokens of each row at a time."""

    def __init__(
        self,
        stack: Stack,
        score: Callable[[Tensor], Tensor],
        prompt: Inputs,
        capacity: int,
        memory: tuple[Tensor | None, Layout | None] = (None, None),
        place: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        """Keep what decoding needs.

        Args:
            stack: what reads tokens.
            score: (N, D) states → (N, V) scores of words.
            prompt: packed; its positions stay the stack's own business where `place` is given.
            capacity: tokens of a row, prompt included, to make room for.
            memory: what the stack attends to besides.
            place: columns and ids (N,) of new tokens → their positions.
        """
        self._stack, self._place = stack, place
        self._head = score
        self._prompt, self._memory = prompt, memory
        self.cache: Any = self._empty(capacity)
        self.whole: Tensor | None = None  # (B, T) where the caller's prompts have tokens
        self.seen: list[Seen] = []
        self.encoder_seen: dict[str, Any] = {}  # what an encoder showed, by the names of a result
        self._watched = (False, False)
        self._peeked: tuple[int, ...] = ()
        self._early: dict[int, Tensor] = {}  # packed states of the layers peeked at
        self._read: tuple[Tensor, tuple[int, ...]] = (torch.empty(0), ())
        self._rows: Tensor | None = None  # of the last pass that go on
        # New tokens go on in the segment of the prompt's last one, and after its position.
        self._types: Tensor | None = None  # (B,)
        self._positions = torch.empty(0)  # (B,)
        turns = [module for module in stack.modules() if isinstance(module, Rotary)]
        self._switch = next((turn.switch for turn in turns if turn.switch), None)
        self._fixed = all(turn.fixed for turn in turns)
        self._order = torch.arange(prompt.layout.rows)  # the prompt's rows that go on
        self._texts: list[Tensor] | None = None  # of each row, where all may be read anew
        self._always = self._stale = False
        if self._switch is not None and prompt.tokens is not None:
            self._texts = list(prompt.tokens.split(prompt.layout.lengths))

    def resume(self, cache: Cache) -> None:
        """Go on after what a cache holds, and keep what is read in it."""
        cache.capacity = max(cache.capacity, self.cache.capacity)
        self.cache = cache

    def keep(self, *, slides: bool | None) -> None:
        """Settle when layers that look back only so far let go; see `Cache.slides`."""
        windows = any(getattr(getattr(b, "attn", None), "window", None) for b in self._stack.blocks)
        if slides is None and windows and isinstance(self.cache, Slots):
            self.cache = Cache(self.cache.capacity)  # each layer needs a memory of its own
        self.cache.slides = slides

    def watch(self, *, states: bool, attentions: bool) -> None:
        """Keep in `seen` what each pass shows."""
        self._watched = (states, attentions)

    @property
    def depth(self) -> int:
        """How many layers a token passes."""
        return self._stack.depth

    def peek(self, layers: Sequence[int]) -> None:
        """Show in `earlier` what the states of these layers would say."""
        self._peeked = tuple(layers)

    @property
    def earlier(self) -> Tensor:
        """(L, B, V) scores by earlier layers of the token that follows what was just read."""
        lengths = torch.tensor(self._read[1], device=self._read[0].device)
        ends = lengths.cumsum(0) - 1
        ends = ends if self._rows is None else ends[self._rows]
        return torch.stack([self._score(self._early[i][ends]) for i in self._peeked])

    def reread(self) -> None:
        """Keep no cache: read the whole text anew for every word.

        Raises:
            ArgumentError: segments, or padding that counts, would be lost on the way.
        """
        prompt = self._prompt
        padded = self._place is not None and prompt.layout.index is not None
        if prompt.tokens is None or prompt.types is not None or padded:
            raise ArgumentError(
                "`use_cache=False` reads tokens alone, but this prompt holds segments or padding "
                "that the model counts.\n  → leave `use_cache` out; the tokens are the same"
            )
        self._texts, self._always = list(prompt.tokens.split(prompt.layout.lengths)), True

    @property
    def states(self) -> Tensor:
        """(B, T, D) the last hidden states of what was just read; rows begin at the left."""
        x, lengths = self._read
        if set(lengths) == {1}:
            padded = x[:, None]
        else:
            padded = pad_sequence(list(x.split(lengths)), batch_first=True)
        return padded if self._rows is None else padded[self._rows]

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

    def rest(self, rows: Tensor) -> None:
        """Let rows that are done, (B,) truths, but still read not pass the last position."""
        table = getattr(self._stack.embed, "position", None)
        if table is not None and getattr(table, "size", None):
            last = self._positions.clamp(max=table.size - table.offset - 1)
            self._positions = torch.where(rows, last, self._positions)

    def step(self, tokens: Tensor) -> Tensor:
        """(B,) tokens chosen → (B, V) scores of those that follow."""
        past = self.cache.lengths
        if self._texts is not None:
            pairs = zip(self._texts, tokens[:, None], strict=True)
            self._texts = [torch.cat(pair) for pair in pairs]
            if self._always or self._stale or self._switch in past:
                return self._read_anew()
        layout = Layout((1,) * len(past), 1, tokens.device, past=past)
        places = self._positions if self._place is None else self._place(self._positions, tokens)
        inputs = Inputs(layout, tokens=tokens, types=self._types, positions=places)
        self._positions = self._positions + 1
        return self._score(self._run(inputs))

    def extend(self, tokens: Tensor, counts: Tensor | None = None) -> Tensor:
        """(B, T) tokens, the first `counts` of each row → (B, T, V) scores of those that follow."""
        rows, width = tokens.shape
        if self._texts is not None or not self._fixed:  # what is turned depends on the length
            scores = torch.stack([self.step(column) for column in tokens.T], 1)
            if counts is not None:
                self.crop(width - counts)
            return scores
        columns = torch.arange(width, device=tokens.device).expand(rows, width)
        lengths, index = (width,) * rows, None
        if counts is not None:  # a row may read nothing
            lengths = tuple(counts.tolist())
            index = (columns < counts[:, None]).flatten().nonzero().squeeze(1)
        layout = Layout(lengths, width, tokens.device, index, past=self.cache.lengths)
        tokens, row_of = layout.pack(tokens), layout.row_of
        places = self._positions[row_of] + layout.pack(columns)
        if self._place is not None:
            places = self._place(places, tokens)
        types = None if self._types is None else self._types[row_of]
        states = self._run(Inputs(layout, tokens=tokens, types=types, positions=places))
        self._positions = self._positions + (width if counts is None else counts)
        return layout.unpack(self._score(states))

    def crop(self, counts: int | Tensor) -> None:
        """Forget the last tokens of each row: so many of all, or of each, (B,)."""
        before = self.cache.lengths
        self.cache.shorten(counts)
        self._positions = self._positions - counts
        if self._texts is not None:
            kept = self.cache.lengths
            self._texts = [text[:n] for text, n in zip(self._texts, kept, strict=True)]
            # A text that shrinks to where the switch is, is turned as it was before it.
            switch = self._switch or 0
            crossed = [new <= switch < old for old, new in zip(before, kept, strict=True)]
            self._stale = self._stale or any(crossed)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows, in this order; a row may be named several times."""
        self.cache.select(rows)
        self._types = None if self._types is None else self._types[rows]
        self._positions = self._positions[rows]
        self._rows = rows if self._rows is None else self._rows[rows]
        self._order = self._order[rows.cpu()]
        if self._texts is not None:
            self._texts = [self._texts[row] for row in rows.tolist()]

    def join(self, other: StackSteps) -> None:
        """Go on with the rows of another generation, too, below these."""
        self.cache.join(other.cache)
        if self._types is not None and other._types is not None:
            self._types = torch.cat((self._types, other._types))
        self._positions = torch.cat((self._positions, other._positions))
        self._order = torch.cat((self._order, other._order))
        self._read, self._rows = (torch.empty(0), ()), None  # no pass has read both

    @property
    def joins(self) -> bool:
        """Whether rows of several generations can go on together: none is ever read anew."""
        return self._texts is None and not any(self._watched)

    def _read_anew(self) -> Tensor:
        """Read all rows as prompts: the keys kept of them no longer fit, or none are."""
        assert self._texts is not None
        prompt, device = self._prompt, self._texts[0].device
        lengths = torch.tensor([len(text) for text in self._texts], device=device)
        real = torch.arange(int(lengths.max()), device=device) < lengths[:, None]
        layout = Layout.of(real, (len(lengths), real.shape[1]), device)
        further = {  # such as an image beside each text
            name: x[self._order.to(x.device) % len(x)] if isinstance(x, Tensor) and x.dim() else x
            for name, x in prompt.further.items()
        }
        self._prompt = Inputs(layout, tokens=torch.cat(self._texts), further=further)
        self.cache.forget()
        scores = self.start()
        self._prompt, self._stale = prompt, False
        return scores

    def _empty(self, capacity: int) -> Cache:
        return Slots(capacity) if pages(self._stack) else Cache(capacity)

    @cached_property
    def _plan(self) -> StackPlan | None:
        """The stack's program, written when it first runs: rows that join others need none."""
        return plan(self._stack, remembers=self._memory[0] is not None)

    def _score(self, states: Tensor) -> Tensor:
        """(N, D) states → (N, V) scores; where tokens lie anywhere, no row minds its neighbours."""
        if not isinstance(self.cache, Slots):
            return self._head(states)
        with steadily():
            return self._head(states)

    def _program(self, layout: Layout) -> StackPlan | None:
        """Return the stack's program if it can read what comes: one token for each of some rows."""
        single = bool(layout.past) and set(layout.lengths) == {1}
        fits = single and isinstance(self.cache, Slots)
        program = self._plan if fits and not (any(self._watched) or self._peeked) else None
        return program if program is not None and layout.rows <= program.most else None

    def _run(self, inputs: Inputs) -> Tensor:
        states, attentions = self._watched
        peeked = frozenset(self._peeked)
        program = self._program(inputs.layout)
        if program is not None:
            x = program.step(inputs, self.cache)
            self._read, self._rows = (x, inputs.layout.lengths), None
            return x
        memory, layout = self._memory
        every = frozenset(range(self._stack.depth + 1))
        record = Record(every if states else peeked, every if attentions else frozenset())
        x = self._stack(inputs, record, cache=self.cache, memory=memory, memory_layout=layout)
        self._read, self._rows = (x, inputs.layout.lengths), None
        self._early = record.kept_states if self._peeked else {}
        if states or attentions:
            self.seen.append(self._shown(record, inputs.layout))
        return x

    def _shown(self, record: Record, layout: Layout) -> Seen:
        """Return what a pass recorded, with the columns of the padded texts."""

        def tuple_of(kept: dict[int, Tensor]) -> tuple[Tensor, ...] | None:
            return tuple(kept[i] for i in sorted(kept)) or None

        states = {i: layout.unpack(x) for i, x in record.kept_states.items()}
        shares = record.kept_attentions
        if shares and self.whole is not None and layout is not self._prompt.layout:
            columns = self._columns(layout)
            shares = {i: _spread(share, columns) for i, share in shares.items()}
        return Seen(tuple_of(states), tuple_of(shares), tuple_of(record.kept_cross))

    def _columns(self, layout: Layout) -> list[Tensor]:
        """Return the column of every token so far, row by row, as the caller padded the prompts."""
        assert self.whole is not None
        real = self.whole[self._order.to(layout.device)]
        width, found = real.shape[1], []
        for row, total in zip(real, layout.totals, strict=True):
            first = row.nonzero().squeeze(1)
            new = torch.arange(width, width + total - len(first), device=row.device)
            found.append(torch.cat((first, new)))
        return found


def _spread(shares: Tensor, columns: list[Tensor]) -> Tensor:
    """(B, H, T, S) → (B, H, T, columns): put what a row looks at where its tokens stand."""
    width = max(int(column[-1]) + 1 for column in columns)
    wide = shares.new_zeros(*shares.shape[:3], width)
    for row, column in enumerate(columns):
        wide[row][..., column] = shares[row][..., : len(column)]
    return wide


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
