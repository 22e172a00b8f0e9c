"""DETR (Carion et al., 2020): trained queries ask an encoded map of a ResNet what is there."""

from __future__ import annotations

from functools import partial
from types import ModuleType
from typing import Any

from armature.arch import find, refuse
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Block, Dense, Dropout, LayerNorm, Own, Post, Pre, Stack
from armature.outputs.tasks import Base, InstanceSegmenter, ObjectDetector

# fmt: off
DEFAULTS: dict[str, Any] = {
    "backbone_config": None, "use_timm_backbone": True, "backbone": None, "backbone_kwargs": None,
    "num_channels": 3, "num_queries": 100, "d_model": 256,
    "encoder_layers": 6, "encoder_ffn_dim": 2048, "encoder_attention_heads": 8,
    "decoder_layers": 6, "decoder_ffn_dim": 2048, "decoder_attention_heads": 8,
    "activation_function": "relu",
    "dropout": 0.1, "attention_dropout": 0.0,
    "init_std": 0.02,
    "auxiliary_loss": False,
    "position_embedding_type": "sine",
    "dilation": False,
    "class_cost": 1, "bbox_cost": 5, "giou_cost": 2,
    "mask_loss_coefficient": 1, "dice_loss_coefficient": 1,
    "bbox_loss_coefficient": 5, "giou_loss_coefficient": 2,
    "eos_coefficient": 0.1,
    "is_encoder_decoder": True,
}
# fmt: on
SYNONYMS = {
    "hidden_size": "d_model",
    "num_attention_heads": "encoder_attention_heads",
    "num_hidden_layers": "encoder_layers",
}

# timm's ResNets: kind of layer, how many in each stage.
_TIMM = {
    "resnet18": ("basic", [2, 2, 2, 2]),
    "resnet26": ("bottleneck", [2, 2, 2, 2]),
    "resnet34": ("basic", [3, 4, 6, 3]),
    "resnet50": ("bottleneck", [3, 4, 6, 3]),
    "resnet101": ("bottleneck", [3, 4, 23, 3]),
    "resnet152": ("bottleneck", [3, 8, 36, 3]),
}


def spec(c: Config) -> Own:
    """Return the anatomy."""
    return Own(lambda: body(c, Post))


def body(c: Config, order: type[Pre], kind: Any = None, decoder: Stack | None = None) -> Any:
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
    encoder: Any = build(half(c, order, "encoder", LayerNorm() if order is Pre else None))
    decodes: Any = build(decoder or half(c, order, "decoder", LayerNorm()))
    if c.auxiliary_loss:
        decodes = (NormedStack if order is Pre else RawNormedStack).of(decodes)
    places = kinds[c.position_embedding_type](c.d_model)
    return (kind or Queried)(freeze(pyramid), stages, places, (encoder, decodes), c.num_queries)


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
    given = c.backbone_config
    timm = {} if given is None else given if given.get("model_type") == "timm_backbone" else None
    if timm is None or (given is None and not c.use_timm_backbone):
        kind = find((given or {"model_type": "resnet"})["model_type"])
        return kind, c.part("backbone_config", kind.DEFAULTS, kind.SYNONYMS), ""
    further = {**(c.backbone_kwargs or {}), **timm}
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
    if c.dilation or (timm and (c.backbone_config or {}).get("output_stride") == 16):
        if not timm:
            refuse(c, dilation=False)
        dilate(pyramid.stages[-1])
    return pyramid, chosen_stages(part, names)


def rows(c: Config, at: str = "backbone.conv_encoder.model.") -> dict[str, Any]:
    """Return the rows of names of the backbone, whose names begin so on disk."""
    kind, _, timm = settings(c)
    found = kind.timm_rows(at) if timm else kind.rows(at)
    return {f"pyramid.{ours}": theirs for ours, theirs in found.items()}


PREFIX = "model"
# fmt: off
_HALF = {
    "blocks.{i}.attn.q":     "layers.{i}.self_attn.q_proj",
    "blocks.{i}.attn.kv":    "layers.{i}.self_attn.{k,v}_proj",
    "blocks.{i}.attn.out":   "layers.{i}.self_attn.out_proj",
    "blocks.{i}.attn_norm":  "layers.{i}.self_attn_layer_norm",
    "blocks.{i}.cross.q":    "layers.{i}.encoder_attn.q_proj",
    "blocks.{i}.cross.kv":   "layers.{i}.encoder_attn.{k,v}_proj",
    "blocks.{i}.cross.out":  "layers.{i}.encoder_attn.out_proj",
    "blocks.{i}.cross_norm": "layers.{i}.encoder_attn_layer_norm",
    "blocks.{i}.mlp.up":     "layers.{i}.fc1",
    "blocks.{i}.mlp.down":   "layers.{i}.fc2",
    "blocks.{i}.mlp_norm":   "layers.{i}.final_layer_norm",
    "norm":                  "layernorm",
}
_ROWS = {
    "places.rows":    "position_embedding.row_embeddings",
    "places.columns": "position_embedding.column_embeddings",
    "project":        "input_projection",
    "queries":        "query_position_embeddings",
} | {
    f"{half}.{ours}": f"{half}.{theirs}"
    for half in ("encoder", "decoder") for ours, theirs in _HALF.items()
}


def names(c: Config) -> dict[str, Any]:
    """Return the rows of names."""
    return _ROWS | rows(c)


ALIASES = {"backbone.model": "backbone.conv_encoder.model", "o_proj": "out_proj",
           "mlp.fc1": "fc1", "mlp.fc2": "fc2"}
IGNORED = ("num_batches_tracked",)
UNUSED = ("activation_dropout", "encoder_layerdrop", "decoder_layerdrop", "init_xavier_std",
          "use_pretrained_backbone", "scale_embedding", "max_position_embeddings",
          "classifier_dropout", "bbox_cost", "bbox_loss_coefficient", "class_cost",
          "dice_loss_coefficient", "eos_coefficient", "giou_cost", "giou_loss_coefficient",
          "is_encoder_decoder", "mask_loss_coefficient", "num_channels",
          *(f"backbone_config.{key}" for key in (
              "id2label", "label2id", "is_encoder_decoder", "output_attentions",
              "output_hidden_states", "stage_names")))
_HEAD = {"head.labels": "class_labels_classifier",
         "head.boxes.layers.{i}": "bbox_predictor.layers.{i}"}
_MASKS = {
    "head.mask.q": "bbox_attention.q_linear", "head.mask.k": "bbox_attention.k_linear",
    "head.mask.first.conv": "mask_head.lay1", "head.mask.first.norm": "mask_head.gn1",
    "head.mask.second.conv": "mask_head.lay2", "head.mask.second.norm": "mask_head.gn2",
    "head.mask.out": "mask_head.out_lay",
} | {ours: theirs for i in range(3) for ours, theirs in (
    (f"head.mask.fit.{i}", f"mask_head.adapter{i + 1}"),
    (f"head.mask.refine.{i}.conv", f"mask_head.lay{i + 3}"),
    (f"head.mask.refine.{i}.norm", f"mask_head.gn{i + 3}"))}
# fmt: on


def _boxes(_spec: Any, c: Config, found: Any) -> Any:
    from armature.outputs.detection import BoxHead
    from armature.outputs.matching import Matching

    return BoxHead(c, found.width, Matching, c.num_labels + 1)


def _masks(_spec: Any, c: Config, found: Any) -> Any:
    from armature.outputs.detection import MaskHead
    from armature.outputs.matching import Matching

    return mask_head(c, found, MaskHead(c, found.width, Matching, c.num_labels + 1))


def mask_head(c: Config, found: Any, head: Any) -> Any:
    """Give a head what draws masks; return it."""
    from armature.outputs.detection import QueryMasks

    channels = found.channels[::-1][-3:]
    head.mask = QueryMasks(found.width, c.encoder_attention_heads, channels, c.activation_function)
    return head


HEADS = {
    "DetrModel": Base(),
    "DetrForObjectDetection": ObjectDetector(names=_HEAD, make=_boxes),
    "DetrForSegmentation": InstanceSegmenter(
        names={ours: f"detr.{theirs}" for ours, theirs in _HEAD.items()} | _MASKS,
        prefix="detr.model",
        make=_masks,
        also=("ImageSegmentation", "UniversalSegmentation"),
    ),
}
INPUTS = "images"
