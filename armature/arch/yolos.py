"""YOLOS (Fang et al., 2021): ViT with tokens behind the patches that find things in the image."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import sides, vit
from armature.config import Config
from armature.model.spec import Block, Own, Stack
from armature.outputs.tasks import Base, Head, ObjectDetector

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.context import Context
    from armature.layers.embed import Inputs
    from armature.outputs.images import Sight

LIKE = vit

DEFAULTS = {
    key: value
    for key, value in vit.DEFAULTS.items()
    if key not in ("encoder_stride", "pooler_act", "pooler_output_size")
} | {
    "image_size": [512, 864],
    "num_detection_tokens": 100,
    "use_mid_position_embeddings": True,
    "auxiliary_loss": False,
    "class_cost": 1,
    "bbox_cost": 5,
    "giou_cost": 2,
    "bbox_loss_coefficient": 5,
    "giou_loss_coefficient": 2,
    "eos_coefficient": 0.1,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    from dataclasses import replace

    stack = vit.stack(c, Own(lambda: _embed(c)))
    plain = stack.block
    assert isinstance(plain, Block)
    if not c.use_mid_position_embeddings:
        return stack
    return replace(stack, block=lambda _index: Own(lambda: _placed()(plain, c.hidden_size)))


def _embed(c: Config) -> Any:
    import torch
    from torch import nn

    from armature.batch import Layout
    from armature.layers.patches import PatchTokens

    (down, across), (height, width) = sides(c.patch_size), sides(c.image_size)
    grid, found = (height // down, width // across), c.num_detection_tokens
    tokens = 1 + grid[0] * grid[1] + found

    class Seeking(PatchTokens):
        """Patches between the first token and those that find things; all have positions."""

        takes = ("pixel_values",)  # type: ignore[assignment]
        lists = ("labels",)

        def __init__(self) -> None:
            super().__init__(c.hidden_size, (c.num_channels, down, across), None)
            self.grid = grid
            self.seek = nn.Parameter(torch.empty(1, found, c.hidden_size))
            self.places = nn.Parameter(torch.empty(1, tokens, c.hidden_size))
            self.later = None  # positions that are added between the blocks
            if c.use_mid_position_embeddings:
                shape = (c.num_hidden_layers - 1, 1, tokens, c.hidden_size)
                self.later = nn.Parameter(torch.empty(shape))

        def open(self, given: Mapping[str, Any]) -> Inputs:
            """Return the inputs of a call with images: each has tokens that seek, too."""
            inputs = super().open(given)
            rows, width = inputs.layout.rows, inputs.layout.width + found
            inputs.layout = Layout((width,) * rows, width, inputs.layout.device)
            return inputs

        def forward(self, inputs: Inputs) -> Tensor:  # type: ignore[override]
            """Images → (N, D): of each the first token, the patches, those that seek."""
            size, rows = torch.Size(inputs.further["sides"]), inputs.layout.rows
            first, patches = self.pieces(inputs)
            x = torch.cat((first, patches, self.seek.expand(rows, -1, -1)), 1)
            if self.later is not None:
                inputs.further["later"] = [self._stretched(one, size) for one in self.later]
            return self.dropout((x + self._stretched(self.places, size)).flatten(0, 1))

        def _stretched(self, table: Tensor, size: torch.Size) -> Tensor:
            """(1, tokens trained, D) → (1, tokens, D) for images of a size in patches."""
            last = table.shape[1] - found
            patches = self._positions(table[:, 1:last], size, interpolate=True).flatten(1, 2)
            return torch.cat((table[:, :1], patches, table[:, last:]), 1)

    return Seeking()


@cache
def _placed() -> type:
    from armature.model import build
    from armature.model.block import PreBlock

    class Placed(PreBlock):
        """A block that adds positions to what an earlier one made."""

        def __init__(self, plain: Block, width: int) -> None:
            inner = build.build_block(plain, width)
            norms = {name: inner.get_submodule(name) for name in ("attn_norm", "mlp_norm")}
            super().__init__(inner.attn, inner.mlp, norms, None)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            if context.layer:
                later = context.shared["later"][context.layer - 1]
                x = (x.unflatten(0, (context.layout.rows, -1)) + later).flatten(0, 1)
            return super().forward(x, context)

    return Placed


def _boxes(_spec: Head, c: Config, _body: Any) -> Any:
    from armature.layers.queries import Perceptron
    from armature.outputs.box_losses import Matching
    from armature.outputs.images import PatchHead

    width, found = c.hidden_size, c.num_detection_tokens

    class Boxes(PatchHead):
        """A label and a box for each token that seeks; the last label is for nothing."""

        fields = ("loss", "loss_dict", "logits", "pred_boxes", "auxiliary_outputs")
        fields += ("last_hidden_state", "hidden_states", "attentions")

        def __init__(self) -> None:
            super().__init__()
            self.labels = Perceptron(width, width, width, int(c.num_labels) + 1)
            self.boxes = Perceptron(width, width, width, 4)
            self.matching = Matching(c)

        def read(self, sight: Sight) -> dict[str, Any]:
            """Return loss, logits (B, Q, labels), pred_boxes (B, Q, 4)."""
            rows = sight.rows(sight.last)
            states = rows[:, rows.shape[1] - found :]
            made = {"logits": self.labels(states), "pred_boxes": self.boxes(states).sigmoid()}
            loss = parts = None
            if (labels := sight.given.get("labels")) is not None:
                loss, parts = self.matching.total(made, labels, ())
            return {"loss": loss, "loss_dict": parts, **made, "last_hidden_state": rows}

    return Boxes()


# fmt: off
NAMES = vit.NAMES | {
    "embed.seek":   "embeddings.detection_tokens",
    "embed.places": "embeddings.position_embeddings",
    "embed.later":  "encoder.mid_position_embeddings",
}
del NAMES["embed.position"], NAMES["embed.mask"]
# HF: with auxiliary_loss the reference itself cannot compute a loss.
UNUSED = ("auxiliary_loss", "bbox_cost", "bbox_loss_coefficient", "class_cost", "eos_coefficient",
          "giou_cost", "giou_loss_coefficient")

HEADS = {
    "YolosModel":              Base("pooler.dense", act="tanh"),
    "YolosForObjectDetection": ObjectDetector(make=_boxes, names={
        "head.labels.maps.{j}": "class_labels_classifier.layers.{j}",
        "head.boxes.maps.{j}": "bbox_predictor.layers.{j}"}),
}
# fmt: on
