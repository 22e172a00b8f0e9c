"""Arguments: what a call of a model may be given, and what is wrong with what it was."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from armature.errors import ArgumentError, refuse_unknown
from armature.model.encoder_decoder import EncoderDecoder
from armature.model.stack import Stack
from armature.outputs import tasks

if TYPE_CHECKING:
    from armature.pretrained import PreTrainedModel

_ALWAYS = (
    "input_ids",
    "attention_mask",
    "inputs_embeds",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
    "head_mask",
    "use_cache",
    "past_key_values",
)
_IMAGES = (
    "pixel_values",
    "interpolate_pos_encoding",
    "output_attentions",
    "output_hidden_states",
    "return_dict",
)
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


def label_names(spec: tasks.Head) -> tuple[str, ...]:
    """Return the arguments in which a head takes its labels."""
    match spec:
        case tasks.Base() | tasks.Backbone() | tasks.MaskedImage() | tasks.TaughtImageClassifier():
            return ()
        case tasks.Spans():
            return ("start_positions", "end_positions")
        case tasks.BeamSpans():
            return ("start_positions", "end_positions", "cls_index", "is_impossible", "p_mask")
        case tasks.PreTraining():
            return ("labels", spec.label)
        case tasks.DoubleHeads():
            return ("labels", "mc_labels", "mc_token_ids")
    return ("labels",)


def accepted(model: PreTrainedModel) -> list[str]:
    """Return every argument that a call of this model may have."""
    if model.sees:
        masked = ["bool_masked_pos"] if getattr(model.stack.embed, "mask", None) is not None else []
        return [*_IMAGES, *label_names(model.head_spec), *masked]
    names = [*_ALWAYS, *label_names(model.head_spec)]
    if isinstance(model.body, EncoderDecoder):
        encoder = model.body.encoder
        if encoder is None:
            names += _DECODER
        elif model.body.decoder is not None:
            names += [*_BOTH, *model.body.reads, *further(encoder)]
    else:
        names += [*_STACK, *further(model.stack), *(_DECODER if crosses(model.stack) else ())]
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
    _check_tensors(given)
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
