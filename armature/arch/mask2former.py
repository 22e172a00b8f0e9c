"""Mask2Former (Cheng et al., 2021): queries that look only where they saw their mask before."""

from __future__ import annotations

from typing import Any

from armature.arch._nested import backbone, backbone_rows
from armature.config import Config
from armature.model.spec import Own
from armature.outputs.tasks import Base, Head, MaskClassifier, Settings

DEFAULTS = {
    "backbone_config": None,
    "feature_size": 256,
    "mask_feature_size": 256,
    "hidden_dim": 256,
    "encoder_feedforward_dim": 1024,
    "activation_function": "relu",
    "encoder_layers": 6,
    "decoder_layers": 10,
    "num_attention_heads": 8,
    "dropout": 0.0,
    "dim_feedforward": 2048,
    "pre_norm": False,
    "enforce_input_projection": False,
    "common_stride": 4,
    "ignore_value": 255,
    "num_queries": 100,
    "no_object_weight": 0.1,
    "class_weight": 2.0,
    "mask_weight": 5.0,
    "dice_weight": 5.0,
    "train_num_points": 12544,
    "oversample_ratio": 3.0,
    "importance_sample_ratio": 0.75,
    "use_auxiliary_loss": True,
    "feature_strides": [4, 8, 16, 32],
    "output_auxiliary_logits": None,
}
SYNONYMS = {"hidden_size": "hidden_dim", "num_hidden_layers": "decoder_layers"}


def spec(c: Config) -> Own:
    """Return the anatomy."""
    return Own(lambda: _body(c))


def _usual() -> dict[str, Any]:
    maps = ["stage1", "stage2", "stage3", "stage4"]
    return {
        "model_type": "swin",
        "depths": [2, 2, 18, 2],
        "drop_path_rate": 0.3,
        "out_features": maps,
    }


def _body(c: Config) -> Any:
    from armature.model.mask_queries import MaskedQueries
    from armature.model.pixel_decoder import DeformableDecoder

    seer = backbone(c, _usual())
    pixels = DeformableDecoder(c, seer.channels)
    return MaskedQueries(c, seer, pixels)


def _head(_spec: Head, c: Config, body: Any) -> Any:
    from armature.outputs.mask_heads import UniversalHead

    return UniversalHead(c, body)


PREFIX = "model"


_PIXELS, _LOOKS = "pixel_level_module.decoder", "transformer_module"
_DEEP, _LAYER = f"{_PIXELS}.encoder.layers.{{i}}", f"{_LOOKS}.decoder.layers.{{i}}"
NAMES: dict[str, Any] = {
    "pixels.level": f"{_PIXELS}.level_embed",
    "pixels.project.{i}": f"{_PIXELS}.input_projections.{{i}}.0",
    "pixels.project_norm.{i}": f"{_PIXELS}.input_projections.{{i}}.1",
    "pixels.blocks.{i}.attn.offsets": f"{_DEEP}.self_attn.sampling_offsets",
    "pixels.blocks.{i}.attn.shares": f"{_DEEP}.self_attn.attention_weights",
    "pixels.blocks.{i}.attn.value": f"{_DEEP}.self_attn.value_proj",
    "pixels.blocks.{i}.attn.out": f"{_DEEP}.self_attn.output_proj",
    "pixels.blocks.{i}.attn_norm": f"{_DEEP}.self_attn_layer_norm",
    "pixels.blocks.{i}.mlp.up": f"{_DEEP}.fc1",
    "pixels.blocks.{i}.mlp.down": f"{_DEEP}.fc2",
    "pixels.blocks.{i}.mlp_norm": f"{_DEEP}.final_layer_norm",
    **{f"pixels.lateral.{i}": f"{_PIXELS}.adapter_{i + 1}.0" for i in range(4)},
    **{f"pixels.lateral_norm.{i}": f"{_PIXELS}.adapter_{i + 1}.1" for i in range(4)},
    **{f"pixels.smooth.{i}": f"{_PIXELS}.layer_{i + 1}.0" for i in range(4)},
    **{f"pixels.smooth_norm.{i}": f"{_PIXELS}.layer_{i + 1}.1" for i in range(4)},
    "pixels.out": f"{_PIXELS}.mask_projection",
    "place": "transformer_module.queries_embedder",
    "query": "transformer_module.queries_features",
    "level": "transformer_module.level_embed",
    "project.{i}": "transformer_module.input_projections.{i}",
    "blocks.{i}.cross": f"{_LAYER}.cross_attn",
    "blocks.{i}.cross.weight": f"{_LAYER}.cross_attn.in_proj_weight",
    "blocks.{i}.cross.bias": f"{_LAYER}.cross_attn.in_proj_bias",
    "blocks.{i}.cross.out": f"{_LAYER}.cross_attn.out_proj",
    "blocks.{i}.norms.cross": f"{_LAYER}.cross_attn_layer_norm",
    **{
        f"blocks.{{i}}.attn.{one}": f"{_LAYER}.self_attn.{one}_proj"
        for one in ("q", "k", "v", "out")
    },
    "blocks.{i}.norms.attn": f"{_LAYER}.self_attn_layer_norm",
    "blocks.{i}.mlp.up": f"{_LAYER}.fc1",
    "blocks.{i}.mlp.down": f"{_LAYER}.fc2",
    "blocks.{i}.norms.mlp": f"{_LAYER}.final_layer_norm",
    "norm": "transformer_module.decoder.layernorm",
    "mask.maps.{i}": "transformer_module.decoder.mask_predictor.mask_embedder.{i}.0",
}


def names(c: Settings) -> dict[str, Any]:
    """Return NAMES, and those of the backbone."""
    return NAMES | backbone_rows(c, _usual(), "pixel_level_module.encoder")


IGNORED = ("attention.self.relative_position_index",)
UNUSED = ("ignore_value", "init_xavier_std", "num_layers")
# what the loss alone reads
UNUSED += ("class_weight", "dice_weight", "importance_sample_ratio", "mask_weight",
           "no_object_weight", "output_auxiliary_logits", "oversample_ratio", "train_num_points",
           "use_auxiliary_loss", "enforce_input_projection")  # fmt: skip

HEADS = {
    "Mask2FormerModel": Base(),
    "Mask2FormerForUniversalSegmentation": MaskClassifier(
        make=_head,
        names={"head.out": "class_predictor", "head.counts.weight": "criterion.empty_weight"},
        also=("UniversalSegmentation", "ImageSegmentation"),
    ),
}
INPUTS = "images"
