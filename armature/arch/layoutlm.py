"""LayoutLM (Xu et al., 2020): BERT that also sees the box of each word on its page."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import bert
from armature.config import Config
from armature.errors import ArgumentError
from armature.model.spec import Learned, Own, Stack
from armature.outputs.tasks import Base, MaskedLM, SequenceClassifier, Spans, TokenClassifier

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.embed import Inputs

LIKE = bert
DEFAULTS = bert.DEFAULTS | {"max_2d_position_embeddings": 1024}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    stack = bert.encoder(c, Learned(c.max_position_embeddings))
    return replace(stack, embed=Own(lambda: _embed()(c)))


@cache
def _embed() -> type[nn.Module]:
    import torch

    from armature.batch import extremes
    from armature.layers import embed, norm, position

    class Boxes(embed.Tokens):
        """Token embeddings and those of a box: left, top, right, bottom, height and width."""

        takes = ("bbox",)

        def __init__(self, c: Config) -> None:
            width, size = c.hidden_size, c.max_2d_position_embeddings
            super().__init__(
                c.vocab_size,
                width,
                position=position.Learned(c.max_position_embeddings, width, 0, None),
                types=c.type_vocab_size,
                norm=norm.LayerNorm(width, eps=c.layer_norm_eps),
            )
            self.x, self.y = embed.Embedding(size, width), embed.Embedding(size, width)
            self.high, self.wide = embed.Embedding(size, width), embed.Embedding(size, width)

        def summed(self, inputs: Inputs) -> Tensor:
            x = super().summed(inputs)
            boxes = self.boxes(inputs, x)
            left, top, right, bottom = boxes[:, :4].unbind(1)
            x = x + self.x(left) + self.y(top) + self.x(right) + self.y(bottom)
            return x + self.high(boxes[:, 5]) + self.wide(boxes[:, 4])

        def boxes(self, inputs: Inputs, like: Tensor) -> Tensor:
            """Return (N, 6): the corners of each token's box, its width and height."""
            layout, given = inputs.layout, inputs.further.get("bbox")
            if given is None:
                return like.new_zeros((layout.total, 6)).long()
            if given.shape != (layout.rows, layout.width, 4):
                raise ArgumentError(
                    f"bbox has the shape {tuple(given.shape)}, but the input has "
                    f"{(layout.rows, layout.width)} tokens: give four numbers for each"
                )
            boxes = layout.pack(given).to(like.device).long()
            boxes = torch.cat((boxes, boxes[:, 2:] - boxes[:, :2]), 1)
            seen = extremes(boxes)
            if seen and not 0 <= seen[0] <= seen[1] < self.x.num_embeddings:
                raise ArgumentError(
                    f"bbox holds corners, widths and heights from {seen[0]} to {seen[1]}, but the "
                    f"model knows 0 to {self.x.num_embeddings - 1}: give left, top, right and "
                    "bottom in thousandths of the page"
                )
            return boxes

    return Boxes


PREFIX = "layoutlm"
# fmt: off
NAMES = bert.NAMES | {
    "embed.x":    "embeddings.x_position_embeddings",
    "embed.y":    "embeddings.y_position_embeddings",
    "embed.high": "embeddings.h_position_embeddings",
    "embed.wide": "embeddings.w_position_embeddings",
}
UNUSED: tuple[str, ...] = ("classifier_dropout",)

SPARE = "layoutlm.pooler.dense"  # HF: every class has a pooler, used or not
POOLED: dict[str, Any] = {"dense": SPARE, "act": "tanh"}
HEADS = {
    "LayoutLMModel":                     Base(**POOLED),
    "LayoutLMForMaskedLM":               MaskedLM(spare=SPARE, **bert.WORDS),
    "LayoutLMForSequenceClassification": SequenceClassifier(
        out="classifier", dropout="hidden_dropout_prob", **POOLED),
    "LayoutLMForTokenClassification":    TokenClassifier(
        out="classifier", dropout="hidden_dropout_prob", spare=SPARE),
    "LayoutLMForQuestionAnswering":      Spans(
        out="qa_outputs", spare=SPARE, also=("DocumentQuestionAnswering",)),
}
# fmt: on
INPUTS = "layoutlm"
