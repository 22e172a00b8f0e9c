"""Engine: requests that come and go at any time, written together, each as if it were alone.

submit ─▶ waiting ─▶ admitted when there is room: its prompt is read by itself
                       └▶ rows, all stepping together ─▶ done ─▶ its result, its room free again
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding.chance import fresh_seeds
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.controls import Frame
from armature.outputs.decoding.generate import Callbacks
from armature.outputs.decoding.generate import _search as search_for
from armature.outputs.decoding.history import History
from armature.outputs.decoding.lengths import new_token_limits, padding_token
from armature.outputs.decoding.prompt import read_prompt
from armature.outputs.decoding.request import Request
from armature.outputs.decoding.search import choose, no_choice, search
from armature.outputs.decoding.settings import settle
from armature.outputs.decoding.steps import Generates
from armature.outputs.decoding.strategy import Helpers, begin

_CALLBACKS = tuple(Callbacks.__dataclass_fields__)
_HELPERS = tuple(Helpers.__dataclass_fields__)


class Engine:
    """Writes many texts at once, each as `generate()` would write it alone.

    Used as a context, it works in a thread of its own; else `step()` and `run()` do the work:

        with Engine(model) as engine:
            requests = [engine.submit(ids, max_new_tokens=20) for ids in prompts]
            texts = [request.result() for request in requests]

    Requests may be submitted and cancelled from any thread. Room is reserved for all that a
    request may write before it begins, so memory never grows beyond `tokens`.
    """

    def __init__(self, model: Generates, *, rows: int = 16, tokens: int = 1 << 14) -> None:
        """Begin without requests.

        Args:
            model: What scores the next token.
            rows: How many texts are written at once, at most.
            tokens: How many tokens all of them may hold together, prompts included.
        """
        for name, value in (("rows", rows), ("tokens", tokens)):
            if not isinstance(value, int) or value < 1:
                raise ArgumentError(f"`{name}` should be a whole number above 0, but is {value!r}")
        self.model, self.rows, self.tokens = model, rows, tokens
        self._waiting: deque[Request] = deque()
        self._active: list[Request] = []
        self._steps: Any = None
        self._scores = torch.empty(0)
        self._news = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closing = False

    # ---------------------------------------------------------------- for callers

    def submit(
        self, inputs: Any = None, generation_config: GenerationConfig | None = None, **given: Any
    ) -> Request:
        """Ask for one text; the arguments are those of `generate()`, with a prompt of one row.

        Raises:
            UnknownArgumentError: an argument is neither a setting nor an input of the model.
            ArgumentError: a setting cannot be followed here, or it could never have enough room.
        """
        helpers = Helpers(**{name: given.pop(name) for name in _HELPERS if name in given})
        own = {name: given.pop(name) for name in _CALLBACKS if name in given}
        callbacks = Callbacks(**own, helpers=helpers)
        config, model_inputs = settle(self.model, generation_config, given)
        _check(config, callbacks, model_inputs)
        config.cache_implementation = None  # all rows lie in one cache
        if config.do_sample and callbacks.seed is None:  # never the state that others draw from
            callbacks = replace(callbacks, seed=fresh_seeds(1))
        with torch.inference_mode():
            prompt = read_prompt(self.model, inputs, model_inputs, config)
            if prompt.rows != 1:
                raise ArgumentError(
                    f"a request is one prompt, but got {prompt.rows}.\n  → submit each by itself"
                )
            request = Request(prompt, config, callbacks)
            request.limit = int(new_token_limits(self.model, prompt, config)[0])
        if request.room > self.tokens or request.copies > self.rows:
            raise ArgumentError(
                f"the request may need {request.room} tokens in {request.copies} rows, but the "
                f"engine has room for {self.tokens} in {self.rows}.\n"
                "  → lower max_new_tokens, or make the engine larger: Engine(model, tokens=…)"
            )
        with self._news:
            if self._closing:
                raise ArgumentError("the engine is closed")
            self._waiting.append(request)
            self._news.notify()
        return request

    def run(self) -> None:
        """Work until no request is left."""
        while self.step():
            pass

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._work, name="armature-engine", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.close(cancel=error[0] is not None)

    def close(self, *, cancel: bool = False) -> None:
        """Take no more requests; finish those that are there, or cancel them."""
        with self._news:
            self._closing = True
            for request in (*self._waiting, *self._active) if cancel else ():
                request.cancel()
            self._news.notify()
        if self._thread is not None:
            self._thread.join()
        else:
            self.run()

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._waiting or self._active or self._closing)
                if self._closing and not (self._waiting or self._active):
                    return
            self.step()

    # ---------------------------------------------------------------- the work

    def step(self) -> bool:
        """Admit what there is room for and write one token of each row; False: nothing is left."""
        with torch.inference_mode():
            self._admit()
            if not self._active:
                return bool(self._waiting)
            try:
                self._write()
            except BaseException as error:
                for request in self._active:
                    request.fail(error)
                self._active, self._steps = [], None
                if not isinstance(error, Exception):
                    raise
        return bool(self._active or self._waiting)

    def _admit(self) -> None:
        """Read the prompts of waiting requests, first come first served, while there is room."""
        while self._waiting:
            request = self._waiting[0]
            rows = sum(len(one.live) for one in self._active) + request.copies
            held = sum(one.room for one in self._active) + request.room
            if not request.cancelled and (rows > self.rows or held > self.tokens):
                return
            self._waiting.popleft()
            if request.cancelled:
                request.fail(CancelledError())
                continue
            try:
                self._begin(request)
            except Exception as error:
                request.fail(error)

    def _begin(self, request: Request) -> None:
        """Read a prompt, and let its rows go on beside the others."""
        prompt, config = request.prompt, request.config
        capacity = self.tokens if self._steps is None else request.room
        steps = begin(self.model, prompt, config, capacity, request.callbacks.helpers)
        history, scores = History(prompt), steps.start()
        if request.copies > 1:
            rows = torch.zeros(request.copies, dtype=torch.long, device=scores.device)
            history.select(rows)
            steps.select(rows)
            scores = scores[rows]
        frame = Frame(
            prompt,
            torch.tensor([request.limit], device=scores.device),
            scores.shape[-1],
            padding_token(config, 1),
        )
        run = request.run = search_for(steps, history, frame, config, request.callbacks)
        request.plain = not run.controls and not run.stop.rules and run.chance is None
        request.ends = set(run.stop.ends.tolist())
        if not getattr(steps, "joins", False):  # it may read a text anew, from its beginning
            request.finish_whole(search(run, scores))
            return
        if self._steps is None:
            self._steps, self._scores = steps, scores
        else:
            self._steps.join(steps)
            self._scores = torch.cat([self._scores, scores])
        self._active.append(request)

    def _write(self) -> None:
        """Choose the next token of each row, let go of rows that are done, score the rest."""
        logits = self._scores.float()
        best, plainly = logits.max(-1)
        plain, sound = plainly.tolist(), (best > float("-inf")).tolist()
        tokens: list[int] = []
        kept: list[int] = []
        going: list[Request] = []
        row = 0
        for request in self._active:
            span = slice(row, row + len(request.live))
            row = span.stop
            try:
                chosen, done = self._choose(request, logits[span], plain[span], all(sound[span]))
            except Exception as error:  # of a request's own rules: the others go on
                request.fail(error)
                continue
            kept += [i for i, over in zip(range(*span.indices(row)), done, strict=True) if not over]
            tokens += [token for token, over in zip(chosen, done, strict=True) if not over]
            request.drop(done)
            if request.live:
                going.append(request)
            elif request.run is not None:
                request.finish(request.run.pad)
        self._active = going
        if not going:
            self._steps = None
            return
        device = logits.device
        if len(kept) < len(logits):
            self._steps.select(torch.tensor(kept, device=device))
        self._scores = self._steps.step(torch.tensor(tokens, device=device))

    def _choose(
        self,
        request: Request,
        logits: Tensor,
        plain: list[int],
        sound: bool,  # noqa: FBT001
    ) -> tuple[list[int], list[bool]]:
        """Return the next token of each of a request's rows, and which of them are done."""
        run = request.run
        assert run is not None
        if request.cancelled:
            raise CancelledError
        if request.plain:
            if not sound:
                raise no_choice(len(request.said[0]) + 1, torch.zeros(1, dtype=torch.long))
            return plain, request.tell(plain)
        rows = torch.tensor(request.live, device=logits.device)
        tokens, stuck = choose(run, run.shape(logits), rows)
        if bool(stuck.any()):
            raise no_choice(run.history.new + 1, rows[stuck])
        run.history.append(tokens)
        over = run.stop(tokens, run.history.new, run.history.origin, run.ids, None).tolist()
        chosen = tokens.tolist()
        request.tell(chosen)
        return chosen, over


# What needs a search, or a batch, of its own.
_ALONE: dict[str, Callable[[Any], bool]] = {
    "num_beams": lambda value: (value or 1) > 1,
    "guidance_scale": lambda value: value not in (None, 1),
    **dict.fromkeys(
        (
            "penalty_alpha",
            "prompt_lookup_num_tokens",
            "assistant_model",
            "force_words_ids",
            "constraints",
            "return_dict_in_generate",
            "streamer",
            "dola_layers",
            "token_healing",
            "past_key_values",
        ),
        bool,
    ),
}


def needs_its_own(setting: Callable[[str], Any]) -> str | None:
    """Return the first setting that an engine's rows cannot follow, given how to look them up."""
    return next((name for name, wants in _ALONE.items() if wants(setting(name))), None)


def _check(config: GenerationConfig, callbacks: Callbacks, inputs: dict[str, Any]) -> None:
    """Refuse what needs a search of its own."""

    def setting(name: str) -> Any:
        places = (callbacks, callbacks.helpers, config)
        found = (getattr(place, name, None) for place in places)
        return inputs.get(name) or next((value for value in found if value), None)

    name = needs_its_own(setting)
    if name is not None:
        raise ArgumentError(
            f"`{name}` needs a search of its own, which an engine's rows do not have.\n"
            "  → call model.generate(); a request's tokens stream by iterating over it"
        )
