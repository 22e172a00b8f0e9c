"""Bodies of trained queries: what DETR's relatives build alike, and how their files name it."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

from armature.arch import find, refuse
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Block, Dense, Dropout, LayerNorm, Own, Pre, Stack

# timm's ResNets: kind of layer, how many in each stage.
_TIMM = {
    "resnet18": ("basic", [2, 2, 2, 2]),
    "resnet26": ("bottleneck", [2, 2, 2, 2]),
    "resnet34": ("basic", [3, 4, 6, 3]),
    "resnet50": ("bottleneck", [3, 4, 6, 3]),
    "resnet101": ("bottleneck", [3, 4, 23, 3]),
    "resnet152": ("bottleneck", [3, 8, 36, 3]),
}


def queried(c: Config, order: type[Pre], kind: Any = None, decoder: Stack | None = None) -> Any:
    """Build the body; a norm before each organ wants another one after the encoder.

    Args:
        c: the config.
        order: where norms are.
        kind: the class of the body, where it is one's own.
        decoder: its decoder, where it is one's own.
    """
    from armature.layers.conv import freeze
    from armature.layers.placed import LearnedPlaces, WavePlaces
    from armature.model.build import build
    from armature.model.queried import NormedStack, Queried, RawNormedStack

    kinds: dict[str, Any] = {"sine": WavePlaces, "learned": LearnedPlaces}
    if c.position_embedding_type not in kinds:
        raise ConfigError(
            f"config.json: position_embedding_type is {c.position_embedding_type!r}, but should be "
            "'sine' or 'learned'\n  → correct the file, or download it again"
        )
    pyramid, stages = backbone(c)
    body: Any = freeze(pyramid)
    encoder: Any = build(half(c, order, "encoder", LayerNorm() if order is Pre else None))
    decodes: Any = build(decoder or half(c, order, "decoder", LayerNorm()))
    if c.auxiliary_loss:
        decodes = (NormedStack if order is Pre else RawNormedStack).of(decodes)
    places = kinds[c.position_embedding_type](c.d_model)
    return (kind or Queried)(body, stages, places, (encoder, decodes), c.num_queries)


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


def settings(c: Config) -> tuple[ModuleType, Config, str]:
    """Return the backbone's file and settings, and the name of timm's model; "" where it is none.

    Raises:
        ConfigError: it is of a kind that is not known here.
    """
    told = dict(c.data.get("backbone_config") or {}) if c.get("backbone_config") else {}
    if told.get("model_type", "timm_backbone") != "timm_backbone" or (
        not told and not c.use_timm_backbone
    ):
        kind = find(told.get("model_type", "resnet"))
        return kind, c.part("backbone_config", kind.DEFAULTS, kind.SYNONYMS), ""
    further = {**(c.backbone_kwargs or {}), **told}
    name = str(further.get("backbone") or c.backbone or "resnet50").partition(".")[0]
    if name not in _TIMM:
        raise ConfigError(
            f"config.json: the backbone is timm's {name!r}, but Armature knows only "
            f"{', '.join(_TIMM)}: a checkpoint made with another cannot be opened yet"
        )
    layer, depths = _TIMM[name]
    kind = find("resnet")
    widths = [64 * 2**index * (4 if layer == "bottleneck" else 1) for index in range(4)]
    made = type("PartConfig", (Config,), {"defaults": kind.DEFAULTS})(
        num_channels=further.get("num_channels", c.num_channels),
        layer_type=layer,
        depths=depths,
        hidden_sizes=widths,
        out_indices=further.get("out_indices") or [1, 2, 3, 4],
    )
    return kind, made, name


def backbone(c: Config) -> tuple[Any, list[int]]:
    """Build what reads images, and return the stages whose maps count."""
    from armature.layers.conv import dilate
    from armature.model.build import build
    from armature.outputs.images import chosen_stages

    kind, part, timm = settings(c)
    pyramid: Any = build(kind.spec(part))
    names = ["stem", *(f"stage{index}" for index in range(1, pyramid.depth + 1))]
    if c.dilation or (timm and (c.data.get("backbone_config") or {}).get("output_stride") == 16):
        if not timm:
            refuse(c, dilation=False)
        dilate(pyramid.stages[-1])
    return pyramid, chosen_stages(part, names)


def rows(c: Config, at: str = "backbone.conv_encoder.model.") -> dict[str, Any]:
    """Return the rows of names of the backbone, whose names begin so on disk."""
    kind, _, timm = settings(c)
    found = kind.timm_rows(at) if timm else kind.rows(at)
    return {f"pyramid.{ours}": theirs for ours, theirs in found.items()}


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
