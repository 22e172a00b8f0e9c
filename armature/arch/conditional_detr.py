"""Conditional DETR (Meng et al., 2021): each query looks around a point, by waves of its own."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from armature.arch import detr
from armature.arch._queried import drawing, half, queried
from armature.config import Config
from armature.model.spec import Block, Dense, LayerNorm, Own, Post
from armature.outputs.tasks import Base, InstanceSegmenter, ObjectDetector

LIKE = detr
DEFAULTS = {
    **{key: value for key, value in detr.DEFAULTS.items() if key != "eos_coefficient"},
    "num_queries": 300,
    "class_cost": 2,
    "focal_alpha": 0.25,
}


def spec(c: Config) -> Own:
    """Return the anatomy."""
    return Own(lambda: _body(c))


def _body(c: Config) -> Any:
    stack = half(c, Post, "decoder", LayerNorm())

    def block(index: int) -> Block:
        heads = c.decoder_attention_heads
        return Block(
            Post(LayerNorm()),
            Own(lambda: _among()(c.d_model, heads)),
            Dense(c.decoder_ffn_dim, c.activation_function),
            Own(lambda: _cross()(c.d_model, heads, first=index == 0)),
        )

    return queried(c, Post, _queried(), replace(stack, block=block))


@cache
def _among() -> Any:
    import math

    from torch import Tensor, nn

    from armature.layers import kernels
    from armature.layers.attention import CrossAttention
    from armature.layers.context import Context
    from armature.layers.kernels import Rule
    from armature.layers.linear import Linear

    class Among(CrossAttention):
        """Attention of queries to each other, contents and places mapped apart."""

        q: Any
        k: Any
        v: Any
        q_place: Any
        k_place: Any

        def __init__(self, width: int, heads: int) -> None:
            nn.Module.__init__(self)
            self.heads = self.kv_heads = heads
            self.head_width, self.dropout = width // heads, 0.0
            self.scale = 1 / math.sqrt(self.head_width)
            for name in ("q", "k", "q_place", "k_place", "v", "out"):
                setattr(self, name, Linear(width, width))

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            shared = context.shared
            shared["asks"] = shared["waves"]
            if context.layer:
                shared["asks"] = shared["waves"] * shared["turn"](x)
            q = self.q(x) + self.q_place(shared["places"])
            k = self.k(x) + self.k_place(shared["places"])
            return self._mixed(q, k, self.v(x), context, context.layout)

        def _mixed(self, q: Tensor, k: Tensor, v: Tensor, context: Context, keys: Any) -> Tensor:
            q, k = (one.unflatten(-1, (self.heads, -1)) for one in (q, k))
            rule = Rule(self.scale, dropout=self.dropout if self.training else 0.0)
            if context.layer in context.record.attentions:
                kept = context.record.kept_attentions
                kept = kept if keys is context.layout else context.record.kept_cross
                kept[context.layer] = kernels.weights(q, k, context.layout, keys, rule)
            return self.out(kernels.attend(q, k, self._heads(v), context.layout, keys, rule))

    return Among


@cache
def _cross() -> Any:
    import math

    import torch
    from torch import Tensor

    from armature.layers.context import Context
    from armature.layers.linear import Linear

    class Cross(_among()):
        """Attention to the map: half of each key and query says where, the other half what."""

        def __init__(self, width: int, heads: int, *, first: bool) -> None:
            super().__init__(width, heads)
            self.scale = 1 / math.sqrt(2 * self.head_width)
            self.waves = Linear(width, width)
            if not first:
                self.q_place = None

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            shared, memory = context.shared, context.memory
            q, k = self.q(x), self.k(memory)
            where = self.k_place(shared["memory_places"])
            if self.q_place is not None:
                q, k = q + self.q_place(shared["places"]), k + where
            q = torch.cat((self._heads(q), self._heads(self.waves(shared["asks"]))), -1)
            k = torch.cat((self._heads(k), self._heads(where)), -1)
            v = self.v(memory)
            return self._mixed(q.flatten(1), k.flatten(1), v, context, context.memory_layout)

    return Cross


@cache
def _queried() -> Any:
    import math
    from collections.abc import Mapping

    import torch

    from armature.layers.placed import waves
    from armature.layers.queries import Perceptron
    from armature.model.call import Asked
    from armature.model.queried import Queried

    class Body(Queried):
        """Each query has a point of the image, and learns how far around it to look."""

        takes = (*Queried.takes[:2], "encoder_outputs")
        fields = (*Queried.fields, "reference_points")

        def __init__(self, *parts: Any) -> None:
            super().__init__(*parts)
            self.turn = Perceptron(self.width, self.width, self.width)
            self.point = Perceptron(self.width, self.width, 2)

        def asked_with(self, rows: int) -> dict[str, Any]:
            """Return the waves of the queries' points, and what stretches them."""
            x, y = self.point(self.queries.weight).sigmoid().mul(2 * math.pi).unbind(-1)
            half = self.width // 2
            both = torch.cat((waves(y, half), waves(x, half)), -1)
            return {"waves": both.repeat(rows, 1), "turn": self.turn}

        def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
            """Return the fields of the result; the points are (Q, B, 2)."""
            found = super().answer(given, asked)
            points = self.point(self.queries.weight).sigmoid()
            rows = len(found["last_hidden_state"])
            return found | {"reference_points": points[:, None].expand(-1, rows, -1)}

    return Body


@cache
def _around() -> Any:
    from collections.abc import Mapping

    import torch
    from torch import Tensor

    from armature.outputs.detection import BoxHead

    class Around(BoxHead):
        """Boxes lie around the points of their queries."""

        def box(self, states: Tensor, found: Mapping[str, Any]) -> Tensor:
            """(B, Q, D) → (B, Q, 4), before they are squeezed into the image."""
            points = found["reference_points"].transpose(0, 1)
            middle = torch.log(points.clamp(min=1e-5) / (1 - points).clamp(min=1e-5))
            return self.boxes(states) + torch.cat((middle, torch.zeros_like(middle)), -1)

    return Around


# fmt: off
_DECODER = {
    "attn.q":        "sa_qcontent_proj",
    "attn.q_place":  "sa_qpos_proj",
    "attn.k":        "sa_kcontent_proj",
    "attn.k_place":  "sa_kpos_proj",
    "attn.v":        "sa_v_proj",
    "cross.q":       "ca_qcontent_proj",
    "cross.q_place": "ca_qpos_proj",
    "cross.k":       "ca_kcontent_proj",
    "cross.k_place": "ca_kpos_proj",
    "cross.v":       "ca_v_proj",
    "cross.waves":   "ca_qpos_sine_proj",
}


def names(c: Config) -> dict[str, Any]:
    """Return the rows of names."""
    return detr.names(c) | {
        "turn.maps.{i}":  "decoder.query_scale.layers.{i}",
        "point.maps.{i}": "decoder.ref_point_head.layers.{i}",
    } | {f"decoder.blocks.{{i}}.{ours}": f"decoder.layers.{{i}}.{theirs}"
         for ours, theirs in _DECODER.items()}


UNUSED = (*detr.UNUSED, "cls_loss_coefficient", "focal_alpha")
# fmt: on


def _boxes(_spec: Any, c: Config, found: Any) -> Any:
    from armature.outputs.box_losses import FocalMatching

    return _around()(c, found.width, FocalMatching, c.num_labels)


def _masks(_spec: Any, c: Config, found: Any) -> Any:
    """Build the head; HF: where masks are learned, too, boxes do not lie around anything."""
    from armature.outputs.box_losses import FocalMatching
    from armature.outputs.detection import MaskHead

    return drawing(c, found, MaskHead(c, found.width, FocalMatching, c.num_labels))


HEADS = {
    "ConditionalDetrModel": Base(),
    "ConditionalDetrForObjectDetection": ObjectDetector(
        names=detr.HEADS["DetrForObjectDetection"].names, make=_boxes
    ),
    "ConditionalDetrForSegmentation": InstanceSegmenter(
        names={
            ours: theirs.replace("detr.", "conditional_detr.", 1)
            for ours, theirs in detr.HEADS["DetrForSegmentation"].names.items()  # type: ignore[union-attr]
        },
        prefix="conditional_detr.model",
        make=_masks,
        also=("ImageSegmentation", "UniversalSegmentation"),
    ),
}
