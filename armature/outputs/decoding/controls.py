"""The list of controls that one call's settings ask for: each changes scores before a choice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding import logits
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.history import History
from armature.outputs.decoding.prompt import Prompt
from armature.outputs.decoding.rules import tokens_of

Control = Callable[[History, Tensor], Tensor]
"""(the tokens so far, scores (R, V), which may be written over) → scores (R, V)."""

_NOT_IN_SOURCE = -2  # unlike History's padding, so that padding never equals padding


class LogitsProcessor:
    """Base of a caller's own controls: (ids so far (R, L), scores (R, V)) → scores (R, V)."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return new scores."""
        raise NotImplementedError


class LogitsProcessorList(list[Callable[[Tensor, Tensor], Tensor]]):
    """Controls that are applied one after another."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores that the last one returns."""
        for processor in self:
            scores = processor(input_ids, scores)
        return scores


class Diversity:
    """Makes each token dearer that other groups of the same prompt have just said."""

    def __init__(self, penalty: float) -> None:
        self.penalty = penalty
        self.said: Tensor | None = None
        """(B, N) what they said."""

    def __call__(self, history: History, scores: Tensor) -> Tensor:
        """Return new scores."""
        if self.said is None or not self.said.shape[1]:
            return scores
        counts = scores.new_zeros(len(self.said), scores.shape[-1] + 1)
        known = self.said.clamp(max=scores.shape[-1])
        counts = counts.scatter_add(1, known, torch.ones_like(known, dtype=counts.dtype))
        return scores - self.penalty * counts[history.origin, :-1]


@dataclass(frozen=True)
class Frame:
    """What controls need to know besides the settings."""

    prompt: Prompt
    limits: Tensor
    """(B,) how many new tokens each prompt may get."""
    vocabulary: int
    pad: int

    def tokens(self, ids: int | list[int] | None) -> Tensor:
        """Return the ids that the model scores, (N,)."""
        known = [token for token in tokens_of(ids) if token < self.vocabulary]
        return torch.tensor(known, dtype=torch.long, device=self.prompt.ids.device)

    @property
    def source(self) -> Tensor | None:
        """Return the text that `encoder_…` settings speak of, (B, S)."""
        text, mask = self.prompt.source, self.prompt.source_mask
        return text if text is None or mask is None else text.masked_fill(~mask, _NOT_IN_SOURCE)


def controls(
    config: GenerationConfig,
    frame: Frame,
    processors: Iterable[Callable[[Tensor, Tensor], Tensor]] | None = None,
    allowed: Callable[[int, Tensor], list[int]] | None = None,
    form: Control | None = None,
) -> list[Control]:
    """Return what changes the scores, in the order in which it does.

    Args:
        config: The settings.
        frame: The prompts, limits and sizes.
        processors: The caller's own controls.
        allowed: (prompt's number, its ids so far (L,)) → the ids that may follow.
        form: What keeps texts to a form.
    """
    found = [*_of_repetition(config, frame), *_of_ends(config, frame)]
    if allowed is not None:
        found.append(partial(_allow_only, allowed, frame.pad))
    found += [] if form is None else [form]
    found += _of_forcing(config, frame)
    found += [partial(_call, processor, frame.pad) for processor in processors or ()]
    if config.do_sample:
        found += _of_sampling(config)
    if config.renormalize_logits:
        found.append(lambda _, scores: scores.log_softmax(-1))
    return found


def shown(history: History, pad: int) -> Tensor:
    """Return the tokens so far as a caller's function expects them, (R, L)."""
    return history.ids if history.pads is None else history.ids.masked_fill(history.ids < 0, pad)


def _call(function: Callable[..., Tensor], pad: int, history: History, scores: Tensor) -> Tensor:
    return function(shown(history, pad), scores.clone())  # it may write into what it gets


def _allow_only(
    allowed: Callable[[int, Tensor], list[int]], pad: int, history: History, scores: Tensor
) -> Tensor:
    may = torch.zeros_like(scores, dtype=torch.bool)
    for row, origin in enumerate(history.origin.tolist()):
        tokens = allowed(origin, shown(history, pad)[row])
        if not len(tokens):
            raise ArgumentError(f"`prefix_allowed_tokens_fn` allows nothing in row {origin}")
        may[row, tokens] = True
    kept = scores.masked_fill(~may, logits.NEVER)
    # A prompt whose every row is at a dead end goes on with what is allowed, however unlikely.
    alive = (kept.amax(-1) != logits.NEVER).long()
    ways = alive.new_zeros(int(history.origin.max()) + 1).index_add(0, history.origin, alive)
    return kept.masked_fill(may & (ways[history.origin] == 0)[:, None], 0)


def _of_repetition(config: GenerationConfig, frame: Frame) -> list[Control]:
    """Return the controls that look at which tokens were said."""
    found: list[Control] = []
    source = frame.source
    if config.sequence_bias:
        found += _bias(_pairs(config.sequence_bias), frame)
    if config.diversity_penalty and (config.num_beam_groups or 1) > 1:
        found.append(Diversity(config.diversity_penalty))
    penalty = config.encoder_repetition_penalty or 1.0
    if penalty != 1 and source is not None:
        found.append(
            lambda h, scores: logits.repetition_penalty(scores, source[h.origin], 1 / penalty)
        )
    if (again := config.repetition_penalty or 1.0) != 1:
        found.append(lambda h, scores: logits.repetition_penalty(scores, h.ids, again))
    presence, frequency = config.presence_penalty or 0.0, config.frequency_penalty or 0.0
    if presence or frequency:
        found.append(
            lambda h, scores: logits.said_penalty(scores, h.ids[:, h.prompt :], presence, frequency)
        )
    if size := config.no_repeat_ngram_size:
        found.append(lambda h, scores: logits.no_repeat_ngram(scores, h.ids, size, h.ids))
    if (run := config.encoder_no_repeat_ngram_size) and source is not None:
        found.append(lambda h, scores: logits.no_repeat_ngram(scores, h.ids, run, source[h.origin]))
    ends = tokens_of(config.eos_token_id)
    words = [w for w in config.bad_words_ids or () if not (len(w) == 1 and w[0] in ends)]
    return found + _bias([(word, logits.NEVER) for word in words], frame)


def _pairs(bias: Any) -> list[tuple[list[int], float]]:
    pairs = bias.items() if isinstance(bias, dict) else bias
    return [(list(tokens), float(value)) for tokens, value in pairs]


def _bias(pairs: list[tuple[list[int], float]], frame: Frame) -> list[Control]:
    """Return one control for all sequences of the same length."""
    by_size: dict[int, list[tuple[tuple[int, ...], float]]] = {}
    for tokens, value in {tuple(tokens): value for tokens, value in pairs}.items():
        outside = [token for token in tokens if not 0 <= token < frame.vocabulary]
        if outside:
            last = frame.vocabulary - 1
            raise ArgumentError(f"{list(tokens)} holds {outside[0]}, but ids go from 0 to {last}")
        by_size.setdefault(len(tokens), []).append((tokens, value))

    def control(group: list[tuple[tuple[int, ...], float]]) -> Control:
        device = frame.prompt.ids.device
        ids = torch.tensor([tokens for tokens, _ in group], device=device)
        values = torch.tensor([value for _, value in group], device=device)
        return lambda h, scores: logits.sequence_bias(
            scores, h.ids, ids[:, :-1], ids[:, -1], values
        )

    return [control(group) for group in by_size.values()]


def _of_ends(config: GenerationConfig, frame: Frame) -> list[Control]:
    """Return the controls that keep a text from ending early."""
    ends = frame.tokens(config.eos_token_id)
    least, new = config.min_length or 0, config.min_new_tokens
    if not len(ends) or not (new or least):
        return []
    if new is not None:
        return [lambda h, scores: logits.forbid(scores, ends) if h.new < new else scores]

    def control(history: History, scores: Tensor) -> Tensor:
        lengths = history.lengths
        if isinstance(lengths, int):
            return logits.forbid(scores, ends) if lengths < least else scores
        return scores if history.new >= least else logits.forbid(scores, ends, lengths < least)

    return [control]


def _of_forcing(config: GenerationConfig, frame: Frame) -> list[Control]:
    """Return the controls that say, or forbid, tokens at certain places."""
    found: list[Control] = []
    if config.forced_bos_token_id is not None:
        found.append(_first(frame.tokens(config.forced_bos_token_id)))
    if config.forced_eos_token_id is not None:
        found.append(_last(frame.tokens(config.forced_eos_token_id), frame.limits))
    if config.remove_invalid_values:
        found.append(lambda _, scores: logits.remove_invalid_values(scores))
    if config.exponential_decay_length_penalty is not None:
        begin, factor = config.exponential_decay_length_penalty
        ends = frame.tokens(config.eos_token_id)
        found.append(
            lambda h, scores: (
                logits.grow(scores, ends, factor ** (h.new - begin) - 1)
                if h.new > begin
                else scores
            )
        )
    if config.suppress_tokens:
        never = frame.tokens(config.suppress_tokens)
        found.append(lambda _, scores: logits.forbid(scores, never))
    if config.begin_suppress_tokens:
        not_first = frame.tokens(config.begin_suppress_tokens)
        # A forced first token is no beginning: what may not begin is forbidden after it.
        forced = config.forced_bos_token_id is not None and frame.prompt.ids.shape[1] == 1
        found.append(
            lambda h, scores: logits.forbid(scores, not_first) if h.new == forced else scores
        )
    return found


def _first(token: Tensor) -> Control:
    def control(history: History, scores: Tensor) -> Tensor:
        lengths = history.lengths
        if isinstance(lengths, int):
            return logits.force(scores, token) if lengths == 1 else scores
        return logits.force(scores, token, lengths == 1) if history.new == 0 else scores

    return control


def _last(tokens: Tensor, limits: Tensor) -> Control:
    places = set(limits.tolist())

    def control(history: History, scores: Tensor) -> Tensor:
        if history.new + 1 not in places:
            return scores
        rows = limits[history.origin] == history.new + 1
        return logits.force(scores, tokens, rows if len(places) > 1 else None)

    return control


def _of_sampling(config: GenerationConfig) -> list[Control]:
    """Return the controls that shape the distribution to draw from."""
    # Beams need a token that goes on besides those that end: what ends is set aside.
    keep = 1 if (config.num_beams or 1) == 1 else max(2, len(tokens_of(config.eos_token_id)) + 1)
    c, f = config, logits
    wanted: list[tuple[bool, Callable[[Tensor], Tensor]]] = [
        (c.temperature not in (None, 1), lambda s: f.temperature(s, c.temperature or 1.0)),
        (c.top_h is not None, lambda s: f.top_h_filter(s, c.top_h or 0.0)),
        (bool(c.top_k), lambda s: f.top_k_filter(s, c.top_k or 0, keep)),
        (
            (1.0 if c.top_p is None else c.top_p) < 1,
            lambda s: f.top_p_filter(s, c.top_p or 0, keep),
        ),
        (bool(c.min_p), lambda s: f.min_p_filter(s, c.min_p or 0.0, keep)),
        ((c.typical_p or 1) < 1, lambda s: f.typical_filter(s, c.typical_p or 1.0, keep)),
        (bool(c.epsilon_cutoff), lambda s: f.epsilon_filter(s, c.epsilon_cutoff or 0.0, keep)),
        (bool(c.eta_cutoff), lambda s: f.eta_filter(s, c.eta_cutoff or 0.0, keep)),
    ]

    def control(change: Callable[[Tensor], Tensor]) -> Control:
        return lambda _, scores: change(scores)

    return [control(change) for asked, change in wanted if asked]
