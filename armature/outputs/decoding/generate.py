"""generate(): from prompts and settings to tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from armature.errors import ArgumentError
from armature.outputs.decoding.assist import Drafts, assisted_search
from armature.outputs.decoding.beam import Hypothesis, beam_search
from armature.outputs.decoding.chance import chance, fresh_seeds
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.constraints import Demands, constraints_of
from armature.outputs.decoding.contrastive import contrastive_search, contrasts
from armature.outputs.decoding.controls import Frame, controls
from armature.outputs.decoding.drafts import Lookup, check_drafting
from armature.outputs.decoding.groups import GroupSearch
from armature.outputs.decoding.history import History
from armature.outputs.decoding.lengths import new_token_limits, padding_token
from armature.outputs.decoding.prompt import Prompt, read_prompt
from armature.outputs.decoding.results import result_of, shown
from armature.outputs.decoding.rules import tokens_of
from armature.outputs.decoding.search import Record, Search, search
from armature.outputs.decoding.settings import settle
from armature.outputs.decoding.steps import Generates, Rewinds, Shows, Steps, able
from armature.outputs.decoding.stop import stop
from armature.outputs.decoding.structure import structure
from armature.outputs.decoding.translate import assistant
from armature.outputs.results import ModelOutput

_ROOM = 1024  # new tokens that caches make room for at once


@dataclass(frozen=True)
class Callbacks:
    """The functions and objects of one call that are no settings."""

    logits_processor: Any = None
    stopping_criteria: Any = None
    prefix_allowed_tokens_fn: Callable[[int, Tensor], list[int]] | None = None
    streamer: Any = None
    seed: int | Sequence[int] | None = None
    tokenizer: Any = None
    assistant_model: Any = None
    assistant_tokenizer: Any = None

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
        tokenizer: What `stop_strings` are found with, and `json_schema`, `regex` or `grammar` kept.
        assistant_model: A smaller model whose drafts are read in one pass: the same text, sooner.
        assistant_tokenizer: The assistant's, where its vocabulary is another; with `tokenizer`.
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
        tokenizer,
        assistant_model,
        assistant_tokenizer,
    )
    _check_callbacks(model, config, callbacks)
    try:
        with torch.inference_mode():
            prompt = read_prompt(model, inputs, model_inputs, config)
            result = _generate(model, prompt, config, callbacks)
    except BaseException as error:
        if streamer is not None and hasattr(streamer, "fail"):
            streamer.fail(error)
        raise
    if streamer is not None:
        streamer.end()
    return _usable(result, config)


def _generate(
    model: Generates, prompt: Prompt, config: GenerationConfig, callbacks: Callbacks
) -> ModelOutput:
    beams = (config.num_beams or 1) > 1
    limits = new_token_limits(model, prompt, config)
    capacity = prompt.ids.shape[1] + min(int(limits.max()), _ROOM)
    steps = _begin(model, prompt, config, capacity)
    history, scores = History(prompt), steps.start()
    copies = 1 if beams else config.num_return_sequences or 1
    rows = torch.arange(prompt.rows, device=scores.device).repeat_interleave(copies)
    if copies > 1:
        history.select(rows)
        steps.select(rows)
        scores = scores[rows]
    frame = Frame(prompt, limits, scores.shape[-1], padding_token(config, len(rows)))
    run = _search(steps, history, frame, config, callbacks)
    if beams:
        found = _of_beams(prompt, config, run, _beams(run, scores, config))
        rows = rows.repeat_interleave(config.num_beams or 1)
    else:
        callbacks.hear(prompt.ids[rows])
        if contrasts(config):
            shows = cast("Shows", able(steps, ("states",), "contrastive search"))
            new = contrastive_search(run, scores, shows, config, prompt.lengths[rows])
        elif _assisted(config, callbacks):
            able(steps, ("extend", "crop"), "assisted decoding")
            drafts = _drafts(prompt, config, run, callbacks, capacity)
            new = assisted_search(run, scores, cast("Rewinds", steps), drafts)
        else:
            new = search(run, scores)
        found = {"sequences": torch.cat([prompt.ids[rows], new], 1)}
        if run.record.keeps and run.said is not None:
            found["past_key_values"] = _cache(steps, prompt.lengths[rows] + run.said - 1)
    encoder = model.is_encoder_decoder
    if run.record.keeps:
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
    if _assisted(config, callbacks) and seed is None and config.do_sample:
        seed = fresh_seeds(prompts)  # a draft draws as the model will
    copies, device = len(history.origin) // prompts, history.ids.device
    form = structure(config, frame, callbacks.tokenizer)
    return Search(
        steps=steps,
        history=history,
        controls=controls(config, frame, _several(callbacks.logits_processor), allowed, form),
        stop=stop(config, frame.limits, _several(rules), callbacks.tokenizer),
        pad=frame.pad,
        chance=chance(seed, prompts, copies, device) if config.do_sample else None,
        drops=not (kept or callbacks.see_rows),
        record=Record(
            kept,
            [] if kept and config.output_scores else None,
            [] if kept and config.output_logits else None,
        ),
        hear=None if callbacks.streamer is None else callbacks.hear,
        plain=controls(config, frame),
        vocabulary=frame.vocabulary,
    )


def _assisted(config: GenerationConfig, callbacks: Callbacks) -> bool:
    return callbacks.assistant_model is not None or bool(config.prompt_lookup_num_tokens)


def _drafts(
    prompt: Prompt, config: GenerationConfig, run: Search, callbacks: Callbacks, capacity: int
) -> Drafts:
    """Return what a search reads ahead."""
    if callbacks.assistant_model is None:
        return Lookup(prompt, config, run.history.origin)
    tokenizers = (callbacks.tokenizer, callbacks.assistant_tokenizer)
    return assistant(callbacks.assistant_model, prompt, config, run, capacity, tokenizers)


def _check_callbacks(model: Generates, config: GenerationConfig, callbacks: Callbacks) -> None:
    """Refuse functions and objects that do not go with the settings."""
    beams = (config.num_beams or 1) > 1
    if callbacks.streamer is not None and beams:
        raise ArgumentError("beam search knows its tokens only at the end: none can be streamed")
    if _assisted(config, callbacks):
        check_drafting(model, config, callbacks.assistant_model)


def _begin(model: Generates, prompt: Prompt, config: GenerationConfig, capacity: int) -> Steps:
    """Return the steps of a call, which show and keep what it asks for."""
    how: dict[str, Any] = {}
    if config.return_dict_in_generate:
        asked = ("output_attentions", "output_hidden_states")
        how = {name: True for name in asked if getattr(config, name)}
    steps = model.steps(prompt.ids, prompt.mask, {**prompt.inputs, **how}, capacity)
    for name in how if not hasattr(steps, "seen") else ():
        raise ArgumentError(
            f"this architecture's generation does not record what `{name}=True` asks for.\n"
            f"  → call the model on the generated sequences: model(ids, {name}=True)"
        )
    return steps


def _cache(steps: Steps, lengths: Tensor) -> Any:
    """Return the cache of a generation, without what was read after a row's end."""
    cache = getattr(steps, "cache", None)
    if cache is not None and cache.crops:
        held = torch.tensor(cache.lengths, device=lengths.device)
        cache.crop((held - lengths).clamp(min=0))
    return cache


def _beams(run: Search, scores: Tensor, config: GenerationConfig) -> list[list[Hypothesis]]:
    """Return the best continuations of each prompt, by the beam search that is asked for."""
    demanded = constraints_of(config.force_words_ids, config.constraints)
    outside = [t for one in demanded for p in one.phrases for t in p if t >= run.vocabulary]
    if outside:
        raise ArgumentError(
            f"what must be said holds {outside[0]}, but ids go from 0 to {run.vocabulary - 1}"
        )
    if demanded or (config.num_beam_groups or 1) > 1:
        return GroupSearch(run, config, Demands(demanded) if demanded else None)(scores)
    return beam_search(run, scores, config)


def _of_beams(
    prompt: Prompt, config: GenerationConfig, run: Search, best: list[list[Hypothesis]]
) -> dict[str, Any]:
    """Lay out the best continuations of each prompt below each other."""
    wanted = config.num_return_sequences or 1
    ends = tokens_of(config.eos_token_id)
    # HF: plain beam search takes a padding id of 0 for none, and fills with the end token.
    plain = (config.num_beam_groups or 1) == 1 and not (
        config.force_words_ids or config.constraints
    )
    fill = run.pad or (ends[0] if ends and plain else run.pad)
    chosen = [hypothesis for hypotheses in best for hypothesis in hypotheses[:wanted]]
    rows = [row for row, hypotheses in enumerate(best) for _ in hypotheses[:wanted]]
    new = pad_sequence([h.tokens for h in chosen], batch_first=True, padding_value=fill)
    found: dict[str, Any] = {"sequences": torch.cat([prompt.ids[rows], new], 1)}
    if run.record.scores is not None:
        found["sequences_scores"] = torch.tensor([h.score for h in chosen], device=new.device)
    if run.record.keeps:
        parents = [h.parents for h in chosen if h.parents is not None]
        found["beam_indices"] = pad_sequence(parents, batch_first=True, padding_value=-1)
    return found


def _several(functions: Any) -> list[Callable[..., Any]]:
    """Return a caller's functions as a list: none, one or several were given."""
    if functions is None:
        return []
    return list(functions) if isinstance(functions, Iterable) else [functions]


def _kept(record: list[Tensor] | None) -> tuple[Tensor, ...] | None:
    return None if record is None else tuple(record)


def _usable(result: Any, config: GenerationConfig) -> Tensor | ModelOutput:
    """Return the result as tensors that a caller may change, which inference mode's are not."""
    if not config.return_dict_in_generate:
        return result.sequences.clone()
    for name, value in result.items():
        setattr(result, name, _copied(value))
    return result


def _copied(value: Any) -> Any:
    return tuple(map(_copied, value)) if isinstance(value, tuple) else value.clone()
