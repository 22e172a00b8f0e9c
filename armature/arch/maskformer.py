"""MaskFormer (Cheng et al., 2021): queries find a class and a mask each, of whole images."""

from __future__ import annotations

from typing import Any

from armature.arch._nested import NESTED, backbone, backbone_rows
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Own
from armature.outputs.tasks import Base, Head, MaskClassifier, Settings

DEFAULTS = {
    "backbone_config": None,
    "decoder_config": None,
    "fpn_feature_size": 256,
    "mask_feature_size": 256,
    "no_object_weight": 0.1,
    "use_auxiliary_loss": False,
    "dice_weight": 1.0,
    "cross_entropy_weight": 1.0,
    "mask_weight": 20.0,
    "output_auxiliary_logits": None,
}
SYNONYMS = {"hidden_size": "mask_feature_size"}


def spec(c: Config) -> Own:
    """Return the anatomy."""
    return Own(lambda: _body(c))


def _seer(c: Settings) -> tuple[dict[str, Any], Any]:
    """Return the usual settings of the backbone, and the config with its type as it is meant."""
    usual = {
        "model_type": "maskformer-swin",
        "image_size": 384,
        "embed_dim": 128,
        "depths": [2, 2, 18, 2],
        "num_heads": [4, 8, 16, 32],
        "window_size": 12,
        "drop_path_rate": 0.3,
        "out_features": ["stage1", "stage2", "stage3", "stage4"],
    }
    told = c.get("backbone_config") if isinstance(c, Config) else None
    if isinstance(told, dict) and told.get("model_type", "swin") == "swin":
        # HF: a Swin becomes one whose maps all have norms of their own, by their numbers.
        maps = {"out_features": usual["out_features"], "out_indices": None}
        c = c.copy()  # type: ignore[union-attr]
        c.data["backbone_config"] = {**told, "model_type": "maskformer-swin", **maps}
    return usual, c


def _body(c: Config) -> Any:
    from armature.model.mask_queries import PlainQueries
    from armature.model.pixel_decoder import TopDown

    usual, meant = _seer(c)
    seer = backbone(meant, usual)
    c.part_reads["backbone_config"] = meant.part_reads["backbone_config"]
    c.part_reads["backbone_config"].update(("out_features", "out_indices"))
    pixels = TopDown(seer.channels, c.fpn_feature_size, c.mask_feature_size)
    return PlainQueries(_decoder(c), seer, pixels)


def _decoder(c: Config) -> Config:
    """Return the settings of the queries.

    Raises:
        ConfigError: they are of another architecture.
    """
    defaults = {
        "d_model": 256,
        "num_queries": 100,
        "decoder_layers": 6,
        "decoder_ffn_dim": 2048,
        "decoder_attention_heads": 8,
        "activation_function": "relu",
        "dropout": 0.1,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "auxiliary_loss": False,
    }
    part = c.part("decoder_config", defaults, {"hidden_size": "d_model"})
    if part.data.get("model_type", "detr") != "detr":
        raise ConfigError(
            f"config.json: decoder_config is of {part.data['model_type']!r}, but only 'detr' is "
            "known here"
        )
    part.read_keys.update(_OF_OTHERS, NESTED)
    return part


# What the settings of queries say of a whole detector, of which there is nothing here.
_OF_OTHERS = (
    *("backbone_config", "backbone", "backbone_kwargs", "use_timm_backbone", "dilation"),
    *("encoder_layers", "encoder_ffn_dim", "encoder_attention_heads", "encoder_layerdrop"),
    *("decoder_layerdrop", "position_embedding_type", "init_xavier_std", "num_channels"),
    *("class_cost", "bbox_cost", "giou_cost", "mask_loss_coefficient", "dice_loss_coefficient"),
    *("bbox_loss_coefficient", "giou_loss_coefficient", "eos_coefficient"),
    *("num_hidden_layers", "max_position_embeddings", "scale_embedding"),
)


def _head(_spec: Head, c: Config, body: Any) -> Any:
    from armature.outputs.segmentation import InstanceHead

    return InstanceHead(c, body)


PREFIX = "model"


def names(c: Settings) -> dict[str, Any]:
    """Return our names → the disk's."""
    fpn, looks = "pixel_level_module.decoder.fpn", "transformer_module"
    layer = f"{looks}.decoder.layers.{{i}}"
    usual, meant = _seer(c)
    rows: dict[str, Any] = {
        **backbone_rows(meant, usual, "pixel_level_module.encoder"),
        "pixels.first": f"{fpn}.stem.0",
        "pixels.first_norm": f"{fpn}.stem.1",
        "pixels.lateral.{i}": f"{fpn}.layers.{{i}}.proj.0",
        "pixels.lateral_norm.{i}": f"{fpn}.layers.{{i}}.proj.1",
        "pixels.smooth.{i}": f"{fpn}.layers.{{i}}.block.0",
        "pixels.smooth_norm.{i}": f"{fpn}.layers.{{i}}.block.1",
        "pixels.out": "pixel_level_module.decoder.mask_projection",
        "project": f"{looks}.input_projection",
        "place": f"{looks}.queries_embedder",
        "blocks.{i}.mlp.up": f"{layer}.fc1",
        "blocks.{i}.mlp.down": f"{layer}.fc2",
        "blocks.{i}.norms.attn": f"{layer}.self_attn_layer_norm",
        "blocks.{i}.norms.cross": f"{layer}.encoder_attn_layer_norm",
        "blocks.{i}.norms.mlp": f"{layer}.final_layer_norm",
        "norm": f"{looks}.decoder.layernorm",
    }
    for ours, theirs in (("attn", "self_attn"), ("cross", "encoder_attn")):
        for one in ("q", "k", "v", "out"):
            rows[f"blocks.{{i}}.{ours}.{one}"] = f"{layer}.{theirs}.{one}_proj"
    return rows


IGNORED = ("attention.self.relative_position_index",)
UNUSED = ("init_xavier_std", "num_attention_heads", "num_hidden_layers")

HEADS = {
    "MaskFormerModel": Base(),
    "MaskFormerForInstanceSegmentation": MaskClassifier(
        make=_head,
        names={
            "head.out": "class_predictor",
            "head.mask.maps.{i}": "mask_embedder.{i}.0",
            "head.empty": "criterion.empty_weight",
        },
        also=("InstanceSegmentation", "ImageSegmentation"),
    ),
}
INPUTS = "images"
