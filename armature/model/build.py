"""Build modules from an anatomy: every description has one maker here."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import nn

from armature.layers import bias, embed, mlp, moe, norm, position
from armature.layers.attention import (
    CrossAttention,
    SelfAttention,
    TogetherNormedAttention,
    WindowAttention,
)
from armature.layers.patches import Patches, PatchTokens
from armature.model import spec
from armature.model.block import (
    Block,
    LateBlock,
    ParallelBlock,
    PostBlock,
    PreBlock,
    SandwichBlock,
    ScaledBlock,
)
from armature.model.encoder_decoder import EncoderDecoder
from armature.model.pyramid import MapStage, Pyramid, Stage
from armature.model.stack import Stack

Half = Literal["encoder", "decoder"]


def build(anatomy: spec.Body, half: Half | None = None) -> nn.Module:
    """Build the body that `anatomy` describes, or one half of an encoder-decoder."""
    match anatomy:
        case spec.Stack():
            return _excused(_stack(anatomy))
        case spec.EncoderDecoder():
            encoder = None if half == "decoder" else _stack(anatomy.encoder)
            decoder = None if half == "encoder" else _stack(anatomy.decoder)
            return EncoderDecoder(encoder, decoder, shared=not isinstance(anatomy, spec.Untied))
        case spec.Pyramid():
            return _pyramid(anatomy)
        case spec.Own():
            return anatomy.make()


def _excused(stack: Stack) -> Stack:
    """Let files lack what looks at another sequence: where the stack stood alone, it is new."""
    block: Any
    for block in stack.blocks:
        if getattr(block, "cross", None) is not None:
            for module in (*block.cross.modules(), block.cross_norm):
                module.of_task = tuple(module._parameters)
    return stack


def build_norm(description: spec.Norm, width: int) -> nn.Module:
    """Build a norm over the last dimension."""
    match description:
        case spec.BareLayerNorm():
            return norm.LayerNorm(width, eps=description.eps, elementwise_affine=False)
        case spec.UnbiasedLayerNorm():
            return norm.LayerNorm(width, eps=description.eps, bias=False)
        case spec.LayerNorm():
            return norm.LayerNorm(width, eps=description.eps)
        case spec.ShiftedRMSNorm():
            return norm.ShiftedRMSNorm(width, description.eps)
        case spec.RMSNorm():
            return norm.RMSNorm(width, description.eps)


# Orders, the blocks that follow them, and the norms that they have.
_ORDERS: dict[type[spec.Pre], tuple[type[Block], tuple[str, ...]]] = {
    spec.Pre: (PreBlock, ("attn_norm", "mlp_norm")),
    spec.Post: (PostBlock, ("attn_norm", "mlp_norm")),
    spec.Sandwich: (SandwichBlock, ("attn_norm", "attn_post", "mlp_norm", "mlp_post")),
    spec.Scaled: (ScaledBlock, ("attn_norm", "mlp_norm")),
    spec.Late: (LateBlock, ("attn_post", "mlp_post")),
    spec.Parallel: (ParallelBlock, ("attn_norm",)),
    spec.ParallelTwo: (ParallelBlock, ("attn_norm", "mlp_norm")),
}


def build_block(
    description: spec.Block | spec.Own, width: int, rotary: dict | None = None
) -> Block:
    """Build one layer; blocks of one stack share their rotations through `rotary`."""
    if isinstance(description, spec.Own):
        return description.make()
    order = description.order
    kind, names = _ORDERS[type(order)]
    if description.cross is not None:
        names = (*names, "cross_norm")
    return kind(
        _attention(description.attn, width, {} if rotary is None else rotary),
        _mlp(description.mlp, width),
        {name: build_norm(order.norm, width) for name in names},
        _cross(description.cross, width),
    )


def _stack(anatomy: spec.Stack) -> Stack:
    embedding = build_embed(anatomy.embed)
    width = _width(anatomy.embed, embedding)
    rotary: dict[str, position.Rotary] = {}
    schedule = anatomy.schedule or tuple(range(anatomy.depth))
    blocks = [
        build_block(
            anatomy.block if isinstance(anatomy.block, spec.Block) else anatomy.block(index),
            width,
            rotary,
        )
        for index in range(max(schedule, default=-1) + 1)
    ]
    stack = Stack(
        embedding,
        list(blocks),
        schedule,
        _last(anatomy.norm, width),
        _bias(anatomy, blocks),
    )
    _set_dropout(stack, anatomy.dropout)
    return stack


def _last(description: spec.Norm | spec.Own | None, width: int) -> nn.Module | None:
    if isinstance(description, spec.Own):
        return description.make()
    return None if description is None else build_norm(description, width)


def _pyramid(anatomy: spec.Pyramid) -> Pyramid:
    embedding: Any = build_embed(anatomy.embed)
    channels, stages = [_width(anatomy.embed, embedding)], []
    for stage in anatomy.stages:
        made = _stage(stage)
        stages.append(made)
        channels.append(made.width)
    pyramid = Pyramid(embedding, stages, _map_norm(anatomy, channels[-1]), tuple(channels))
    pyramid.first = int(isinstance(anatomy, spec.Stemless))
    _set_dropout(pyramid, anatomy.dropout)
    return pyramid


def _map_norm(anatomy: spec.Pyramid, width: int) -> nn.Module | None:
    if isinstance(anatomy.norm, spec.Own):
        return anatomy.norm.make()
    return None if anatomy.norm is None else norm.MapLayerNorm(width, eps=anatomy.norm.eps)


def _stage(anatomy: spec.Stage) -> Stage:
    down = None if anatomy.down is None else anatomy.down.make()
    early = isinstance(anatomy, spec.Entered)
    blocks: list[Any] = []
    for block in anatomy.blocks:
        if isinstance(block, spec.Own):
            blocks.append(block.make())
            continue
        assert isinstance(block.attn, spec.Attention)
        blocks.append(build_block(block, block.attn.heads * block.attn.width))
    if not isinstance(anatomy.blocks[0], spec.Own):
        return Stage(blocks, down, blocks[-1].attn.heads * blocks[-1].attn.head_width, early=early)
    kind = Stage if getattr(blocks[0], "packed", False) else MapStage
    return kind(blocks, down, blocks[-1].width, early=early)


def _width(description: spec.Tokens | spec.Patches | spec.Own, made: nn.Module) -> int:
    if isinstance(description, spec.Own):
        width = made.width
        assert isinstance(width, int), "embeddings of one's own say how wide they are"
        return width
    return getattr(description, "project", 0) or description.width


def build_embed(description: spec.Tokens | spec.Patches | spec.Own) -> nn.Module:
    """Build what turns inputs into the first hidden states."""
    match description:
        case spec.Own():
            return description.make()
        case spec.Tokens():
            place, width = description.position, description.width
            scaled = isinstance(description, spec.ScaledTokens)
            return (embed.ScaledTokens if scaled else embed.Tokens)(
                description.vocab,
                width,
                position=None if place is None else _position(place, width),
                types=description.types,
                norm=None if description.norm is None else build_norm(description.norm, width),
                scale=description.scale,
                project=description.project,
            )
        case spec.PatchTokens():
            taught = isinstance(description, spec.TaughtPatchTokens)
            extra = ("cls", "teacher") if taught else ("cls",)
            made = PatchTokens(description.width, description.shape, description.grid, extra)
            made.stretches = isinstance(description, spec.StretchedPatchTokens)
            return made
        case spec.Patches():
            return _patches(description)


def _position(description: spec.Learned, width: int) -> position.Learned:
    kinds = {
        spec.Learned: position.Learned,
        spec.Counted: position.Counted,
        spec.Sinusoidal: position.Sinusoidal,
        spec.ClosedSinusoidal: position.ClosedSinusoidal,
        spec.Stored: position.StoredSinusoidal,
    }
    kind = kinds[type(description)]
    return kind(description.size, width, description.offset, description.pad)


def _patches(description: spec.Patches) -> Patches:
    made = None
    if description.norm is not None:
        made = build_norm(description.norm, description.width)
    return Patches(description.width, description.shape, description.grid, made)


def _attention(description: spec.Attention | spec.Own, width: int, rotary: dict) -> nn.Module:
    if isinstance(description, spec.Own):
        return description.make()
    if isinstance(description, spec.Windows):
        return _windows(description, width)
    turn = description.rotary
    if turn is not None and repr(turn) not in rotary:
        interleaved = isinstance(turn, spec.Interleaved)
        made = position.Rotary(turn.width, turn.settings, interleaved=interleaved)
        if isinstance(turn, spec.Switching):
            made.switch = int(turn.settings["original_max_position_embeddings"])
        rotary[repr(turn)] = made
    together = isinstance(description, spec.NormedTogether)
    kv_heads = description.kv_heads or description.heads
    made = (TogetherNormedAttention if together else SelfAttention)(
        width,
        description.heads,
        description.width,
        kv_heads=kv_heads,
        bias=description.bias,
        scale=description.scale,
        causal=description.causal,
        window=description.window,
        rotary=None if turn is None else rotary[repr(turn)],
        norms=_norms(description, kv_heads),
        cap=description.cap,
    )
    if isinstance(description, spec.UnbiasedKeys):
        made.qkv.unbias("k")
    return made


def _norms(description: spec.Attention, kv_heads: int) -> tuple[nn.Module, nn.Module] | None:
    normed, width = description.norm, description.width
    if normed is None:
        return None

    def of(heads: int) -> nn.Module:
        if isinstance(description, spec.NormedApart):
            return norm.HeadsLayerNorm(heads, width, normed.eps)
        together = isinstance(description, spec.NormedTogether)
        return build_norm(normed, width * heads if together else width)

    return of(description.heads), of(kv_heads)


def _windows(description: spec.Windows, width: int) -> WindowAttention:
    side = description.window or 1
    return WindowAttention(
        width,
        description.heads,
        description.width,
        side=side,
        shift=side // 2 if isinstance(description, spec.ShiftedWindows) else 0,
        bias=description.bias,
    )


def _cross(description: spec.Attention | spec.Own | None, width: int) -> nn.Module | None:
    if description is None or isinstance(description, spec.Own):
        return None if description is None else description.make()
    made: Any = CrossAttention(
        width,
        description.heads,
        description.width,
        bias=description.bias,
        scale=description.scale,
    )
    if isinstance(description, spec.UnbiasedKeys):
        made.kv.k.bias = None
    return made


def _mlp(description: spec.Dense | spec.Own, width: int) -> nn.Module:
    match description:
        case spec.Own():
            return description.make()
        case spec.MoE():
            return (moe.PlainMoE if isinstance(description, spec.PlainMoE) else moe.MoE)(
                width,
                description.width,
                description.act,
                description.experts,
                description.top,
                description.shared,
            )
        case spec.Gated():
            return mlp.Gated(width, description.width, description.act, bias=description.bias)
        case spec.Dense():
            return mlp.Dense(width, description.width, description.act, bias=description.bias)


def _bias(anatomy: spec.Stack, blocks: list[Block]) -> bias.Bias | None:
    if isinstance(anatomy.bias, spec.Own):
        return anatomy.bias.make()
    if anatomy.bias is None or not blocks:
        return None
    first = blocks[0].attn
    match anatomy.bias:
        case spec.RoundedAlibi():
            return bias.Alibi(first.heads, scale=first.scale, dtype=torch.bfloat16)
        case spec.Alibi():
            return bias.Alibi(first.heads)
        case spec.Relative(buckets, distance):
            ahead = not isinstance(anatomy.bias, spec.OneWay)
            return bias.Relative(first.heads, buckets, distance, bidirectional=ahead)


def _set_dropout(body: nn.Module, dropout: spec.Dropout) -> None:
    """Tell every organ of a body how much it drops while training."""
    skipping = [module for module in body.modules() if hasattr(module, "path")]
    for index, module in enumerate(skipping):
        module.path = dropout.path * index / max(len(skipping) - 1, 1)  # type: ignore[assignment]
    blocks = body.blocks if isinstance(body, Stack) else ()
    for index, block in enumerate(blocks):
        block.skips = dropout.path * index / max(len(blocks) - 1, 1)  # type: ignore[assignment]
    for module in body.modules():
        if isinstance(module, nn.Dropout):
            module.p = dropout.hidden
        elif isinstance(module, SelfAttention | CrossAttention):
            module.dropout = dropout.attention
