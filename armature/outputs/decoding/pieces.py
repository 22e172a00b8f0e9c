"""stream(): the text of one row, piece by piece, while it is generated.

No thread works behind the loop: each piece is computed when the loop asks for it, so that leaving
the loop is all that it takes to stop.
"""

from __future__ import annotations

import contextlib
from collections.abc import Generator
from typing import Any

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.controls import Frame
from armature.outputs.decoding.engine import needs_its_own
from armature.outputs.decoding.generate import Callbacks
from armature.outputs.decoding.generate import _search as search_for
from armature.outputs.decoding.history import History
from armature.outputs.decoding.lengths import new_token_limits, padding_token
from armature.outputs.decoding.prompt import Prompt, read_prompt
from armature.outputs.decoding.search import columns
from armature.outputs.decoding.settings import settle
from armature.outputs.decoding.steps import Generates
from armature.outputs.decoding.strategy import Helpers, begin, room
from armature.outputs.decoding.stream import TextPieces

_CALLBACKS = tuple(Callbacks.__dataclass_fields__)
_HELPERS = tuple(Helpers.__dataclass_fields__)

# What engines cannot follow, but one text alone can: one token still comes after another.
_STEPWISE = ("guidance_scale", "dola_layers", "past_key_values")


def stream(
    model: Generates,
    inputs: Any = None,
    generation_config: GenerationConfig | None = None,
    *,
    tokenizer: Any = None,
    skip_special_tokens: bool = True,
    clean_up_tokenization_spaces: bool | None = None,
    **given: Any,
) -> Generator[str, None, None]:
    """Yield the text that follows a prompt, in pieces that never cut a character.

    The pieces joined are the text that `generate()` writes with the same arguments.

    Args:
        model: What scores the next token.
        inputs: One prompt, as `generate()` takes it.
        generation_config: Settings for this call, in place of `model.generation_config`'s.
        tokenizer: What turns ids into text.
        skip_special_tokens: Whether to leave out the text's end mark and the like.
        clean_up_tokenization_spaces: Remove spaces before punctuation; None: as the tokenizer does.
        **given: What else `generate()` takes.

    Raises:
        UnknownArgumentError: an argument is neither a setting nor an input of the model.
        ArgumentError: there is no tokenizer, the prompt has several rows, or a setting asks for a
            search that knows its tokens only at the end.
    """
    if tokenizer is None:
        raise ArgumentError(
            "stream() gives out text, which takes a tokenizer.\n  → pass tokenizer=tokenizer"
        )
    helpers = {name: given.pop(name) for name in _HELPERS if name in given}
    own = {name: given.pop(name) for name in _CALLBACKS if name in given}
    callbacks = Callbacks(**own, helpers=Helpers(tokenizer, **helpers))
    config, model_inputs = settle(model, generation_config, given)
    _check(config, callbacks)
    with torch.inference_mode():
        prompt = read_prompt(model, inputs, model_inputs, config)
    if prompt.rows != 1:
        raise ArgumentError(
            f"stream() writes one text, but the prompt has {prompt.rows} rows.\n"
            "  → stream each by itself; an armature.Engine writes many at once"
        )
    clean = clean_up_tokenization_spaces
    options = {} if clean is None else {"clean_up_tokenization_spaces": clean}
    pieces = TextPieces(tokenizer, skip_special_tokens=skip_special_tokens, **options)
    return _text(_tokens(model, prompt, config, callbacks), pieces)


def _text(tokens: Generator[Tensor, None, None], pieces: TextPieces) -> Generator[str, None, None]:
    with contextlib.closing(tokens):
        while True:
            with torch.inference_mode():  # never while the caller has its turn
                token = next(tokens, None)
            piece = pieces.finish() if token is None else pieces.add(token.tolist())
            if piece:
                yield piece
            if token is None:
                return


def _tokens(
    model: Generates, prompt: Prompt, config: GenerationConfig, callbacks: Callbacks
) -> Generator[Tensor, None, None]:
    """Yield one token (1,) after another, as `generate()` chooses them."""
    limits = new_token_limits(model, prompt, config)
    steps = begin(model, prompt, config, room(prompt, limits, config), callbacks.helpers)
    history, scores = History(prompt), steps.start()
    frame = Frame(prompt, limits, scores.shape[-1], padding_token(config, 1))
    text = [prompt.ids[0] if prompt.mask is None else prompt.ids[0][prompt.mask[0].bool()]]
    try:
        for token in columns(search_for(steps, history, frame, config, callbacks), scores):
            text.append(token)
            yield token
    finally:
        cache = prompt.inputs.get("past_key_values")
        if cache is not None:  # so that a later call can tell whether it fits
            cache.tokens = (torch.cat(text)[: cache.lengths[0]],)


def _check(config: GenerationConfig, callbacks: Callbacks) -> None:
    def setting(name: str) -> Any:
        if name in _STEPWISE:
            return None
        places = (callbacks, callbacks.helpers, config)
        return next((value for at in places if (value := getattr(at, name, None))), None)

    copies = config.num_return_sequences or 1
    if copies > 1:
        raise ArgumentError(
            f"stream() writes one text, but `num_return_sequences={copies}` asks for several.\n"
            "  → call generate()"
        )
    name = needs_its_own(setting)
    if name is not None:
        raise ArgumentError(
            f"`{name}` needs a search whose tokens are not known one by one, so stream() cannot "
            "follow it.\n  → call generate()"
        )
