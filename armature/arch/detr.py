"""DETR (Carion et al., 2020): trained queries ask an encoded map of a ResNet what is there."""

from __future__ import annotations

from typing import Any

from armature.arch._queried import boxes, masks, queried, rows
from armature.config import Config
from armature.model.spec import Own, Post
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


def spec(c: Config) -> Own:
    """Return the anatomy."""
    return Own(lambda: queried(c, Post))


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
NAMES = {
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
    return NAMES | rows(c)


ALIASES = {"backbone.model": "backbone.conv_encoder.model", "o_proj": "out_proj",
           "mlp.fc1": "fc1", "mlp.fc2": "fc2"}
IGNORED = ("num_batches_tracked",)
UNUSED = ("activation_dropout", "encoder_layerdrop", "decoder_layerdrop", "init_xavier_std",
          "use_pretrained_backbone", "scale_embedding", "max_position_embeddings",
          "classifier_dropout", "bbox_cost", "bbox_loss_coefficient", "class_cost",
          "dice_loss_coefficient", "eos_coefficient", "giou_cost", "giou_loss_coefficient",
          "is_encoder_decoder", "mask_loss_coefficient", "num_channels")
_HEAD = {"head.labels": "class_labels_classifier",
         "head.boxes.maps.{i}": "bbox_predictor.layers.{i}"}
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


HEADS = {
    "DetrModel": Base(),
    "DetrForObjectDetection": ObjectDetector(names=_HEAD, make=boxes),
    "DetrForSegmentation": InstanceSegmenter(
        names={ours: f"detr.{theirs}" for ours, theirs in _HEAD.items()} | _MASKS,
        prefix="detr.model",
        make=masks,
        also=("ImageSegmentation", "UniversalSegmentation"),
    ),
}
INPUTS = "images"
