"""Strategies: how one call begins, which search it follows, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from armature.errors import ArgumentError
from armature.outputs.decoding.assist import Drafts, assisted_search
from armature.outputs.decoding.beam import Hypothesis, beam_search
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.constraints import Demands, constraints_of
from armature.outputs.decoding.contrastive import contrastive_search, contrasts
from armature.outputs.decoding.dola import Contrasted
from armature.outputs.decoding.drafts import Lookup, check_shared
from armature.outputs.decoding.groups import GroupSearch
from armature.outputs.decoding.guidance import Guided, guided, second_prompt
from armature.outputs.decoding.prompt import Prompt
from armature.outputs.decoding.rules import tokens_of
from armature.outputs.decoding.search import Search, search
from armature.outputs.decoding.steps import Generates, Rewinds, Shows, Steps, able
from armature.outputs.decoding.translate import assistant

_ROOM = 1024  # new tokens that caches make room for at once


@dataclass(frozen=True)
class Helpers:
    """What a call may bring to be read beside the model."""

    tokenizer: Any = None
    assistant_model: Any = None
    assistant_tokenizer: Any = None
    negative_prompt_ids: Any = None
    negative_prompt_attention_mask: Any = None


def assisted(config: GenerationConfig, helpers: Helpers) -> bool:
    """Return whether a call drafts."""
    return helpers.assistant_model is not None or bool(config.prompt_lookup_num_tokens)


def room(prompt: Prompt, limits: Tensor, config: GenerationConfig) -> int:
    """Return how many tokens of a row to make room for: all where memory is fixed in advance."""
    new = int(limits.max())
    new = new if config.cache_implementation == "static" else min(new, _ROOM)
    return max(prompt.ids.shape[1] + new, config.max_cache_len or 0)


def begin(
    model: Generates, prompt: Prompt, config: GenerationConfig, capacity: int, helpers: Helpers
) -> Steps:
    """Return the steps of a call, which show and keep what it asks for."""
    how: dict[str, Any] = {}
    if config.return_dict_in_generate:
        asked = ("output_attentions", "output_hidden_states")
        how = {name: True for name in asked if getattr(config, name)}
    reread = {"use_cache": False} if config.use_cache is False else {}
    inputs = {**prompt.inputs, **how, **reread}
    if "past_key_values" in inputs and (config.num_beams or 1) > 1:
        inputs["past_key_values"] = inputs["past_key_values"].clone()  # beams move its rows
    steps = model.steps(prompt.ids, prompt.mask, inputs, capacity)
    for name in how if not hasattr(steps, "seen") else ():
        raise ArgumentError(
            f"this architecture's generation does not record what `{name}=True` asks for.\n"
            f"  → call the model on the generated sequences: model(ids, {name}=True)"
        )
    if hasattr(steps, "keep") and not how.get("output_attentions"):
        cast("Any", steps).keep(slides=_SLIDES[config.cache_implementation])
    if config.dola_layers:
        tied = bool(getattr(model.config, "tie_word_embeddings", True))
        return Contrasted(steps, config.dola_layers, tied=tied)
    if guided(config):
        given = helpers.negative_prompt_ids, helpers.negative_prompt_attention_mask
        ids, mask = second_prompt(prompt, *given)
        other = model.steps(ids, mask, reread, capacity + ids.shape[1])
        return Guided(steps, other, config.guidance_scale or 1.0)
    return steps


# When layers that look back only so far let go of what is further.
_SLIDES: dict[str | None, bool | None] = {
    None: True,
    "dynamic": True,
    "dynamic_full": False,
    "static": None,
    "sliding_window": None,
    "hybrid": None,
    "hybrid_chunked": None,
}


def follow(
    run: Search,
    scores: Tensor,
    model: Generates,
    prompt: Prompt,
    config: GenerationConfig,
    helpers: Helpers,
) -> dict[str, Any]:
    """Run the search that the settings ask for; return what it found, by the names of a result.

    Args:
        run: The search; its history holds R rows, one for each text, or for each prompt of beams.
        scores: The scores of the first new token, (R, V).
        model: What generates.
        prompt: What it began with.
        config: The call's settings.
        helpers: What the call brings besides.
    """
    if (config.num_beams or 1) > 1:
        return _of_beams(prompt, config, run, _beams(run, scores, config))
    steps, rows = run.steps, run.history.origin.clone()
    if contrasts(config):
        if "past_key_values" in prompt.inputs:
            raise ArgumentError(
                "contrastive search (`penalty_alpha`) looks at the states of the whole prompt, "
                "which `past_key_values` does not hold.\n  → drop one of the two"
            )
        shows = cast("Shows", able(steps, ("states",), "contrastive search"))
        new = contrastive_search(run, scores, shows, config, prompt.lengths[rows])
    elif assisted(config, helpers):
        rewinds = cast("Rewinds", able(steps, ("extend", "crop"), "assisted decoding"))
        cache = getattr(steps, "cache", None)
        if cache is not None and not cache.crops:
            raise ArgumentError(
                "assisted decoding is not possible with this architecture: what it remembers of a "
                "text cannot be taken back.\n  → use greedy search, sampling or beam search"
            )
        check_shared(model, helpers.assistant_model, prompt.inputs)
        new = assisted_search(run, scores, rewinds, _drafts(prompt, config, run, helpers))
    else:
        new = search(run, scores)
    found: dict[str, Any] = {"sequences": torch.cat([prompt.ids[rows], new], 1)}
    if not run.drops and run.said is not None:
        found["past_key_values"] = _cache(steps, prompt, rows, new, run.said)
    return found


def _drafts(prompt: Prompt, config: GenerationConfig, run: Search, helpers: Helpers) -> Drafts:
    """Return what a search reads ahead."""
    if helpers.assistant_model is None:
        return Lookup(prompt, config, run.history.origin)
    capacity = room(prompt, run.stop.limits, config)
    tokenizers = (helpers.tokenizer, helpers.assistant_tokenizer)
    others = {name: value for name, value in prompt.inputs.items() if name != "past_key_values"}
    prompt = replace(prompt, inputs=others)
    return assistant(helpers.assistant_model, prompt, config, run, capacity, tokenizers)


def _cache(steps: Steps, prompt: Prompt, rows: Tensor, new: Tensor, said: Tensor) -> Any:
    """Return the cache of a generation, without what was read after a row's end."""
    cache = getattr(steps, "cache", None)
    if cache is None or not cache.crops or cache.cross:
        return cache
    kept = prompt.lengths[rows] + said - 1  # nobody has read the last token
    cache.shorten((torch.tensor(cache.lengths, device=kept.device) - kept).clamp(min=0))
    texts = [
        torch.cat([ids if real is None else ids[real], row[:count]])
        for ids, real, row, count in zip(
            prompt.ids[rows],
            [None] * len(rows) if prompt.mask is None else prompt.mask[rows],
            new,
            said.tolist(),
            strict=True,
        )
    ]
    cache.tokens = tuple(text[:n] for text, n in zip(texts, cache.lengths, strict=True))
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
    demanded = config.force_words_ids or config.constraints
    plain = (config.num_beam_groups or 1) == 1 and not demanded
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
