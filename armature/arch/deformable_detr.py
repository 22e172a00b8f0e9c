"""Deformable DETR (Zhu et al., 2020): DETR that looks at a few points of maps of several sizes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from typing import Any

from armature.arch import refuse
from armature.arch._queried import rows, seer
from armature.checkpoint.views import Pair, Plain, Target
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Own
from armature.outputs.tasks import Base, ObjectDetector, Settings

# fmt: off
DEFAULTS: dict[str, Any] = {
    "backbone_config": None, "use_timm_backbone": True, "backbone": None, "backbone_kwargs": None,
    "num_channels": 3, "num_queries": 300, "d_model": 256,
    "encoder_layers": 6, "encoder_ffn_dim": 1024, "encoder_attention_heads": 8,
    "decoder_layers": 6, "decoder_ffn_dim": 1024, "decoder_attention_heads": 8,
    "activation_function": "relu",
    "dropout": 0.1, "attention_dropout": 0.0, "activation_dropout": 0.0,
    "init_std": 0.02,
    "auxiliary_loss": False,
    "position_embedding_type": "sine",
    "dilation": False,
    "num_feature_levels": 4, "encoder_n_points": 4, "decoder_n_points": 4,
    "two_stage": False, "two_stage_num_proposals": 300, "with_box_refine": False,
    "class_cost": 1, "bbox_cost": 5, "giou_cost": 2,
    "bbox_loss_coefficient": 5, "giou_loss_coefficient": 2,
    "focal_alpha": 0.25,
    "is_encoder_decoder": True,
    "tie_word_embeddings": True,
}
# fmt: on
SYNONYMS = {"hidden_size": "d_model", "num_attention_heads": "encoder_attention_heads"}


def _usual(c: Config) -> dict[str, Any]:
    several = [2, 3, 4] if c.num_feature_levels > 1 else [4]
    return {"model_type": "resnet", "out_features": ["stage4"], "timm": several}


def spec(c: Config) -> Own:
    """Return the anatomy."""
    return Own(lambda: _body(c))


def _body(c: Config) -> Any:
    from armature.layers.placed import LearnedPlaces, MiddlePlaces
    from armature.model.deformable import Deformable

    if c.two_stage:
        refuse(c, with_box_refine=True)
    kinds: dict[str, Any] = {"sine": MiddlePlaces, "learned": LearnedPlaces}
    if c.position_embedding_type not in kinds:
        refuse(c, position_embedding_type="sine")
    backbone = seer(c, _usual(c))
    if len(backbone.channels) > c.num_feature_levels:
        raise ConfigError(
            f"config.json: the backbone makes {len(backbone.channels)} maps, but "
            f"num_feature_levels is {c.num_feature_levels}\n"
            "  → correct the file, or download it again"
        )
    return Deformable(c, backbone, kinds[c.position_embedding_type](c.d_model))


def _boxes(_spec: Any, c: Config, body: Any) -> Any:
    """Build the head; where its boxes lead the queries, the body has them, or some of its own."""
    head = _head()(c, body.width)
    if c.with_box_refine and c.tie_word_embeddings:
        body.guide.append(head)
    elif c.with_box_refine:
        body.led = _head()(c, body.width)
        body.guide.append(body.led)
        if not c.two_stage:
            body.led.labels = None
    return head


@cache
def _head() -> Any:
    from collections.abc import Mapping

    from torch import nn

    from armature.layers.linear import Linear
    from armature.layers.queries import Perceptron
    from armature.model.deformable import FIELDS, beside
    from armature.outputs.box_losses import FocalMatching

    class Heads(nn.Module):
        """Labels and boxes after every block: the same maps, or each block has its own."""

        fields = ("loss", "loss_dict", "logits", "pred_boxes", "auxiliary_outputs", *FIELDS)

        def __init__(self, c: Config, width: int) -> None:
            super().__init__()
            count = c.decoder_layers + bool(c.two_stage)
            own = c.with_box_refine or not c.tie_word_embeddings
            labels = [Linear(width, c.num_labels) for _ in range(count if own else 1)]
            boxes = [Perceptron(width, width, width, 4) for _ in labels]
            self.labels = nn.ModuleList(labels if own else labels * count)
            self.boxes = nn.ModuleList(boxes if own else boxes * count)
            self.matching, self.numbered = FocalMatching(c), bool(c.auxiliary_loss)

        def forward(self, found: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
            """States (B, Q, D) → scores (B, Q, classes) and boxes (B, Q, 4), and their loss."""
            steps = found["intermediate_hidden_states"].unbind(1)
            made = self._read(len(steps) - 1, found)
            if given.get("labels") is None:
                return made
            further = []
            if self.numbered:
                further = [self._read(index, found) for index in range(len(steps) - 1)]
                made["auxiliary_outputs"] = further
            loss, parts = self.matching.total(made, given["labels"], further)
            return made | {"loss": loss, "loss_dict": parts}

        def _read(self, index: int, found: Mapping[str, Any]) -> dict[str, Any]:
            """Return what a block's queries found, beside where they looked."""
            states, points = found["intermediate_hidden_states"], found["init_reference_points"]
            if index:
                points = found["intermediate_reference_points"][:, index - 1]
            boxes = beside(self.boxes[index](states[:, index]), points).sigmoid()
            return {"logits": self.labels[index](states[:, index]), "pred_boxes": boxes}

    return Heads


class _Repeated(Plain):
    """One map for each block, here or at the decoder; or the first alone, for all of them."""

    def pairs(self, target: Target, fill: Callable[[str], str]) -> Iterator[Pair]:
        """Yield one pair."""
        for pair in super().pairs(target, fill):
            here = pair.name.removeprefix(_DECODES)
            first = re.sub(r"embed\.\d+", "embed.0", here)
            older = (here, f"{_DECODES}{here}", first)
            yield replace(pair, older=tuple(Pair(name, pair.shape) for name in older))


def _head_rows(c: Settings) -> dict[str, Any]:
    """Return the rows of the head; what leads the queries, too, lies at the decoder."""
    tied = c.get("tie_word_embeddings")
    labels = _DECODES if tied and c.get("two_stage") else ""
    boxes = _DECODES if tied and c.get("with_box_refine") else ""
    return {
        "head.labels.{i}": _Repeated(f"{labels}class_embed.{{i}}"),
        "head.boxes.{i}.maps.{j}": _Repeated(f"{boxes}bbox_embed.{{i}}.layers.{{j}}"),
    }


_DECODES = "model.decoder."
PREFIX = "model"
# fmt: off
_LOOK = {
    "attn.offsets": "sampling_offsets",
    "attn.shares":  "attention_weights",
    "attn.value":   "value_proj",
    "attn.out":     "output_proj",
}
_HALF = {"mlp.up": "fc1", "mlp.down": "fc2", "mlp_norm": "final_layer_norm"}
_ENCODER = {ours: f"self_attn.{theirs}" for ours, theirs in _LOOK.items()} | _HALF | {
    "attn_norm": "self_attn_layer_norm",
}
_DECODER = {ours: f"encoder_attn.{theirs}" for ours, theirs in _LOOK.items()} | _HALF | {
    "attn_norm": "encoder_attn_layer_norm",
    "among_norm": "self_attn_layer_norm",
} | {f"among.{one}": f"self_attn.{one}_proj" for one in ("q", "k", "v", "out")}
NAMES = {
    "places.rows":          "position_embedding.row_embeddings",
    "places.columns":       "position_embedding.column_embeddings",
    "project.{i}":          "input_proj.{i}.0",
    "project_norm.{i}":     "input_proj.{i}.1",
    "level":                "level_embed",
    "queries":              "query_position_embeddings",
    "point":                "reference_points",
    "proposals.read":       "enc_output",
    "proposals.read_norm":  "enc_output_norm",
    "proposals.place":      "pos_trans",
    "proposals.place_norm": "pos_trans_norm",
    "led.labels.{i}":         "decoder.class_embed.{i}",
    "led.boxes.{i}.maps.{j}": "decoder.bbox_embed.{i}.layers.{j}",
} | {
    f"{half}.{{i}}.{ours}": f"{half}.layers.{{i}}.{theirs}"
    for half, table in (("encoder", _ENCODER), ("decoder", _DECODER))
    for ours, theirs in table.items()
}


def names(c: Config) -> dict[str, Any]:
    """Return the rows of names."""
    return NAMES | rows(c, _usual(c))


ALIASES = {"backbone.model": "backbone.conv_encoder.model", "o_proj": "out_proj",
           "mlp.fc1": "fc1", "mlp.fc2": "fc2"}
_EMBEDS = ("class_embed.{}", *(f"bbox_embed.{{}}.layers.{j}" for j in range(3)))
# Some files hold the maps of labels and boxes several times; what is needed is read nonetheless.
IGNORED = ("num_batches_tracked", *(f"{one.format(i)}.{suffix}" for one in _EMBEDS
                                    for i in range(16) for suffix in ("weight", "bias")))
UNUSED = ("bbox_cost", "bbox_loss_coefficient", "class_cost", "focal_alpha", "giou_cost",
          "giou_loss_coefficient", "auxiliary_loss", "is_encoder_decoder", "num_channels",
          "num_queries", "two_stage_num_proposals", "with_box_refine",
          # what nothing reads
          "dice_loss_coefficient", "disable_custom_kernels", "encoder_layerdrop",
          "decoder_layerdrop", "eos_coefficient", "init_xavier_std", "mask_loss_coefficient",
          "max_position_embeddings", "return_intermediate", "scale_embedding",
          "use_pretrained_backbone", "tie_word_embeddings")
# fmt: on


HEADS = {
    "DeformableDetrModel": Base(),
    "DeformableDetrForObjectDetection": ObjectDetector(
        names=_head_rows,
        make=_boxes,
    ),
}
INPUTS = "images"
