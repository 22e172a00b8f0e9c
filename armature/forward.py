"""Forward passes: a caller's batch → packed inputs → body → head → the result users know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from armature import arguments
from armature.arguments import crosses, further
from armature.batch import Layout, extremes
from armature.errors import ArgumentError
from armature.layers.cache import Cache
from armature.layers.context import Record
from armature.layers.embed import Inputs
from armature.layers.sound import LENGTHS
from armature.model import call
from armature.model.call import Asked
from armature.model.composite import Composite
from armature.model.encoder_decoder import EncoderDecoder
from armature.model.pyramid import Pyramid
from armature.model.stack import Stack
from armature.outputs import answers, losses, results, tasks
from armature.outputs.heads import Given
from armature.outputs.images import see, see_tokens
from armature.outputs.results import ModelOutput

if TYPE_CHECKING:
    from armature.pretrained import PreTrainedModel


def run(model: PreTrainedModel, given: dict[str, Any]) -> ModelOutput | tuple[Any, ...]:
    """Run one forward pass.

    Args:
        model: the model that is called.
        given: the call's arguments by name; None counts as absent.

    Raises:
        UnknownArgumentError: an argument that this model does not have.
        ArgumentError: arguments that do not go together.
    """
    given = arguments.checked(model, given)
    config = model.config
    asked = Asked(
        given.get("output_hidden_states", config.output_hidden_states),
        given.get("output_attentions", config.output_attentions),
        bool(given.get("output_router_logits", config.get("output_router_logits", False))),
    )
    labels = {name: given[name] for name in model.head_spec.labels if name in given}
    if isinstance(model.body, Pyramid):
        found = see(model.body, model.head, given, asked)
    elif isinstance(model.body, EncoderDecoder) and model.body.decoder is not None:
        found = _both(model, given, asked, labels)
    elif isinstance(model.body, Composite):
        found = model.body.answer(given, asked)
        found |= {} if model.head is None else model.head(found, given)
    elif model.reader is not None:
        found = _opened(model, given, asked, labels)
    else:
        found = _single(model, given, asked, labels)
    result = _result(model, found)
    return result if given.get("return_dict", config.return_dict) else result.to_tuple()


def _single(
    model: PreTrainedModel, given: dict[str, Any], asked: Asked, labels: dict[str, Tensor]
) -> dict[str, Any]:
    """Run a model of one stack."""
    stack = model.stack
    cache = _cache(given)
    ids, types = given.get("input_ids"), given.get("token_type_ids")
    for name, make in model.head_spec.fills.items():
        if name not in given and ids is not None:
            given[name] = make(ids, given.get("attention_mask"), model.config)
    _check_types(stack, types)
    first = given.get("inputs_embeds") if ids is None else ids
    choices = 1
    if isinstance(model.head_spec, tasks.MultipleChoice) and first is not None:
        choices = _choices(first)
    elif isinstance(model.head_spec, tasks.DoubleHeads) and first is not None:
        choices = asked.choices = first.shape[1] if first.dim() > 2 + (ids is None) else 0
    whole = "attention_mask" in further(stack)  # padding is its own business
    mask = None if whole else _flat(given.get("attention_mask"))
    if mask is None and hasattr(stack.embed, "real"):
        mask = stack.embed.real(_flat(ids), given)
    own = {name: given[name] for name in further(stack) if name in given}
    rest = {name: value for name, value in given.items() if name not in own}
    inputs = call.pack(ids, _flat_embeds(given.get("inputs_embeds")), mask, rest, cache)
    inputs.further = own
    record = asked.record(stack)
    memory, memory_layout = outer(model, given)
    if memory_layout is not None and memory_layout.rows != inputs.layout.rows:
        raise ArgumentError(
            f"encoder_hidden_states has {memory_layout.rows} rows, but the input has "
            f"{inputs.layout.rows}: give each text its own"
        )
    x = stack(inputs, record, cache=cache, memory=memory, memory_layout=memory_layout)
    if cache is not None:
        cache.note(inputs.tokens, inputs.layout)
    return _finish(model, x, inputs, labels, choices, ids) | {
        "past_key_values": cache,
        "mems": tuple(record.kept_mems) or None,
        **asked.seen(stack, record, inputs.layout),
        **_routed(model, record, inputs.layout),
    }


def _opened(
    model: PreTrainedModel, given: dict[str, Any], asked: Asked, labels: dict[str, Tensor]
) -> dict[str, Any]:
    """Run a stack that makes tokens of something else than a text."""
    stack = model.stack
    blends = getattr(model.head, "blends", False)  # a head that reads the states of every block
    asked.states = asked.states or getattr(model.head, "shows", False)
    inputs, record = stack.embed.open(given), asked.record(stack)
    if blends:
        record.states = frozenset(range(stack.depth + 1))
        inputs.further["states"] = record.kept_states
    x, found = see_tokens(stack, model.head, inputs, record, given)
    found = found or _finish(model, x, inputs, labels)
    told = inputs.further.get("told", {})  # fields of the result that embeddings know
    return found | told | asked.seen(stack, record, inputs.layout)


def _finish(
    model: PreTrainedModel,
    x: Tensor,
    inputs: Inputs,
    labels: dict[str, Tensor],
    choices: int = 1,
    source: Tensor | None = None,
) -> dict[str, Any]:
    """Run the head on packed states (N, D)."""
    mask = inputs.further.get("attention_mask")
    leading = getattr(model.stack.embed, "leading", 0)
    given = Given(
        inputs.layout, inputs.tokens, source, labels, choices, mask, leading, inputs.further
    )
    found: dict[str, Any] = {} if model.head is None else model.head(x, given)
    if isinstance(model.head_spec, tasks.Base):
        found["last_hidden_state"] = inputs.layout.unpack(x)
    return found


def _both(
    model: PreTrainedModel, given: dict[str, Any], asked: Asked, labels: dict[str, Tensor]
) -> dict[str, Any]:
    """Run a decoder, and before it the encoder where there is one."""
    body = model.body
    cache = _cache(given)
    memory, layout, found = _memory(model, given, asked, cache)
    ids, embeds = given.get("input_ids"), given.get("inputs_embeds")
    source, mask = ids, given.get("attention_mask")
    if body.encoder is not None:
        ids = given.get("decoder_input_ids")
        embeds, mask = given.get("decoder_inputs_embeds"), given.get("decoder_attention_mask")
        if ids is None and embeds is None:
            ids = _decoder_inputs(model, given)
            mask = body.shows(ids, model.config.pad_token_id) if mask is None else mask
    places = {"position_ids": given.get("decoder_position_ids")}
    inputs = call.pack(ids, embeds, mask, places, cache)
    record = asked.record(body.decoder)
    x = body.decoder(inputs, record, cache=cache, memory=memory, memory_layout=layout)
    seen = asked.seen(body.decoder, record, inputs.layout)
    if body.encoder is not None:
        seen["decoder_hidden_states"] = seen.pop("hidden_states")
        seen["decoder_attentions"] = seen.pop("attentions")
    found |= _finish(model, x, inputs, labels, source=source)
    return found | seen | {"past_key_values": cache}


def _memory(
    model: PreTrainedModel, given: dict[str, Any], asked: Asked, cache: Cache | None
) -> tuple[Tensor | None, Layout | None, dict[str, Any]]:
    """Return what the decoder attends to, packed, and the encoder's part of the result."""
    encoder = model.body.encoder
    memory, layout = outer(model, given)
    if memory is not None and layout is not None:
        last = given.get("encoder_hidden_states")
        told = given.get("encoder_outputs")
        last = last if told is None else told if isinstance(told, Tensor) else told[0]
        return memory, layout, {"encoder_last_hidden_state": _told(model, last)}
    if encoder is None or (cache is not None and cache.cross):
        return None, None, {}
    x, inputs, record = encode(model, given, asked)
    seen = asked.seen(encoder, record, inputs.layout)
    memory, layout = remembered(model, x, inputs)
    return (
        memory,
        layout,
        {
            "encoder_last_hidden_state": _told(model, inputs.layout.unpack(x)),
            "encoder_hidden_states": seen["hidden_states"],
            "encoder_attentions": seen["attentions"],
        },
    )


def _told(model: PreTrainedModel, states: Tensor | None) -> Tensor | None:
    return states if states is None else model.body.told(states)


def remembered(model: PreTrainedModel, x: Tensor, inputs: Inputs) -> tuple[Tensor, Layout]:
    """Return what a decoder attends to of an encoder's states (N, D), padding left out."""
    layout, lengths = inputs.layout, inputs.further.get(LENGTHS)
    if lengths is not None:  # the encoder computed padding, too
        columns = torch.arange(layout.longest, device=layout.device)
        real = columns < lengths.to(layout.device)[:, None]
        shown = Layout.of(real, (layout.rows, layout.longest), layout.device)
        x, layout = shown.pack(layout.unpack(x)), shown
    return model.body.bridge(x), layout


def outer(model: PreTrainedModel, given: Mapping[str, Any]) -> tuple[Tensor | None, Layout | None]:
    """Return what a caller gave to attend to, packed; None where that is nothing."""
    states, mask = given.get("encoder_hidden_states"), given.get("encoder_attention_mask")
    found = given.get("encoder_outputs")
    states = states if found is None else found if isinstance(found, Tensor) else found[0]
    if states is None:
        return None, None
    if model.is_encoder_decoder:
        mask = given.get("attention_mask")
        if mask is not None and hasattr(model.reader, "shrink"):
            mask = model.reader.shrink(mask, states.shape[1])
    if states.dim() != 3:
        raise ArgumentError(
            f"encoder_hidden_states has the shape {tuple(states.shape)}: give (B, S, D), the "
            "last_hidden_state of another model"
        )
    layout = Layout.of(mask, (states.shape[0], states.shape[1]), states.device)
    bridge = getattr(model.body, "bridge", None)
    memory = layout.pack(states)
    return (memory if bridge is None else bridge(memory)), layout


def encode(
    model: PreTrainedModel, given: Mapping[str, Any], asked: Asked | None = None
) -> tuple[Tensor, Inputs, Record]:
    """Run the encoder of an encoder-decoder: its packed states (M, D), inputs and record."""
    encoder = model.body.encoder
    if model.reader is not None:
        inputs = model.reader.open(given)
    else:
        inputs = call.pack(
            given.get("input_ids"),
            given.get("inputs_embeds"),
            given.get("attention_mask"),
            {name: given.get(name) for name in model.body.reads},
        )
        inputs.further = {name: given[name] for name in further(encoder) if name in given}
    record = Record() if asked is None else asked.record(encoder)
    run = encoder.read if isinstance(encoder, Pyramid) else encoder
    return run(inputs, record), inputs, record


def _decoder_inputs(model: PreTrainedModel, given: Mapping[str, Any]) -> Tensor:
    """Return the decoder's ids where the caller gave none: labels, or the inputs, shifted."""
    config = model.config
    ids = given.get("labels") if isinstance(model.head_spec, tasks.Seq2SeqLM) else None
    if ids is None:
        ids = given.get("input_ids")
    if ids is None:
        raise ArgumentError("give decoder_input_ids, or labels or input_ids to make them of")
    if model.head_spec.begin == "last":
        return call.wrap_right(ids, config.pad_token_id)
    return call.shift_right(ids, config.decoder_start_token_id, config.pad_token_id)


def _cache(given: dict[str, Any]) -> Cache | None:
    cache = given.get("past_key_values")
    if cache is not None and not isinstance(cache, Cache):
        raise ArgumentError(
            f"past_key_values is a {type(cache).__name__}; give the one that an earlier call "
            "of this model returned with use_cache=True"
        )
    return Cache() if cache is None and given.get("use_cache") else cache


def _check_types(stack: Stack, types: Tensor | None) -> None:
    knows = getattr(stack.embed, "takes_types", False)
    if types is not None and not knows and extremes(types) not in (None, (0, 0)):
        raise ArgumentError(
            "token_type_ids mark a second segment, but this model has no segment embeddings: "
            "leave them out"
        )


def _choices(first: Tensor) -> int:
    """Return how many continuations each sequence of ids (B, C, T), or embeddings, has."""
    if first.dim() < 3:
        raise ArgumentError(
            f"the input has the shape {tuple(first.shape)}: give each text its choices, "
            "(B, choices, T)"
        )
    return first.shape[1]


def _flat(x: Tensor | None) -> Tensor | None:
    return x if x is None or x.dim() < 3 else x.flatten(0, -2)


def _flat_embeds(x: Tensor | None) -> Tensor | None:
    return x if x is None or x.dim() < 4 else x.flatten(0, -3)


def _routed(model: PreTrainedModel, record: Record, layout: Layout) -> dict[str, Any]:
    """Return router logits and the loss that balances experts, where they were asked for."""
    logits = record.kept_router
    if not logits:
        return {}
    config = model.config
    loss = losses.balance(logits, config.num_local_experts, config.num_experts_per_tok)
    padded = tuple(layout.unpack(one).flatten(0, 1) for one in logits)  # (B · T, X)
    return {"router_logits": padded, "aux_loss": loss}


def _result(model: PreTrainedModel, found: dict[str, Any]) -> ModelOutput:
    fields = getattr(model.head, "fields", getattr(model.body, "fields", None))
    if fields is not None:
        kind = answers.made(f"{type(model).__name__}Output", fields)
    else:
        kind = result_type(model)
    if getattr(model.head, "chain", None) is not None:
        kind = results.PathTokenClassifierOutput
    for part in (model.body, *model.body.children()):
        tell = getattr(getattr(part, "embed", None), "answers", None)
        if tell is not None:  # an organ of the architecture's own tells more
            kind = answers.widened(kind, **tell(found))
    known = kind.__match_args__  # the names of its fields
    balanced = "aux_loss" in known and found.get("aux_loss") is not None
    if balanced and found.get("loss") is not None:
        found["loss"] = found["loss"] + model.config.router_aux_loss_coef * found["aux_loss"]
    return kind(**{name: value for name, value in found.items() if name in known})


def result_type(model: PreTrainedModel) -> type[ModelOutput]:
    """Return the class of result that users know for this head on this kind of body."""
    both = isinstance(model.body, EncoderDecoder)
    joined = both and model.body.encoder is not None and model.body.decoder is not None
    crossed = not isinstance(model.body, Pyramid) and crosses(model.stack)
    alone = answers.CROSSED if crossed else answers.PLAIN
    kinds = answers.JOINED if joined else alone
    if not both and "mems" in further(model.body):
        kinds = answers.RECALLING
    for spec, kind in kinds.items():
        if isinstance(model.head_spec, spec):
            return kind
    if joined:
        return results.Seq2SeqModelOutput
    if isinstance(model.body, Pyramid):
        return results.ImageModelOutput
    if isinstance(model.head_spec, tasks.Base) and model.head_spec.pools:
        return results.BaseModelOutputWithPoolingAndCrossAttentions
    if crossed:
        return results.BaseModelOutputWithPastAndCrossAttentions
    return results.BaseModelOutputWithPast if model.is_causal else results.BaseModelOutput
