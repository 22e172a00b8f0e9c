"""One call's settings: what the caller passed, completed by the checkpoint's and the defaults."""

from __future__ import annotations

import functools
import logging
from collections.abc import Iterator
from typing import Any

from armature.errors import ArgumentError, refuse_unknown
from armature.outputs.decoding.config import DEFAULTS, FIELDS, GenerationConfig
from armature.outputs.decoding.rules import SAMPLING, check, has_effect, reads
from armature.outputs.decoding.steps import Generates

# What `inputs` of a text model may hold; a model with other inputs has `input_names`.
TEXT_INPUTS = frozenset(
    (
        "input_ids",
        "inputs_embeds",
        "attention_mask",
        "token_type_ids",
        "decoder_input_ids",
        "decoder_attention_mask",
        "encoder_outputs",
        "past_key_values",
    )
)

# Arguments of the well-known signature that ask for something else than what is done here.
_REFUSED = {
    "custom_generate": "no code is taken from a checkpoint or a caller's text",
    "trust_remote_code": "no code is ever taken from a checkpoint",
    "synced_gpus": "all devices of one model are driven from one process",
}

# How to compute, not what: the tokens are the same with and without.
_HOW = FIELDS[FIELDS.index("cache_config") : FIELDS.index("is_assistant")]
_DRAFTS = FIELDS[FIELDS.index("is_assistant") : FIELDS.index("transformers_version")]

_BEAMS = ("early_stopping", "length_penalty")

# The named parameters of generate() itself, for the nearest name in an error.
_ARGUMENTS = (
    "logits_processor",
    "stopping_criteria",
    "prefix_allowed_tokens_fn",
    "streamer",
    "seed",
    "tokenizer",
    "assistant_model",
    "assistant_tokenizer",
    "negative_prompt_ids",
    "negative_prompt_attention_mask",
)


@functools.cache
def note(text: str) -> None:
    """Say something once in a process."""
    logging.getLogger("armature").warning(text)


def settle(
    model: Generates,
    base: GenerationConfig | None,
    arguments: dict[str, Any],
    *,
    assisted: bool = False,
) -> tuple[GenerationConfig, dict[str, Any]]:
    """Split a call's arguments into its settings, complete and sound, and the model's inputs.

    Args:
        model: What generates.
        base: The configuration given for this call.
        arguments: The call's, by name.
        assisted: Whether an assistant drafts.

    Raises:
        UnknownArgumentError: an argument is neither a setting nor an input of the model.
        ArgumentError: a setting is out of range, contradicts another or cannot be followed.
    """
    inputs, given = dict(arguments), {}
    _refuse(inputs)
    for name in [name for name in inputs if name in FIELDS]:
        given[name] = inputs.pop(name)
    known = getattr(model, "input_names", None) or TEXT_INPUTS
    refuse_unknown("generate()", inputs, [*known, *TEXT_INPUTS, *FIELDS, *_ARGUMENTS])

    config = GenerationConfig.from_dict(DEFAULTS)
    asked = dict(given)
    for layer in (model.generation_config, base):
        if layer is not None:
            values = {k: v for k, v in layer.to_diff_dict().items() if v is not None}
            config.__dict__.update(values)
            asked |= values if layer is base else {}
    config.update(**given)
    if "use_cache" not in asked:  # a file says how it was trained, not how to generate
        config.use_cache = True
    if config.do_sample is None:
        config.do_sample = False
    check(config, asked)
    for text in _without_effect(config, given, assisted=assisted):
        note(f"generate(): {text}")
    return config, {name: value for name, value in inputs.items() if value is not None}


def _refuse(arguments: dict[str, Any]) -> None:
    for name, reason in _REFUSED.items():
        value = arguments.pop(name, None)
        if value is not None and value is not False:
            raise ArgumentError(f"generate() cannot use `{name}`: {reason}")


def _without_effect(
    config: GenerationConfig, given: dict[str, Any], *, assisted: bool
) -> Iterator[str]:
    """Say of the arguments that were accepted which ones change nothing, and why."""
    passed = {name for name, value in given.items() if value not in (None, DEFAULTS.get(name))}
    reasons = dict.fromkeys(
        (set(_HOW) - {"max_cache_len"}), "here; the tokens are the same without it"
    )
    if not assisted:
        names = set(_DRAFTS) - (
            {"max_matching_ngram_size"} if config.prompt_lookup_num_tokens else set()
        )
        reasons |= dict.fromkeys(names, "without assistant_model or prompt_lookup_num_tokens")
    if not config.do_sample:
        shaping = [
            name for name in SAMPLING if has_effect(config, name) and not reads(config, name)
        ]
        reasons |= dict.fromkeys(shaping, "without do_sample=True")
    if (config.num_beams or 1) == 1:
        reasons |= dict.fromkeys(_BEAMS, "without num_beams=2 or more")
    if config.max_new_tokens is not None:
        reasons["max_length"] = f"beside `max_new_tokens={config.max_new_tokens}`"
    if config.min_new_tokens is not None:
        reasons["min_length"] = f"beside `min_new_tokens={config.min_new_tokens}`"
    return (f"`{name}` has no effect {why}" for name, why in reasons.items() if name in passed)
