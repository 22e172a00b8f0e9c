"""Streamers: text as it is generated, in pieces that never cut a character."""

from __future__ import annotations

import itertools
import re
import sys
from collections.abc import Iterator
from queue import Queue
from typing import Any

from torch import Tensor

from armature.errors import ArgumentError

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # how a decoder shows bytes that are not yet a character
_BYTE = re.compile(r"<0x[0-9A-F]{2}>$")  # a token that stands for one byte of a character
_RUN = 16  # how many of them to wait for
_WINDOW = 32  # tokens decoded again at each step, before the oldest half of them is let go


class BaseStreamer:
    """What generate() tells of its tokens: the prompt first, then one after another."""

    def put(self, value: Tensor) -> None:
        """Take the prompts (R, T), then the new token of each row (R,)."""
        raise NotImplementedError

    def end(self) -> None:
        """Take note that nothing follows."""
        raise NotImplementedError

    def fail(self, error: BaseException) -> None:
        """Take note that generation broke off; generate() raises `error` after this."""
        self.end()


class TextPieces:
    """Token ids → the text that they add, piece by piece.

    The pieces joined are what the tokenizer makes of all ids at once.
    """

    def __init__(self, tokenizer: Any, **decode_kwargs: Any) -> None:
        self.tokenizer, self.options = tokenizer, decode_kwargs
        self.cleans = decode_kwargs.get(
            "clean_up_tokenization_spaces",
            getattr(tokenizer, "clean_up_tokenization_spaces", False),
        )
        self.ids: list[int] = []
        self.told = 0
        """How many characters of the window's text have been given out."""

    def add(self, ids: list[int]) -> str:
        """Return the text that is certain now and was not before; perhaps none."""
        self.ids += ids
        settled = self.ids[: len(self.ids) - self._open_bytes()]
        text = self._decode(settled)
        certain = len(text.rstrip(_UNFINISHED))
        if self.cleans:  # cleaning may still join the last word to what follows it
            certain = min(certain, max(0, text.rfind(" ")))
        piece = text[self.told : certain]
        self.told = max(self.told, certain)
        if len(settled) > _WINDOW:
            self._shorten(settled, text)
        return piece

    def _open_bytes(self) -> int:
        """Return how many tokens at the end are single bytes, of which the next may make one.

        One byte that fits no character spoils a whole run of them, so a run waits until it ends;
        a very long one is taken to be sound.
        """
        names = getattr(self.tokenizer, "convert_ids_to_tokens", None)
        last = names(self.ids[-_RUN:]) if names else []
        bytes_ = itertools.takewhile(lambda name: bool(_BYTE.match(name or "")), reversed(last))
        return sum(1 for _ in bytes_)

    def finish(self) -> str:
        """Return the rest of the text and begin anew."""
        rest = self._decode(self.ids)[self.told :]
        self.ids, self.told = [], 0
        return rest

    def _decode(self, ids: list[int]) -> str:
        return self.tokenizer.decode(ids, **self.options)

    def _shorten(self, settled: list[int], text: str) -> None:
        """Let go of old tokens, if those that stay read the same without them."""
        tail = self._decode(settled[-_WINDOW // 2 :])
        gone = len(text) - len(tail)
        if text.endswith(tail) and gone < self.told:
            del self.ids[: len(settled) - _WINDOW // 2]
            self.told -= gone


class TextStreamer(BaseStreamer):
    """Writes text to standard output as it is generated.

    Args:
        tokenizer: What turns ids into text.
        skip_prompt: Whether to leave out the prompt.
        decode_kwargs: Options for `tokenizer.decode`, such as `skip_special_tokens=True`.
    """

    def __init__(
        self,
        tokenizer: Any,
        skip_prompt: bool = False,  # noqa: FBT001, FBT002
        **decode_kwargs: Any,
    ) -> None:
        self.tokenizer, self.skip_prompt, self.decode_kwargs = tokenizer, skip_prompt, decode_kwargs
        self.pieces = TextPieces(tokenizer, **decode_kwargs)
        self.next_tokens_are_prompt = True

    def put(self, value: Tensor) -> None:
        """Take the prompt (1, T), then one token (1,) after another."""
        if value.dim() > 1:
            if len(value) > 1:
                raise ArgumentError(f"a text is streamed for one row, but there are {len(value)}")
            value = value[0]
        prompt, self.next_tokens_are_prompt = self.next_tokens_are_prompt, False
        if prompt and self.skip_prompt:
            return
        if piece := self.pieces.add(value.tolist()):
            self.on_finalized_text(piece)

    def end(self) -> None:
        """Give out the rest."""
        self.next_tokens_are_prompt = True
        self.on_finalized_text(self.pieces.finish(), stream_end=True)

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: FBT001, FBT002
        """Write one piece; a subclass may do something else with it."""
        sys.stdout.write(text + ("\n" if stream_end else ""))
        sys.stdout.flush()


class TextIteratorStreamer(TextStreamer):
    """Hands the pieces to another thread: `for piece in streamer`.

    An error in the generating thread is raised in the reading one, too.

    Args:
        tokenizer: What turns ids into text.
        skip_prompt: Whether to leave out the prompt.
        timeout: How many seconds to wait for a piece before `queue.Empty` is raised.
        decode_kwargs: Options for `tokenizer.decode`.
    """

    def __init__(
        self,
        tokenizer: Any,
        skip_prompt: bool = False,  # noqa: FBT001, FBT002
        timeout: float | None = None,
        **decode_kwargs: Any,
    ) -> None:
        super().__init__(tokenizer, skip_prompt, **decode_kwargs)
        self.text_queue: Queue[str | BaseException | None] = Queue()
        self.timeout = timeout

    def on_finalized_text(self, text: str, stream_end: bool = False) -> None:  # noqa: FBT001, FBT002
        """Queue one piece."""
        if text:
            self.text_queue.put(text)
        if stream_end:
            self.text_queue.put(None)

    def fail(self, error: BaseException) -> None:
        """Queue the error after the pieces."""
        self.pieces.finish()
        self.next_tokens_are_prompt = True
        self.text_queue.put(error)

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        piece = self.text_queue.get(timeout=self.timeout)
        if piece is None:
            raise StopIteration
        if isinstance(piece, BaseException):
            raise piece
        return piece
