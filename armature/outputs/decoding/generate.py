"""generate(): from prompts and settings to tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding.chance import chance, fresh_seeds
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.controls import Frame, controls
from armature.outputs.decoding.drafts import check_drafting
from armature.outputs.decoding.guidance import check_guidance
from armature.outputs.decoding.healing import healed
from armature.outputs.decoding.history import History
from armature.outputs.decoding.lengths import new_token_limits, padding_token
from armature.outputs.decoding.prompt import Prompt, read_prompt
from armature.outputs.decoding.results import result_of, shown
from armature.outputs.decoding.search import Record, Search
from armature.outputs.decoding.settings import settle
from armature.outputs.decoding.steps import Generates, Steps
from armature.outputs.decoding.stop import stop
from armature.outputs.decoding.strategy import Helpers, assisted, begin, follow, room
from armature.outputs.decoding.structure import structure
from armature.outputs.results import ModelOutput


@dataclass(frozen=True)
class Callbacks:
    """The functions and objects of one call that are no settings."""

    logits_processor: Any = None
    stopping_criteria: Any = None
    prefix_allowed_tokens_fn: Callable[[int, Tensor], list[int]] | None = None
    streamer: Any = None
    seed: int | Sequence[int] | None = None
    helpers: Helpers = field(default_factory=Helpers)

    @property
    def see_rows(self) -> bool:
        """Return whether a function of the caller's counts on all rows being there."""
        several = [*_several(self.logits_processor), *_several(self.stopping_criteria)]
        return bool(several) or self.prefix_allowed_tokens_fn is not None

    def hear(self, tokens: Tensor) -> None:
        """Pass tokens on to the streamer."""
        if self.streamer is not None:
            self.streamer.put(tokens.cpu())


def generate(  # noqa: PLR0913
    model: Generates,
    inputs: Any = None,
    generation_config: GenerationConfig | None = None,
    logits_processor: Any = None,
    stopping_criteria: Any = None,
    prefix_allowed_tokens_fn: Callable[[int, Tensor], list[int]] | None = None,
    *,
    streamer: Any = None,
    seed: int | Sequence[int] | None = None,
    tokenizer: Any = None,
    assistant_model: Any = None,
    assistant_tokenizer: Any = None,
    negative_prompt_ids: Tensor | None = None,
    negative_prompt_attention_mask: Tensor | None = None,
    **settings: Any,
) -> Tensor | ModelOutput:
    """Continue prompts, or answer an encoder's inputs.

    Args:
        model: What scores the next token.
        inputs: Token ids (B, T), padded on either side, or a tokenizer's batch. May also be passed
            by name: `**tokenizer(texts, padding=True, return_tensors="pt")`.
        generation_config: Settings for this call, in place of `model.generation_config`'s.
        logits_processor: Functions (ids (R, L), scores (R, V)) → scores (R, V).
        stopping_criteria: Functions (ids (R, L), scores) → which rows are done, (R,) or one bool.
        prefix_allowed_tokens_fn: (prompt's number, its ids (L,)) → the ids that may follow.
        streamer: Told of each new token; with one row and without beams.
        seed: One number, or one for each prompt: a row then draws by itself, whatever else is in
            the batch, and the global random state stays as it is.
        tokenizer: What `stop_strings` are found with, `json_schema`, `regex` or `grammar` kept, and
            tokens that `token_healing` may choose.
        assistant_model: A smaller model whose drafts are read in one pass: the same text, sooner.
        assistant_tokenizer: The assistant's, where its vocabulary is another; with `tokenizer`.
        negative_prompt_ids: (B, T) a second prompt, which `guidance_scale` leads away from; each
            prompt's last token where nothing is given.
        negative_prompt_attention_mask: (B, T), 0 at its padding.
        settings: Fields of GenerationConfig, and the model's inputs.

    Returns:
        Ids (B * num_return_sequences, L): the prompts as they were passed and the new tokens,
        padded after each row's end; or, with `return_dict_in_generate=True`, a Generate…Output.

    Raises:
        UnknownArgumentError: an argument is neither a setting nor an input of the model.
        ArgumentError: a setting cannot be followed, or the prompt cannot be read.
    """
    config, model_inputs = settle(
        model, generation_config, settings, assisted=assistant_model is not None
    )
    callbacks = Callbacks(
        logits_processor,
        stopping_criteria,
        prefix_allowed_tokens_fn,
        streamer,
        seed,
        Helpers(
            tokenizer,
            assistant_model,
            assistant_tokenizer,
            negative_prompt_ids,
            negative_prompt_attention_mask,
        ),
    )
    _check(model, config, callbacks)
    try:
        with torch.inference_mode():
            prompt = read_prompt(model, inputs, model_inputs, config)
            if config.token_healing:
                prompt = healed(model, prompt, config, tokenizer)
            result = _generate(model, prompt, config, callbacks)
    except BaseException as error:
        if streamer is not None and hasattr(streamer, "fail"):
            streamer.fail(error)
        raise
    if streamer is not None:
        streamer.end()
    cache = model_inputs.get("past_key_values")
    return _usable(result, config, cache or getattr(result, "past_key_values", None))


def _generate(
    model: Generates, prompt: Prompt, config: GenerationConfig, callbacks: Callbacks
) -> ModelOutput:
    beams = (config.num_beams or 1) > 1
    limits = new_token_limits(model, prompt, config)
    steps = begin(model, prompt, config, room(prompt, limits, config), callbacks.helpers)
    history, scores = History(prompt), steps.start()
    copies = 1 if beams else config.num_return_sequences or 1
    rows = torch.arange(prompt.rows, device=scores.device).repeat_interleave(copies)
    if copies > 1:
        history.select(rows)
        steps.select(rows)
        scores = scores[rows]
    frame = Frame(prompt, limits, scores.shape[-1], padding_token(config, len(rows)))
    run = _search(steps, history, frame, config, callbacks)
    if not beams:
        callbacks.hear(prompt.ids[rows])
    found = follow(run, scores, model, prompt, config, callbacks.helpers)
    encoder = model.is_encoder_decoder
    if run.record.keeps:
        rows = rows.repeat_interleave(config.num_beams or 1)
        seen = shown(getattr(steps, "seen", ()), rows, encoder=encoder)
        found |= {**getattr(steps, "encoder_seen", {}), **seen}
    found |= {"scores": _kept(run.record.scores), "logits": _kept(run.record.logits)}
    return result_of(beams=beams, encoder=encoder, found=found)


def _search(
    steps: Steps, history: History, frame: Frame, config: GenerationConfig, callbacks: Callbacks
) -> Search:
    """Return the search that a call asks for, before its first token."""
    allowed, rules = callbacks.prefix_allowed_tokens_fn, callbacks.stopping_criteria
    kept, seed, prompts = bool(config.return_dict_in_generate), callbacks.seed, frame.prompt.rows
    if assisted(config, callbacks.helpers) and seed is None and config.do_sample:
        seed = fresh_seeds(prompts)  # a draft draws as the model will
    copies, device = len(history.origin) // prompts, history.ids.device
    form = structure(config, frame, callbacks.helpers.tokenizer)
    return Search(
        steps=steps,
        history=history,
        controls=controls(config, frame, _several(callbacks.logits_processor), allowed, form),
        stop=stop(config, frame.limits, _several(rules), callbacks.helpers.tokenizer),
        pad=frame.pad,
        chance=chance(seed, prompts, copies, device) if config.do_sample else None,
        drops=not (kept or callbacks.see_rows or "past_key_values" in frame.prompt.inputs),
        record=Record(
            kept,
            [] if kept and config.output_scores else None,
            [] if kept and config.output_logits else None,
        ),
        hear=None if callbacks.streamer is None else callbacks.hear,
        plain=controls(config, frame),
        vocabulary=frame.vocabulary,
    )


def _check(model: Generates, config: GenerationConfig, callbacks: Callbacks) -> None:
    """Refuse functions and objects that do not go with the settings."""
    beams, helpers = (config.num_beams or 1) > 1, callbacks.helpers
    if callbacks.streamer is not None and beams:
        raise ArgumentError("beam search knows its tokens only at the end: none can be streamed")
    check_guidance(model, config, helpers.negative_prompt_ids)
    if assisted(config, helpers):
        check_drafting(model, config, helpers.assistant_model)


def _several(functions: Any) -> list[Callable[..., Any]]:
    """Return a caller's functions as a list: none, one or several were given."""
    if functions is None:
        return []
    return list(functions) if isinstance(functions, Iterable) else [functions]


def _kept(record: list[Tensor] | None) -> tuple[Tensor, ...] | None:
    return None if record is None else tuple(record)


def _usable(result: Any, config: GenerationConfig, cache: Any) -> Tensor | ModelOutput:
    """Return the result as tensors that a caller may change, which inference mode's are not."""
    if cache is not None:
        cache.thaw()
    if not config.return_dict_in_generate:
        return result.sequences.clone()
    for name, value in result.items():
        setattr(result, name, _copied(value))
    return result


def _copied(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(map(_copied, value))
    return value.clone() if isinstance(value, Tensor) else value
