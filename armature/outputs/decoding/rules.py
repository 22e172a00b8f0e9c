"""What generation settings may be: the range of each, and which cannot be had together."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

from armature.errors import ArgumentError

if TYPE_CHECKING:
    from armature.outputs.decoding.config import GenerationConfig

Rule = tuple[Callable[[Any], bool], str]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _whole(least: int) -> Rule:
    def fits(value: Any) -> bool:
        return isinstance(value, int) and not isinstance(value, bool) and value >= least

    return fits, f"a whole number, {least} or more"


def _between(low: float, high: float) -> Rule:
    return lambda value: _number(value) and low <= value <= high, f"a number from {low} to {high}"


def _above(low: float) -> Rule:
    return lambda value: _number(value) and value > low, f"a number above {low}"


def _token_lists(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_tokens(part) and len(part) for part in value)


def _biases(value: Any) -> bool:
    pairs = list(value.items()) if isinstance(value, dict) else value
    return isinstance(pairs, list | tuple) and all(
        isinstance(pair, list | tuple)
        and len(pair) == 2
        and _token_lists([pair[0]])
        and _number(pair[1])
        for pair in pairs
    )


def _tokens(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(token, int) for token in value)


_FLAG: Rule = (lambda value: isinstance(value, bool), "True or False")
_TOKEN: Rule = (lambda value: isinstance(value, int), "a token id")
_TOKENS: Rule = (lambda value: isinstance(value, int) or _tokens(value), "a token id, or a list")

CACHES = ("dynamic", "dynamic_full", "static", "sliding_window", "hybrid", "hybrid_chunked")

RANGES: dict[str, Rule] = {
    "max_length": _whole(1),
    "max_new_tokens": _whole(1),
    "min_length": _whole(0),
    "min_new_tokens": _whole(0),
    "max_time": _above(0),
    "do_sample": _FLAG,
    "token_healing": _FLAG,
    "num_beams": _whole(1),
    "num_return_sequences": _whole(1),
    "early_stopping": (lambda value: value in (True, False, "never"), 'True, False or "never"'),
    "length_penalty": (_number, "a number"),
    "num_beam_groups": _whole(1),
    "diversity_penalty": (lambda value: _number(value) and value >= 0, "a number, 0 or more"),
    "temperature": (lambda value: _number(value) and value >= 0, "a number above 0"),
    "top_k": _whole(0),
    "top_p": _between(0, 1),
    "min_p": _between(0, 1),
    "top_h": _between(0, 1),
    "typical_p": (lambda value: _number(value) and 0 < value <= 1, "above 0 and at most 1"),
    "epsilon_cutoff": (lambda value: _number(value) and 0 <= value < 1, "from 0 to below 1"),
    "eta_cutoff": (lambda value: _number(value) and 0 <= value < 1, "from 0 to below 1"),
    "repetition_penalty": _above(0),
    "encoder_repetition_penalty": _above(0),
    "presence_penalty": (_number, "a number"),
    "frequency_penalty": (_number, "a number"),
    "guidance_scale": _above(0),
    "no_repeat_ngram_size": _whole(0),
    "encoder_no_repeat_ngram_size": _whole(0),
    "bad_words_ids": (_token_lists, "a list of lists of token ids, none of them empty"),
    "sequence_bias": (_biases, "{(1, 2): -3.0} or [[[1, 2], -3.0]]: token ids and what to add"),
    "suppress_tokens": (_tokens, "a list of token ids"),
    "begin_suppress_tokens": (_tokens, "a list of token ids"),
    "forced_bos_token_id": _TOKEN,
    "forced_eos_token_id": _TOKENS,
    "bos_token_id": _TOKEN,
    "eos_token_id": _TOKENS,
    "pad_token_id": _TOKEN,
    "penalty_alpha": _between(0, 1),
    "dola_layers": (
        lambda value: value in ("low", "high") or (_tokens(value) and len(value) > 0),
        '"low", "high" or a list of layers',
    ),
    "cache_implementation": (
        lambda value: value in CACHES,
        f"one of {', '.join(CACHES)}; none is moved to other memory or made smaller by rounding",
    ),
    "max_cache_len": _whole(1),
    "prompt_lookup_num_tokens": _whole(1),
    "max_matching_ngram_size": _whole(1),
    "num_assistant_tokens": _whole(1),
    "num_assistant_tokens_schedule": (
        lambda value: value in ("constant", "heuristic", "heuristic_transient"),
        '"constant", "heuristic" or "heuristic_transient"',
    ),
    "assistant_confidence_threshold": _between(0, 1),
    "exponential_decay_length_penalty": (
        lambda value: isinstance(value, list | tuple) and len(value) == 2,
        "a pair: the new token to begin at, and a factor",
    ),
}

# Strategies that need more than a model's next scores; each names when it is asked for.
_ABSENT: dict[str, tuple[Callable[[GenerationConfig], Any], str]] = {
    "assistant_early_exit": (lambda c: c.assistant_early_exit, "drafts of its own lower layers"),
    "use_mtp": (lambda c: c.use_mtp, "drafts of its own further heads"),
    "speculation_type": (lambda c: c.speculation_type, "another way of drafting"),
    "watermarking_config": (lambda c: c.watermarking_config, "watermarking"),
    "forced_decoder_ids": (
        lambda c: c.forced_decoder_ids,
        "forcing decoder tokens (pass them as `decoder_input_ids`)",
    ),
}

# Settings that only sampling reads, each with the value that changes nothing.
SAMPLING: dict[str, Any] = {
    "temperature": 1.0,
    "top_k": 50,
    "top_p": 1.0,
    "min_p": 0,
    "top_h": None,
    "typical_p": 1.0,
    "epsilon_cutoff": 0,
    "eta_cutoff": 0,
}


def faults(config: GenerationConfig) -> Iterator[str]:
    """Say of each setting that is out of range what it should be."""
    for name, (fits, words) in RANGES.items():
        value = getattr(config, name)
        if value is not None and not fits(value):
            yield f"`{name}` should be {words}, but is {value!r}"


def check(config: GenerationConfig, given: Collection[str] = ()) -> None:
    """Refuse settings that are out of range, contradict each other, or cannot be followed yet.

    Args:
        config: The settings of one call, or of a file.
        given: The names that the caller passed: only what was asked for can contradict.

    Raises:
        ArgumentError: naming the setting, the reason and the remedy.
    """
    for fault in faults(config):
        raise ArgumentError(fault)
    for name, (asked, words) in _ABSENT.items():
        if asked(config):
            raise ArgumentError(
                f"`{name}={getattr(config, name)!r}` asks for {words}, which generate() does not "
                f"do.\n  → pass {name}=None for greedy search, sampling or beam search"
            )
    for reason in _contradictions(config, set(given)):
        raise ArgumentError(reason)


def tokens_of(value: int | list[int] | None) -> list[int]:
    """Return the token ids of a setting that may be one id, several or none; -1 means none."""
    ids = [] if value is None else [value] if isinstance(value, int) else list(value)
    return [token for token in ids if token >= 0]


def _contradictions(config: GenerationConfig, given: set[str]) -> Iterator[str]:
    yield from _of_strategy(config, given)
    yield from _of_contrast(config, given)
    yield from _of_layers(config)
    yield from _of_groups(config)
    yield from _of_demands(config)
    yield from _of_lengths(config, given)
    suppressed = set(config.suppress_tokens or ())
    for name in ("forced_bos_token_id", "forced_eos_token_id"):
        forced = set(tokens_of(getattr(config, name)))
        if forced and forced <= suppressed:
            yield (
                f"`{name}` forces {sorted(forced)}, which `suppress_tokens` forbids.\n"
                "  → take it from one of the two; `min_new_tokens` keeps a text from ending early"
            )


def _of_strategy(config: GenerationConfig, given: set[str]) -> Iterator[str]:
    beams, wanted = config.num_beams or 1, config.num_return_sequences or 1
    if config.do_sample and config.temperature == 0:
        yield "`temperature=0` leaves nothing to draw.\n  → pass do_sample=False for greedy search"
    if wanted > beams > 1:
        yield (
            f"`num_return_sequences={wanted}` asks for more than the {beams} beams hold.\n"
            f"  → pass num_beams={wanted} or more"
        )
    if wanted > 1 and beams == 1 and not config.do_sample:
        yield (
            f"`num_return_sequences={wanted}` asks greedy search for several texts, but it finds "
            f"one.\n  → pass do_sample=True, or num_beams={wanted}"
        )
    if "do_sample" in given and not config.do_sample:
        for name in SAMPLING:
            if name in given and has_effect(config, name) and not reads(config, name):
                yield (
                    f"`{name}={getattr(config, name)!r}` shapes what is sampled, but "
                    f"`do_sample=False` samples nothing.\n  → drop one of the two"
                )


def _of_contrast(config: GenerationConfig, given: set[str]) -> Iterator[str]:
    if "penalty_alpha" not in given or not config.penalty_alpha:
        return
    asked = f"`penalty_alpha={config.penalty_alpha}` asks for contrastive search"
    if (config.num_beams or 1) > 1:
        yield f"{asked}, which has one text, not {config.num_beams} beams.\n  → drop one of the two"
    if config.do_sample:
        yield f"{asked}, which draws nothing.\n  → drop do_sample"
    if (config.top_k or 0) < 2:
        yield f"{asked} among the best tokens, but top_k={config.top_k}.\n  → pass top_k=4, or more"


def _of_layers(config: GenerationConfig) -> Iterator[str]:
    others = {
        "num_beams": (config.num_beams or 1) > 1,
        "penalty_alpha": config.penalty_alpha,
        "guidance_scale": config.guidance_scale not in (None, 1),
        "prompt_lookup_num_tokens": config.prompt_lookup_num_tokens,
    }
    for name, asked in others.items() if config.dola_layers else ():
        if asked:
            yield (
                f"`dola_layers` contrasts layers token by token, which does not go with "
                f"`{name}={getattr(config, name)!r}`.\n  → drop one of the two"
            )


def _of_groups(config: GenerationConfig) -> Iterator[str]:
    beams, groups = config.num_beams or 1, config.num_beam_groups or 1
    if groups > 1 and (beams % groups or beams < groups):
        yield (
            f"`num_beam_groups={groups}` cannot share `num_beams={beams}` evenly.\n"
            f"  → pass num_beams={groups * max(1, round(beams / groups))}"
        )
    if groups > 1 and not config.diversity_penalty:
        yield (
            f"`num_beam_groups={groups}` without a `diversity_penalty` would be {groups} times the "
            "same search.\n  → pass diversity_penalty=0.5, or more"
        )
    if config.diversity_penalty and groups == 1:
        yield (
            f"`diversity_penalty={config.diversity_penalty}` keeps groups of beams apart, but "
            "there is one.\n  → pass num_beam_groups=2 or more, or drop it"
        )
    if groups > 1 and config.do_sample:
        yield "`num_beam_groups` takes the best tokens and draws none.\n  → drop do_sample"


def _of_demands(config: GenerationConfig) -> Iterator[str]:
    beams, groups = config.num_beams or 1, config.num_beam_groups or 1
    for name in ("constraints", "force_words_ids"):
        if not getattr(config, name):
            continue
        if config.do_sample:
            yield f"`{name}` takes the best tokens and draws none.\n  → drop do_sample"
        if beams == 1:
            yield f"`{name}` needs beams to look for the words in.\n  → pass num_beams=4, or more"
        if groups > 1:
            yield f"`{name}` and `num_beam_groups` are two searches.\n  → drop one of the two"


def _of_lengths(config: GenerationConfig, given: set[str]) -> Iterator[str]:
    for low, high in (("min_new_tokens", "max_new_tokens"), ("min_length", "max_length")):
        least, most = getattr(config, low), getattr(config, high)
        if {low, high} <= given and least is not None and most is not None and least > most:
            yield f"`{low}={least}` is more than `{high}={most}` allows.\n  → change one of the two"
    wanted = {name for name in given if name.startswith("output_")}
    for name in sorted(wanted):
        if getattr(config, name) and not config.return_dict_in_generate:
            yield f"`{name}=True` has no place in plain ids.\n  → add return_dict_in_generate=True"


def has_effect(config: GenerationConfig, name: str) -> bool:
    """Return whether a setting of SAMPLING would change anything if tokens were sampled."""
    value = getattr(config, name)
    if name == "temperature" and value == 0:  # the field's way to ask for greedy search
        return False
    return value is not None and value != SAMPLING[name]


def reads(config: GenerationConfig, name: str) -> bool:
    """Return whether a search that samples nothing reads this setting of SAMPLING."""
    return name == "top_k" and bool(config.penalty_alpha) and (config.num_beams or 1) == 1
