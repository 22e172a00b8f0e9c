"""Requests: one prompt each, on its way through an engine."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.generate import Callbacks
from armature.outputs.decoding.prompt import Prompt
from armature.outputs.decoding.search import Search

_ENDED = object()


class Request:
    """One prompt on its way through an engine."""

    def __init__(self, prompt: Prompt, config: GenerationConfig, callbacks: Callbacks) -> None:
        self.prompt, self.config, self.callbacks = prompt, config, callbacks
        self.copies = config.num_return_sequences or 1
        self.limit = 0
        """How many new tokens it may get."""
        self.cancelled = False
        self.run: Search | None = None
        self.plain = False
        """Whether nothing but the scores decides on its tokens."""
        self.ends: set[int] = set()
        self.live: list[int] = list(range(self.copies))
        """The copies that still go on."""
        self.said: list[list[int]] = [[] for _ in range(self.copies)]
        self._future: Future[Tensor] = Future()
        self._told: SimpleQueue[Any] = SimpleQueue()

    @property
    def room(self) -> int:
        """How many tokens it may hold in all, which are reserved for it."""
        return self.copies * (int(self.prompt.lengths[0]) + self.limit)

    @property
    def done(self) -> bool:
        """Whether its result, or its error, is there."""
        return self._future.done()

    def result(self, timeout: float | None = None) -> Tensor:
        """Wait for its ids, (num_return_sequences, L): prompt and new tokens, as of generate().

        Raises:
            CancelledError: it was cancelled.
            TimeoutError: it took longer than `timeout` seconds.
        """
        return self._future.result(timeout)

    def __iter__(self) -> Iterator[int]:
        """Yield each new token as soon as it is there; of several copies, the first's.

        Raises:
            CancelledError: it was cancelled.
        """
        while (token := self._told.get()) is not _ENDED:
            yield token
        self._told.put(_ENDED)  # for whoever else iterates
        self._future.result()

    def cancel(self) -> None:
        """Stop before the next token; its room is free then."""
        self.cancelled = True

    # ---------------------------------------------------------------- for the engine

    def tell(self, tokens: list[int]) -> list[bool]:
        """Take the new token of each live copy; return which of them are done."""
        done = []
        for copy, token in zip(self.live, tokens, strict=True):
            self.said[copy].append(token)
            done.append(token in self.ends or len(self.said[copy]) >= self.limit)
            if copy == 0:
                self._told.put(token)
        return done

    def drop(self, done: list[bool]) -> None:
        """Go on without the copies that are done."""
        kept = [i for i, one in enumerate(done) if not one]
        if self.run is not None and not self.plain and kept:
            self.run.history.select(torch.tensor(kept))
        self.live = [self.live[i] for i in kept]

    def finish(self, pad: int) -> None:
        """Give out the result."""
        new = [torch.tensor(tokens, dtype=torch.long) for tokens in self.said]
        padded = pad_sequence(new, batch_first=True, padding_value=pad)
        start = self.prompt.ids.cpu().expand(self.copies, -1)
        self._settle(result=torch.cat([start, padded], 1))

    def finish_whole(self, new: Tensor) -> None:
        """Give out a result of which all new tokens, (copies, new), came at once."""
        for token in new[0].tolist():
            self._told.put(token)
        start = self.prompt.ids.expand(self.copies, -1)
        self._settle(result=torch.cat([start, new], 1).clone())

    def fail(self, error: BaseException) -> None:
        """Give out an error in place of a result."""
        self._settle(error=error)

    def _settle(self, result: Tensor | None = None, error: BaseException | None = None) -> None:
        if not self._future.done():
            if error is None:
                self._future.set_result(result)  # type: ignore[arg-type]
            else:
                self._future.set_exception(error)
        self._told.put(_ENDED)
