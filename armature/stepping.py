"""Stepping: a model and its prompts → the steps that decoding takes with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from armature import forward as passes
from armature.batch import Layout
from armature.errors import ArgumentError
from armature.layers.attention import SelfAttention
from armature.layers.cache import Cache
from armature.layers.columns import window_columns
from armature.layers.embed import Inputs
from armature.layers.position import Rotary
from armature.model import call
from armature.model.call import Asked
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
        if inputs.get("past_key_values") is not None:
            raise ArgumentError(
                f"{type(model).__name__} reads its text anew for every token, so it cannot go on "
                "from `past_key_values`.\n  → pass the whole text alone"
            )
        return model.stack.embed.steps(model.stack, model.head.scores, prompt)
    given = dict(inputs)
    cache, cached = _cache(model, given), given.pop("use_cache", True)
    asked = Asked(
        given.pop("output_hidden_states", False), given.pop("output_attentions", False), False
    )
    whole, memory, before = mask, passes.outer(model, given), {}
    if model.is_encoder_decoder:
        memory, before = _memory(model, given, asked, memory)
        given = {}
    packed = _packed(model, prompt, mask, given, cache)
    told = passes.further(model.stack)
    packed.further |= {name: given[name] for name in told if name in given}
    kind = getattr(model.stack.embed, "decodes", StackSteps)
    place = _place(model, packed)
    found = kind(model.stack, model.head.scores, packed, capacity, memory, place)
    if cache is not None:
        found.resume(cache)
    found.encoder_seen, found.whole = before, whole
    found.watch(states=bool(asked.states), attentions=bool(asked.attentions))
    if asked.attentions:
        found.cache.slides = False  # what is shown has a column for each token
    if not cached:
        found.reread()
    return found


def _place(model: PreTrainedModel, packed: Inputs) -> Callable[[Tensor, Tensor], Tensor] | None:
    """Settle positions that count columns, or return what tells those of new tokens."""
    table = getattr(model.stack.embed, "position", None)
    alone = model.counts_tokens or not isinstance(model.body, EncoderDecoder)
    if not alone or getattr(table, "by_column", False):
        # HF: a decoder of two stacks takes no positions; its own count padding before a text.
        if table is not None and table.pad is not None:
            return table.after
        packed.positions = packed.layout.columns
    return None


def _cache(model: PreTrainedModel, given: dict[str, Any]) -> Cache | None:
    """Return the cache to go on from, if the caller has one.

    Raises:
        ArgumentError: it is no cache, or cannot be gone on from.
    """
    cache = passes._cache({"past_key_values": given.pop("past_key_values", None)})
    if cache is not None and model.is_encoder_decoder:
        raise ArgumentError(
            "`past_key_values` goes with a decoder alone, but here an encoder reads the prompt.\n"
            "  → pass encoder_outputs=… to save reading it again"
        )
    if cache is not None and given.get("use_cache") is False:
        raise ArgumentError("`use_cache=False` cannot go on from `past_key_values`: drop one")
    return cache


def _packed(
    model: PreTrainedModel,
    prompt: Tensor,
    mask: Tensor | None,
    given: dict[str, Any],
    cache: Cache | None,
) -> Inputs:
    """Return the prompts, or what a cache does not hold of them, packed."""
    if cache is None or not cache.lengths:
        return call.pack(prompt, None, mask, given)
    if any(isinstance(m, Rotary) and not m.fixed for m in model.stack.modules()):
        cache.forget()  # what is turned depends on how long a text is
        return call.pack(prompt, None, mask, given)
    _check(cache, prompt, mask)
    return _after(cache, prompt, mask, given)


def _check(cache: Cache, prompt: Tensor, mask: Tensor | None) -> None:
    """Refuse a cache that does not hold the beginnings of the prompts.

    Raises:
        ArgumentError: the cache holds other texts than the prompts begin with.
    """
    real = torch.ones_like(prompt, dtype=torch.bool) if mask is None else mask.bool()
    if len(cache.lengths) != len(prompt):
        held, rows = len(cache.lengths), len(prompt)
        remedy = (
            f"cache.expand({rows // held}) repeats them" if rows % held == 0 else "pass as many"
        )
        raise ArgumentError(
            f"`past_key_values` holds {held} rows, but there are {rows} prompts.\n  → {remedy}"
        )
    texts = [ids[known] for ids, known in zip(prompt, real, strict=True)]
    for row, (text, held) in enumerate(zip(texts, cache.lengths, strict=True)):
        if held > len(text):
            raise ArgumentError(
                f"`past_key_values` holds {held} tokens of row {row}, but `input_ids` has "
                f"{len(text)}.\n  → pass the whole text, what is cached included, or "
                f"cache.crop({len(text) - 1})"
            )
        known = cache.tokens[row] if cache.tokens is not None else text[:0]
        other = (known != text[: len(known)]).nonzero()
        if len(other):
            place = int(other[0])
            raise ArgumentError(
                f"`past_key_values` is of another text: token {place} of row {row} is "
                f"{int(known[place])} in the cache and {int(text[place])} in `input_ids`.\n"
                f"  → cache.crop({place}), or leave it out"
            )


def _after(cache: Cache, prompt: Tensor, mask: Tensor | None, given: dict[str, Any]) -> Inputs:
    """Return the tokens of each prompt that a cache does not hold, packed."""
    real = torch.ones_like(prompt, dtype=torch.bool) if mask is None else mask.bool()
    # The scores of the next token need at least one that is read now.
    wide = real.sum(1).tolist()
    surplus = [max(0, n + 1 - length) for n, length in zip(cache.lengths, wide, strict=True)]
    if any(surplus):
        cache.shorten(torch.tensor(surplus))
    held = torch.tensor(cache.lengths, device=prompt.device)
    first = cache.lengths[0]
    if mask is None and set(cache.lengths) == {first}:
        cut = {n: v[:, first:] if _is_wide(v, prompt) else v for n, v in given.items()}
        packed = call.pack(prompt[:, first:], None, None, cut)
    else:
        fresh = real & (real.cumsum(1) > held[:, None])
        packed = call.pack(prompt, None, fresh, given)
    packed.layout = packed.layout.after(cache.lengths)
    return packed


def _is_wide(value: Any, prompt: Tensor) -> bool:
    return isinstance(value, Tensor) and value.dim() == 2 and value.shape[1] == prompt.shape[1]


def cache_bytes(model: PreTrainedModel, rows: int, tokens: int, *, source: int = 0) -> int:
    """Return the memory that the cache of a generation takes with `cache_implementation="static"`.

    Args:
        model: what generates.
        rows: texts, or all beams of them.
        tokens: of a row, prompt and new ones together.
        source: of a row, what an encoder reads.
    """
    total = 0
    for index in model.stack.schedule:
        block: Any = model.stack.blocks[index]
        for attention, held in ((block.attn, tokens), (getattr(block, "cross", None), source)):
            columns = held
            if isinstance(attention, SelfAttention) and attention.causal and attention.window:
                columns = min(held, window_columns(attention.window))
            if attention is not None:
                total += rows * columns * attention.kv_heads * attention.head_width
    return 2 * total * model.dtype.itemsize


def _memory(
    model: PreTrainedModel, given: dict[str, Any], asked: Asked, outer: Memory
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
    return passes.remembered(model, x, packed), seen
