"""Stepping: a model and its prompts → the steps that decoding takes with them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import Tensor

from armature import forward as passes
from armature.batch import Layout
from armature.errors import ArgumentError
from armature.model import call
from armature.model.encoder_decoder import EncoderDecoder
from armature.model.steps import StackSteps
from armature.outputs import tasks

if TYPE_CHECKING:
    from armature.outputs.decoding.steps import Steps
    from armature.pretrained import PreTrainedModel

Memory = tuple[Tensor | None, Layout | None]


def steps(
    model: PreTrainedModel,
    prompt: Tensor,
    mask: Tensor | None,
    inputs: dict[str, Any],
    capacity: int,
) -> Steps:
    """Return a model as decoding sees it; the arguments are those of `PreTrainedModel.steps`."""
    if not isinstance(model.head_spec, tasks.WordHead) or model.head is None:
        raise ArgumentError(f"{type(model).__name__} has no word head, so it cannot generate")
    if hasattr(model.stack.embed, "steps"):
        return model.stack.embed.steps(model.stack, model.head.scores, prompt)
    given = dict(inputs)
    cached = given.pop("use_cache", True)
    asked = passes._Asked(
        given.pop("output_hidden_states", False), given.pop("output_attentions", False), False
    )
    memory, before = passes.outer(model, given), {}
    if model.is_encoder_decoder:
        memory, before = _memory(model, given, asked, memory)
        given = {}
    packed, place = call.pack(prompt, None, mask, given), None
    table = getattr(model.stack.embed, "position", None)
    if isinstance(model.body, EncoderDecoder) or getattr(table, "by_column", False):
        # HF: a decoder of two stacks takes no positions; its own count padding before a text.
        if table is not None and table.pad is not None:
            place = table.after
        else:
            packed.positions = packed.layout.columns
    kind = getattr(model.stack.embed, "decodes", StackSteps)
    found = kind(model.stack, model.head.scores, packed, capacity, memory, place)
    found.encoder_seen = before
    found.watch(states=bool(asked.states), attentions=bool(asked.attentions))
    if not cached:
        found.reread()
    return found


def _memory(
    model: PreTrainedModel, given: dict[str, Any], asked: passes._Asked, outer: Memory
) -> tuple[Memory, dict[str, Any]]:
    """Return what the decoder attends to, packed, and what the encoder shows."""
    if outer[0] is not None:
        told = given.get("encoder_outputs")
        names = ("hidden_states", "attentions")
        return outer, {f"encoder_{name}": getattr(told, name, None) for name in names}
    x, packed, record = passes.encode(model, given, asked)
    shown = asked.seen(model.body.encoder, record, packed.layout)
    del shown["cross_attentions"]
    seen = {f"encoder_{name}": value for name, value in shown.items()}
    return (model.body.bridge(x), packed.layout), seen
