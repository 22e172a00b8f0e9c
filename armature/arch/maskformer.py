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


_MAPS = ["stage1", "stage2", "stage3", "stage4"]
_USUAL = {"model_type": "maskformer-swin", "image_size": 384, "embed_dim": 128, "window_size": 12}
_USUAL |= {"depths": [2, 2, 18, 2], "num_heads": [4, 8, 16, 32], "drop_path_rate": 0.3}
_USUAL |= {"out_features": _MAPS}


def _seer(c: Settings) -> tuple[Settings, dict[str, Any]]:
    """Return the config with its backbone as it is meant, and the backbone's usual settings."""
    told = c.data.get("backbone_config") if isinstance(c, Config) else None
    if isinstance(told, dict) and told.get("model_type", "swin") == "swin":
        # HF: a Swin becomes one whose maps all have norms of their own, by their numbers.
        c = c.copy()  # type: ignore[union-attr]
        meant = {"model_type": "maskformer-swin", "out_features": _MAPS, "out_indices": None}
        c.data["backbone_config"] = told | meant
    return c, _USUAL


def _body(c: Config) -> Any:
    from armature.model.mask_queries import PlainQueries
    from armature.model.pixel_decoder import TopDown

    meant: Any = _seer(c)[0]
    seer = backbone(meant, _USUAL)
    read = meant.part_reads.get("backbone_config", set()) | {"out_features", "out_indices"}
    c.part_reads["backbone_config"] = read
    pixels = TopDown(seer.channels, c.fpn_feature_size, c.mask_feature_size)
    return PlainQueries(_decoder(c), seer, pixels)


def _decoder(c: Config) -> Config:
    """Return the settings of the queries.

    Raises:
        ConfigError: they are of another architecture.
    """
    defaults = {"d_model": 256, "num_queries": 100, "decoder_layers": 6, "decoder_ffn_dim": 2048}
    defaults |= {"decoder_attention_heads": 8, "activation_function": "relu", "dropout": 0.1}
    defaults |= {"attention_dropout": 0.0, "activation_dropout": 0.0, "auxiliary_loss": False}
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
    from armature.outputs.mask_heads import InstanceHead

    return InstanceHead(c, body)


PREFIX = "model"


_FPN, _LOOKS = "pixel_level_module.decoder.fpn", "transformer_module"
_LAYER, _MAPPED = f"{_LOOKS}.decoder.layers.{{i}}", ("q", "k", "v", "out")
# fmt: off
NAMES: dict[str, Any] = {
    "pixels.first":            f"{_FPN}.stem.0",
    "pixels.first_norm":       f"{_FPN}.stem.1",
    "pixels.lateral.{i}":      f"{_FPN}.layers.{{i}}.proj.0",
    "pixels.lateral_norm.{i}": f"{_FPN}.layers.{{i}}.proj.1",
    "pixels.smooth.{i}":       f"{_FPN}.layers.{{i}}.block.0",
    "pixels.smooth_norm.{i}":  f"{_FPN}.layers.{{i}}.block.1",
    "pixels.out":              "pixel_level_module.decoder.mask_projection",
    "project":                 f"{_LOOKS}.input_projection",
    "place":                   f"{_LOOKS}.queries_embedder",
    **{f"blocks.{{i}}.attn.{x}":  f"{_LAYER}.self_attn.{x}_proj" for x in _MAPPED},
    **{f"blocks.{{i}}.cross.{x}": f"{_LAYER}.encoder_attn.{x}_proj" for x in _MAPPED},
    "blocks.{i}.mlp.up":       f"{_LAYER}.fc1",
    "blocks.{i}.mlp.down":     f"{_LAYER}.fc2",
    "blocks.{i}.norms.attn":   f"{_LAYER}.self_attn_layer_norm",
    "blocks.{i}.norms.cross":  f"{_LAYER}.encoder_attn_layer_norm",
    "blocks.{i}.norms.mlp":    f"{_LAYER}.final_layer_norm",
    "norm":                    f"{_LOOKS}.decoder.layernorm",
}
# fmt: on


def names(c: Settings) -> dict[str, Any]:
    """Return NAMES, and those of the backbone."""
    return NAMES | backbone_rows(*_seer(c), "pixel_level_module.encoder")


IGNORED = ("attention.self.relative_position_index",)
UNUSED = ("init_xavier_std", "num_attention_heads", "num_hidden_layers")
# what the head alone reads
UNUSED += ("cross_entropy_weight", "dice_weight", "mask_weight", "no_object_weight",
           "output_auxiliary_logits", "use_auxiliary_loss")  # fmt: skip

HEADS = {
    "MaskFormerModel": Base(),
    "MaskFormerForInstanceSegmentation": MaskClassifier(
        make=_head,
        names={
            "head.out": "class_predictor",
            "head.mask.maps.{i}": "mask_embedder.{i}.0",
            "head.counts.weight": "criterion.empty_weight",
        },
        also=("InstanceSegmentation", "ImageSegmentation"),
    ),
}
INPUTS = "images"
