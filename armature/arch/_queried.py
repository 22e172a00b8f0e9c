"""Bodies of trained queries: what DETR's relatives build alike, and how their files name it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from armature.arch import refuse
from armature.arch._nested import backbone, backbone_rows, settings
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Block, Dense, Dropout, LayerNorm, Own, Pre, Stack

# The backbone where a file is silent: a ResNet, or timm's with all of its maps.
_USUAL = {"model_type": "resnet", "out_features": ["stage4"], "timm": [1, 2, 3, 4]}


def queried(c: Config, order: type[Pre], kind: Any = None, decoder: Stack | None = None) -> Any:
    """Build the body; a norm before each organ wants another one after the encoder.

    Args:
        c: the config.
        order: where norms are.
        kind: the class of the body, where it is one's own.
        decoder: its decoder, where it is one's own.
    """
    from armature.layers.placed import LearnedPlaces, WavePlaces
    from armature.model.build import build
    from armature.model.queried import NormedStack, Queried, RawNormedStack

    kinds: dict[str, Any] = {"sine": WavePlaces, "learned": LearnedPlaces}
    if c.position_embedding_type not in kinds:
        raise ConfigError(
            f"config.json: position_embedding_type is {c.position_embedding_type!r}, but should be "
            "'sine' or 'learned'\n  → correct the file, or download it again"
        )
    encoder: Any = build(half(c, order, "encoder", LayerNorm() if order is Pre else None))
    decodes: Any = build(decoder or half(c, order, "decoder", LayerNorm()))
    if c.auxiliary_loss:
        decodes = (NormedStack if order is Pre else RawNormedStack).of(decodes)
    places = kinds[c.position_embedding_type](c.d_model)
    return (kind or Queried)(seer(c), places, (encoder, decodes), c.num_queries)


def half(c: Config, order: type[Pre], name: str, norm: LayerNorm | None) -> Stack:
    """Return the encoder or the decoder."""
    heads, inner = getattr(c, f"{name}_attention_heads"), getattr(c, f"{name}_ffn_dim")
    decodes = name == "decoder"
    return Stack(
        embed=Own(lambda: _ready(c.d_model, encodes=not decodes)),
        block=Block(
            order(LayerNorm()),
            Own(partial(_attention, c.d_model, heads, "PlacedAttention")),
            Dense(inner, c.activation_function),
            Own(partial(_attention, c.d_model, heads, "PlacedCrossAttention")) if decodes else None,
        ),
        depth=getattr(c, f"{name}_layers"),
        norm=norm,
        dropout=Dropout(c.dropout, c.attention_dropout),
    )


def _ready(width: int, *, encodes: bool) -> Any:
    from armature.model.queried import Ready

    return Ready(width, bare=encodes, drops=encodes)


def _attention(width: int, heads: int, kind: str) -> Any:
    from armature.layers import placed

    return getattr(placed, kind)(width, heads, width // heads, bias=(True, True))


def seer(c: Config, usual: Mapping[str, Any] = _USUAL) -> Any:
    """Build what reads images, whose norms learn nothing."""
    from armature.layers.conv import dilate, freeze

    made: Any = freeze(backbone(c, usual))
    timm = settings(c, usual)[-1]
    if c.dilation or (timm and (c.data.get("backbone_config") or {}).get("output_stride") == 16):
        if not timm:
            refuse(c, dilation=False)
        dilate(made.body.stages[-1])
    return made


def rows(c: Config, usual: Mapping[str, Any] = _USUAL) -> dict[str, Any]:
    """Return the rows of names of the backbone."""
    return backbone_rows(c, usual, "backbone.conv_encoder.model", timm="")


def boxes(_spec: Any, c: Config, found: Any) -> Any:
    """Build what tells a label and a box for each query."""
    from armature.outputs.box_losses import Matching
    from armature.outputs.detection import BoxHead

    return BoxHead(c, found.width, Matching, c.num_labels + 1)


def masks(_spec: Any, c: Config, found: Any) -> Any:
    """Build what tells a label, a box and a mask for each query."""
    from armature.outputs.box_losses import Matching
    from armature.outputs.detection import MaskHead

    return drawing(c, found, MaskHead(c, found.width, Matching, c.num_labels + 1))


def drawing(c: Config, found: Any, head: Any) -> Any:
    """Give a head what draws masks; return it."""
    from armature.outputs.detection import QueryMasks

    channels = found.channels[::-1][-3:]
    head.mask = QueryMasks(found.width, c.encoder_attention_heads, channels, c.activation_function)
    return head
