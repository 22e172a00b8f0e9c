"""LayoutLMv3 (Huang et al., 2022): the words of a page, their boxes, and patches of its image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import head_width, refuse, sides
from armature.checkpoint.views import T, View
from armature.config import Config
from armature.errors import ArgumentError
from armature.model.spec import Block, Dense, Dropout, LayerNorm, Own, Post, Stack
from armature.outputs.tasks import Base, SequenceClassifier, Settings, Spans, TokenClassifier

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.embed import Inputs

# fmt: off
DEFAULTS = {
    "vocab_size": 50265, "type_vocab_size": 2,
    "max_position_embeddings": 512, "max_2d_position_embeddings": 1024,
    "coordinate_size": 128, "shape_size": 128,
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    "layer_norm_eps": 1e-5,
    "has_relative_attention_bias": True, "rel_pos_bins": 32, "max_rel_pos": 128,
    "has_spatial_attention_bias": True, "rel_2d_pos_bins": 64, "max_rel_2d_pos": 256,
    "text_embed": True, "visual_embed": True,
    "input_size": 224, "num_channels": 3, "patch_size": 16,
    "classifier_dropout": None,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
}
# fmt: on


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    refuse(c, text_embed=True)
    return Stack(
        embed=Own(lambda: _embed()(c)),
        block=Block(
            Post(LayerNorm(c.layer_norm_eps)),
            Own(lambda: _attention(c)),
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=c.num_hidden_layers,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


def _attention(c: Config) -> nn.Module:
    from armature.layers.page_boxes import BoxedAttention

    heads, width = c.num_attention_heads, head_width(c)
    return BoxedAttention(c.hidden_size, heads, width, kv_heads=heads, bias=(True, True))


@cache
def _embed() -> type[nn.Module]:  # noqa: C901 - a module's methods
    import torch

    from armature.batch import Layout
    from armature.layers import embed, norm, patches, position
    from armature.layers import page_boxes as boxes
    from armature.model import call
    from armature.outputs.beside import mark_text

    class Page(embed.Tokens):
        """Words with their boxes, then a token for the page's image, then its patches."""

        takes = ("input_ids", "bbox", "attention_mask", "token_type_ids", "position_ids",
                 "inputs_embeds", "pixel_values")  # fmt: skip

        def __init__(self, c: Config) -> None:
            width, pad, eps = c.hidden_size, c.pad_token_id, c.layer_norm_eps
            super().__init__(
                c.vocab_size,
                width,
                position=position.Learned(c.max_position_embeddings, width, pad + 1, pad),
                types=c.type_vocab_size,
                norm=norm.LayerNorm(width, eps=eps),
            )
            self.boxes = boxes.BoxTables(
                c.max_2d_position_embeddings, c.coordinate_size, c.shape_size
            )
            flat = (c.rel_pos_bins, c.max_rel_pos) if c.has_relative_attention_bias else None
            page = (c.rel_2d_pos_bins, c.max_rel_2d_pos) if c.has_spatial_attention_bias else None
            self.bias = boxes.BoxBias(c.num_attention_heads, flat, page)
            self.by = 1 / math.sqrt(head_width(c))
            self.image: Any = None
            if c.visual_embed:
                (down, across), (high, wide) = sides(c.patch_size), sides(c.input_size)
                grid = (high // down, wide // across)
                self.image = patches.PatchTokens(width, (c.num_channels, down, across), grid)
                self.image_norm = norm.LayerNorm(width, eps=1e-6)
                self.joint_norm = norm.LayerNorm(width, eps=eps)

        def open(self, given: Mapping[str, Any]) -> Inputs:
            """Return the inputs of a call with words (B, T), boxes (B, T, 4), images or both."""
            ids, embeds = given.get("input_ids"), given.get("inputs_embeds")
            image = given.get("pixel_values")
            if image is not None and self.image is None:
                raise ArgumentError("this model sees no image: leave pixel_values out")
            text, seen, masks = None, None, []
            if ids is not None or embeds is not None or image is None:
                text, mask = call.pack(ids, embeds, None, given), given.get("attention_mask")
                shape = (text.layout.rows, text.layout.width)
                masks.append(Layout.of(mask, shape, text.layout.device).mask)
                text.further["bbox"] = boxes.boxes_of(given, shape, text.layout.device)
            if image is not None:
                seen = self.image.open(given)
                masks.append(seen.layout.mask)
            if text is not None and seen is not None and text.layout.rows != seen.layout.rows:
                raise ArgumentError("give each text an image of its own: the counts differ")
            # HF: padding is computed, too, and its scores of an answer's ends count.
            real = torch.cat(masks, 1)
            layout = Layout.of(None, (len(real), real.shape[1]), real.device)
            further = {"parts": (text, seen), "real": real}
            further |= {} if text is None else mark_text(layout, text.layout)
            return embed.Inputs(layout, further=further)

        def forward(self, inputs: Inputs) -> Tensor:
            """Words, boxes and images → (N, D)."""
            (text, seen), layout, parts = inputs.further["parts"], inputs.layout, []
            if text is not None:
                parts.append(text.layout.unpack(super().forward(text)))
            if seen is not None:
                tokens = self.image_norm(self.image(seen))
                parts.append(seen.layout.unpack(tokens))
            x = layout.pack(torch.cat(parts, 1))
            self._tell(inputs)
            return x if seen is None else self.dropout(self.joint_norm(x))

        def summed(self, inputs: Inputs) -> Tensor:
            """Words, segments, positions and boxes → (N, D)."""
            return super().summed(inputs) + self.boxes(inputs.layout.pack(inputs.further["bbox"]))

        def _tell(self, inputs: Inputs) -> None:
            """Let attention know where tokens stand."""
            (text, seen), layout, where = inputs.further["parts"], inputs.layout, []
            if text is not None:
                where.append(text.further["bbox"])
            if seen is not None:
                first = torch.tensor([[1, 1, boxes.PAGE - 1, boxes.PAGE - 1]], device=layout.device)
                down, across = self.image.grid
                cut = boxes.grid_boxes(down, across, layout.device)
                where.append(torch.cat((first, cut)).expand(layout.rows, -1, -1))
            columns = [torch.arange(part.shape[1], device=layout.device) for part in where]
            inputs.further["content"] = self.bias.content(
                torch.cat(columns).expand(layout.rows, -1),
                torch.cat(where, 1),
                inputs.further["real"],
                # HF: biases of boxes alone are not added.
                0.0 if self.bias.flat is None else self.by,
            )

    return Page


def _deep(c: Settings) -> bool:
    """Whether a token's labels are so many that two maps score them."""
    labels = c.get("id2label")
    return (len(labels) if labels else int(c.get("num_labels") or 2)) >= 10


def _tokens(spec: TokenClassifier, c: Config, body: Any) -> nn.Module:
    from dataclasses import replace

    from armature.outputs.beside import build_text_head

    dropout = "classifier_dropout hidden_dropout_prob" if _deep(c) else "hidden_dropout_prob"
    deep = replace(spec, dense="dense" if _deep(c) else "", act="tanh", dropout=dropout)
    return build_text_head(deep, c, body)


def _token_rows(c: Settings) -> dict[str, str]:
    if _deep(c):
        return {"head.dense": "classifier.dense", "head.out": "classifier.out_proj"}
    return {"head.out": "classifier"}


PREFIX = "layoutlmv3"
# fmt: off
NAMES: dict[str, str | View] = {
    "embed.token":          "embeddings.word_embeddings",
    "embed.position":       "embeddings.position_embeddings",
    "embed.segment":        "embeddings.token_type_embeddings",
    "embed.norm":           "embeddings.LayerNorm",
    "embed.boxes.x":        "embeddings.x_position_embeddings",
    "embed.boxes.y":        "embeddings.y_position_embeddings",
    "embed.boxes.high":     "embeddings.h_position_embeddings",
    "embed.boxes.wide":     "embeddings.w_position_embeddings",
    "embed.bias.flat":      T("encoder.rel_pos_bias"),
    "embed.bias.x":         T("encoder.rel_pos_x_bias"),
    "embed.bias.y":         T("encoder.rel_pos_y_bias"),
    "embed.image.patch":    "patch_embed.proj",
    "embed.image.cls":      "cls_token",
    "embed.image.position": "pos_embed",
    "embed.image_norm":     "norm",
    "embed.joint_norm":     "LayerNorm",
    "blocks.{i}.attn.qkv":  "encoder.layer.{i}.attention.self.{query,key,value}",
    "blocks.{i}.attn.out":  "encoder.layer.{i}.attention.output.dense",
    "blocks.{i}.attn_norm": "encoder.layer.{i}.attention.output.LayerNorm",
    "blocks.{i}.mlp.up":    "encoder.layer.{i}.intermediate.dense",
    "blocks.{i}.mlp.down":  "encoder.layer.{i}.output.dense",
    "blocks.{i}.mlp_norm":  "encoder.layer.{i}.output.LayerNorm",
}
IGNORED = ("embeddings.position_ids", "visual_bbox")
UNUSED = ("bos_token_id", "eos_token_id", "second_input_size", "classifier_dropout", "input_size",
          "num_channels", "patch_size", "max_rel_pos", "rel_pos_bins", "max_rel_2d_pos",
          "rel_2d_pos_bins")

DROPOUT = "classifier_dropout hidden_dropout_prob"
_TWO: dict[str, Any] = {"act": "tanh", "dropout": DROPOUT, "dropout_in": DROPOUT}
HEADS = {
    "LayoutLMv3Model":                     Base(),
    "LayoutLMv3ForTokenClassification":    TokenClassifier(make=_tokens, names=_token_rows,
                                                           out="classifier"),
    "LayoutLMv3ForQuestionAnswering":      Spans(
        dense="qa_outputs.dense", out="qa_outputs.out_proj",
        also=("DocumentQuestionAnswering",), **_TWO),
    "LayoutLMv3ForSequenceClassification": SequenceClassifier(
        dense="classifier.dense", out="classifier.out_proj", **_TWO),
}
# fmt: on
INPUTS = "layoutlmv3"
