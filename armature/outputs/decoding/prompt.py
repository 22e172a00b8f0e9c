"""The prompts of one call: which tokens decoding begins with, and what else the model reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from armature.errors import ArgumentError
from armature.outputs.decoding.config import GenerationConfig
from armature.outputs.decoding.rules import tokens_of
from armature.outputs.decoding.steps import Generates


@dataclass(frozen=True)
class Prompt:
    """What a generation begins with."""

    ids: Tensor
    """(B, T) the decoder's first tokens, as the caller padded them."""
    mask: Tensor | None
    """(B, T) bool, False at padding; None where all tokens are real."""
    inputs: dict[str, Any]
    """What else the model reads: the encoder's inputs, token types."""
    source: Tensor | None
    """(B, S) the text that `encoder_…` settings speak of: the encoder's, or the prompt itself."""
    source_mask: Tensor | None
    """(B, S) like `mask`."""

    @property
    def rows(self) -> int:
        """Return B."""
        return self.ids.shape[0]

    @property
    def lengths(self) -> Tensor:
        """Return how many real tokens each row holds, (B,)."""
        if self.mask is None:
            return self.ids.new_full((self.rows,), self.ids.shape[1])
        return self.mask.sum(1)


def read_prompt(
    model: Generates, positional: Any, inputs: dict[str, Any], config: GenerationConfig
) -> Prompt:
    """Read the prompts out of a call's arguments.

    Args:
        model: The model that will read them.
        positional: The call's first argument: (B, T) ids, or a whole batch as a mapping.
        inputs: The model's inputs that were passed by name.
        config: The call's settings, for the special tokens.

    Raises:
        ArgumentError: the prompt is missing, empty, given twice or of a wrong shape.
    """
    given = dict(inputs)
    if isinstance(positional, Mapping):
        given |= positional
    elif positional is not None:
        name = getattr(model, "main_input_name", "input_ids")
        if name in given:
            raise ArgumentError(f"generate() got `{name}` twice: as `inputs` and by its name")
        given[name] = positional
    given = {
        name: value.to(model.device) if isinstance(value, Tensor) else value
        for name, value in given.items()
    }
    read = _of_encoder_decoder if model.is_encoder_decoder else _of_decoder
    return read(model, given, config)


def _of_decoder(model: Generates, given: dict[str, Any], config: GenerationConfig) -> Prompt:
    if "inputs_embeds" in given:
        raise ArgumentError(
            "generate() continues token ids, but got `inputs_embeds`.\n  → pass `input_ids`"
        )
    ids = given.pop("input_ids", None)
    if ids is None:
        ids = _begin(_batch_size(given), tokens_of(config.bos_token_id), "bos_token_id", model)
    ids = _checked("input_ids", ids)
    mask = _mask("attention_mask", given.pop("attention_mask", None), ids, config)
    given.pop("decoder_input_ids", None)
    _drop_silent_types(model, given)
    return Prompt(ids, mask, given, ids, mask)


def _of_encoder_decoder(
    model: Generates, given: dict[str, Any], config: GenerationConfig
) -> Prompt:
    main = getattr(model, "main_input_name", "input_ids")
    sources = [name for name in (main, "inputs_embeds") if name in given]
    if len(sources) > 1:
        raise ArgumentError(f"generate() got both `{main}` and `inputs_embeds`.\n  → pass one")
    if not sources and "encoder_outputs" not in given:
        raise ArgumentError(f"generate() has nothing to read.\n  → pass `{main}`")
    source = source_mask = None
    if main == "input_ids" and "input_ids" in given:
        source = given["input_ids"] = _checked("input_ids", given["input_ids"])
        source_mask = _mask("attention_mask", given.get("attention_mask"), source, config)
        if source_mask is not None:
            given["attention_mask"] = source_mask.long()
    _drop_silent_types(model, given)
    starts = tokens_of(config.decoder_start_token_id) or tokens_of(config.bos_token_id)
    start = _begin(_batch_size(given), starts, "decoder_start_token_id", model)
    ids, mask = given.pop("decoder_input_ids", None), given.pop("decoder_attention_mask", None)
    if ids is None:
        return Prompt(start, None, given, source, source_mask)
    ids = _checked("decoder_input_ids", ids)
    if mask is not None:
        mask = _mask("decoder_attention_mask", mask, ids, config)
    if bool((ids[:, :1] != start).all()) and not getattr(model, "begins_as_given", False):
        ids = torch.cat([start, ids], 1)
        mask = None if mask is None else torch.cat([mask.new_ones(len(mask), 1), mask], 1)
    return Prompt(ids, mask, given, source, source_mask)


def _begin(rows: int, tokens: list[int], name: str, model: Generates) -> Tensor:
    """Return the first token of each row, (B, 1): one for all, or one for each."""
    if not tokens:
        raise ArgumentError(
            f"generate() does not know what to begin with: neither a prompt nor `{name}` is set.\n"
            f"  → pass `input_ids`, or {name}=…"
        )
    if len(tokens) not in (1, rows):
        raise ArgumentError(f"`{name}` names {len(tokens)} tokens for {rows} rows")
    return torch.tensor(tokens, device=model.device).view(-1, 1).expand(rows, 1)


def _batch_size(given: dict[str, Any]) -> int:
    for value in given.values():
        if isinstance(value, Tensor):
            return value.shape[0]
    encoded = given.get("encoder_outputs")
    return encoded[0].shape[0] if encoded is not None else 1


def _checked(name: str, ids: Any) -> Tensor:
    """Return ids as (B, T) int64 with at least one column."""
    if not isinstance(ids, Tensor) or ids.dim() != 2 or ids.is_floating_point():
        kind = tuple(ids.shape) if isinstance(ids, Tensor) else type(ids).__name__
        raise ArgumentError(
            f"`{name}` should be a tensor of token ids of shape (rows, tokens), but is {kind}.\n"
            '  → tokenizer(texts, padding=True, return_tensors="pt") makes one'
        )
    if not ids.numel():
        raise ArgumentError(f"`{name}` is empty: its shape is {tuple(ids.shape)}")
    return ids.long()


def _mask(name: str, mask: Any, ids: Tensor, config: GenerationConfig) -> Tensor | None:
    """Return which tokens are real, (B, T) bool, or None where all are."""
    if mask is None:
        pads = tokens_of(config.pad_token_id)
        if not pads or pads[0] in tokens_of(config.eos_token_id):
            return None
        mask = ids != pads[0]
        if not bool(mask.any(1).all()):  # a prompt of nothing but this token means the token
            return None
    if not isinstance(mask, Tensor) or mask.shape != ids.shape:
        shape = tuple(mask.shape) if isinstance(mask, Tensor) else type(mask).__name__
        raise ArgumentError(f"`{name}` is {shape}, but the ids are {tuple(ids.shape)}")
    mask = mask != 0
    if not bool(mask.any(1).all()):
        row = int((~mask.any(1)).nonzero()[0])
        raise ArgumentError(f"the prompt of row {row} is empty: its `{name}` is all 0")
    return None if bool(mask.all()) else mask


def _drop_silent_types(model: Generates, given: dict[str, Any]) -> None:
    """Leave out token types that say nothing; a model without types refuses those that do."""
    types, known = given.get("token_type_ids"), getattr(model, "input_names", None)
    if types is None or (known and "token_type_ids" in known):
        return
    if not bool(types.any()):
        del given["token_type_ids"]
    elif known:
        raise ArgumentError("this model reads no `token_type_ids`, but some of them are not 0")
