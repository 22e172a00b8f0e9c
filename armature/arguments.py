"""Arguments: what a call of a model may be given, and what is wrong with what it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from armature.errors import ArgumentError, refuse_unknown
from armature.model.encoder_decoder import EncoderDecoder
from armature.model.stack import Stack

if TYPE_CHECKING:
    from armature.pretrained import PreTrainedModel

_SEEN = ("output_attentions", "output_hidden_states", "return_dict")
_ALWAYS = (*_SEEN, "head_mask", "use_cache", "past_key_values")
_TEXT = ("input_ids", "attention_mask", "inputs_embeds")
_STACK = ("token_type_ids", "position_ids")
_DECODER = ("encoder_hidden_states", "encoder_attention_mask")
_BOTH = (
    "decoder_input_ids",
    "decoder_attention_mask",
    "decoder_inputs_embeds",
    "decoder_position_ids",
    "encoder_outputs",
    "decoder_head_mask",
    "cross_attn_head_mask",
)

_NOT_TENSORS = (
    "output_attentions",
    "output_hidden_states",
    "output_router_logits",
    "return_dict",
    "use_cache",
    "past_key_values",
    "encoder_outputs",
    "interpolate_pos_encoding",
    "mems",
    "use_mems",
)


def accepted(model: PreTrainedModel) -> list[str]:
    """Return every argument that a call of this model may have."""
    labels, reader = model.head_spec.labels, model.reader
    if not isinstance(model.body, EncoderDecoder):
        if reader is not None:
            return [*reader.takes, *_SEEN, *labels]
        names = [*_TEXT, *_ALWAYS, *labels, *_STACK, *further(model.stack)]
        names += _DECODER if crosses(model.stack) else ()
    else:
        names = [*(_TEXT if reader is None else reader.takes), *_ALWAYS, *labels]
        if model.body.encoder is None:
            names += (*_DECODER, "encoder_outputs")
        elif model.body.decoder is not None:
            names += _BOTH
            names += () if reader else (*model.body.reads, *further(model.body.encoder))
    if "output_router_logits" in model.config.defaults:
        names.append("output_router_logits")
    return names


def further(stack: Any) -> tuple[str, ...]:
    """Return what else a stack's embeddings take."""
    return getattr(stack.embed, "takes", ())


def crosses(stack: Stack) -> bool:
    """Return whether a stack can attend to another sequence."""
    return any(getattr(block, "cross", None) is not None for block in stack.blocks)


def checked(model: PreTrainedModel, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call without those that are None.

    Raises:
        UnknownArgumentError: an argument that this model does not have.
        ArgumentError: one that nothing here does, or that is no tensor.
    """
    refuse_unknown(type(model).__name__, given, accepted(model))
    given = {name: value for name, value in given.items() if value is not None}
    _refuse_masks(given)
    lists = getattr(model.reader, "lists", ())
    _check_tensors({name: value for name, value in given.items() if name not in lists})
    return given


def _refuse_masks(given: Mapping[str, Any]) -> None:
    for name in ("head_mask", "decoder_head_mask", "cross_attn_head_mask"):
        if name in given:
            raise ArgumentError(
                f"{name} is not supported: fused attention cannot switch heads off. "
                "Zero the rows of `attn.out` that belong to the head instead"
            )


def _check_tensors(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name not in _NOT_TENSORS and not isinstance(value, Tensor):
            raise ArgumentError(
                f"{name} is a {type(value).__name__}, not a tensor: tokenizers and processors "
                "give tensors with return_tensors='pt'"
            )
