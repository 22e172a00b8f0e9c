"""LayoutLMv2 (Xu et al., 2020): the words of a page, their boxes, and squares of its image."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import bert, head_width
from armature.checkpoint.views import Joined, T, View
from armature.config import Config
from armature.errors import ArgumentError, ConfigError
from armature.model.spec import Block, Dense, Dropout, LayerNorm, Own, Post, Stack
from armature.outputs.tasks import Base, SequenceClassifier, Spans, TokenClassifier

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.embed import Inputs

# fmt: off
DEFAULTS = {
    "vocab_size": 30522, "type_vocab_size": 2, "pad_token_id": 0,
    "max_position_embeddings": 512, "max_2d_position_embeddings": 1024,
    "coordinate_size": 128, "shape_size": 128,
    "hidden_size": 768, "num_hidden_layers": 12, "num_attention_heads": 12,
    "intermediate_size": 3072, "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1,
    "layer_norm_eps": 1e-12, "fast_qkv": True,
    "has_relative_attention_bias": True, "rel_pos_bins": 32, "max_rel_pos": 128,
    "has_spatial_attention_bias": True, "rel_2d_pos_bins": 64, "max_rel_2d_pos": 256,
    "has_visual_segment_embedding": False, "image_feature_pool_shape": [7, 7, 256],
    "detectron2_config_args": None, "convert_sync_batchnorm": True,
}
# What the visual network is, where the config is silent; and where it speaks, but not of this.
_SILENT = {"PIXEL_STD": [57.375, 57.120, 58.395], "RESNETS.DEPTH": 101, "RESNETS.NUM_GROUPS": 32,
           "RESNETS.WIDTH_PER_GROUP": 8, "RESNETS.STRIDE_IN_1X1": False}
_ELSE = {"PIXEL_MEAN": [103.530, 116.280, 123.675], "PIXEL_STD": [1.0, 1.0, 1.0],
         "RESNETS.DEPTH": 50, "RESNETS.NUM_GROUPS": 1, "RESNETS.WIDTH_PER_GROUP": 64,
         "RESNETS.STRIDE_IN_1X1": True, "RESNETS.STEM_OUT_CHANNELS": 64,
         "RESNETS.RES2_OUT_CHANNELS": 256, "FPN.OUT_CHANNELS": 256}
_DEPTHS = {50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}
# fmt: on


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return _stack(c, marks=bool(c.has_visual_segment_embedding))


def _marked(c: Config) -> Stack:
    """HF: for questions the vector that marks what is seen is always there."""
    return _stack(c, marks=True)


def _stack(c: Config, *, marks: bool) -> Stack:
    return Stack(
        embed=Own(lambda: _embed()(c, marks=marks)),
        block=Block(
            Post(LayerNorm(c.layer_norm_eps)),
            Own(lambda: _attention()(c)),
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=c.num_hidden_layers,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
    )


def _vision(c: Config) -> nn.Module:
    from armature.layers.page_vision import PageVision, Sizes

    told = c.get("detectron2_config_args")
    args = _ELSE | (_SILENT if told is None else {})
    args |= {key.removeprefix("MODEL."): value for key, value in (told or {}).items()}
    if args["RESNETS.DEPTH"] not in _DEPTHS:
        raise ConfigError(f"config.json: no ResNet of {args['RESNETS.DEPTH']} layers is known here")
    pooled = c.image_feature_pool_shape
    sizes = Sizes(
        depths=_DEPTHS[args["RESNETS.DEPTH"]],
        stem=args["RESNETS.STEM_OUT_CHANNELS"],
        inner=args["RESNETS.NUM_GROUPS"] * args["RESNETS.WIDTH_PER_GROUP"],
        outer=args["RESNETS.RES2_OUT_CHANNELS"],
        groups=args["RESNETS.NUM_GROUPS"],
        early=bool(args["RESNETS.STRIDE_IN_1X1"]),
        width=args["FPN.OUT_CHANNELS"],
        grid=(pooled[0], pooled[1]),
    )
    return PageVision(sizes, args["PIXEL_MEAN"], args["PIXEL_STD"])


@cache
def _attention() -> type[nn.Module]:
    import torch
    from torch import nn

    from armature.layers.page_boxes import BoxedAttention

    class QueryValueBias(BoxedAttention):
        """Where one map makes all three, only queries and values have biases, beside it."""

        def __init__(self, c: Config) -> None:
            heads, width = c.num_attention_heads, head_width(c)
            both = (not c.fast_qkv, True)
            super().__init__(c.hidden_size, heads, width, kv_heads=heads, bias=both)
            self.q_bias = self.v_bias = None
            if c.fast_qkv:
                self.q_bias = nn.Parameter(torch.empty(1, 1, heads * width))
                self.v_bias = nn.Parameter(torch.empty(1, 1, heads * width))

        def _projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            q, k, v = super()._projected(x)
            if self.q_bias is None or self.v_bias is None:
                return q, k, v
            return q + self._heads(self.q_bias[0]), k, v + self._heads(self.v_bias[0])

    return QueryValueBias


@cache
def _embed() -> type[nn.Module]:
    import torch
    from torch import nn

    from armature.batch import Layout
    from armature.layers import embed, linear, norm, page_boxes, position
    from armature.model import call
    from armature.outputs.beside import mark_text

    class Page(embed.Tokens):
        """Words with their boxes, then squares of the page's image with theirs."""

        takes = ("input_ids", "bbox", "image", "attention_mask", "token_type_ids",
                 "position_ids", "inputs_embeds")  # fmt: skip

        def __init__(self, c: Config, *, marks: bool) -> None:
            width, eps = c.hidden_size, c.layer_norm_eps
            super().__init__(
                c.vocab_size,
                width,
                position=position.Learned(c.max_position_embeddings, width, 0, None),
                types=c.type_vocab_size,
                norm=norm.LayerNorm(width, eps=eps),
            )
            self.boxes = page_boxes.BoxTables(
                c.max_2d_position_embeddings, c.coordinate_size, c.shape_size
            )
            flat = (c.rel_pos_bins, c.max_rel_pos) if c.has_relative_attention_bias else None
            page = (c.rel_2d_pos_bins, c.max_rel_2d_pos) if c.has_spatial_attention_bias else None
            self.bias = page_boxes.BoxBias(c.num_attention_heads, flat, page)
            self.vision: Any = _vision(c)
            self.project_seen = linear.Linear(self.vision.pyramid.out[0].out_channels, width)
            self.mark = nn.Parameter(torch.empty(width)) if marks else None
            self.seen_norm = norm.LayerNorm(width, eps=eps)

        def open(self, given: Mapping[str, Any]) -> Inputs:
            """Return the inputs of a call with words (B, T), boxes (B, T, 4) and images."""
            image = given.get("image")
            if image is None:
                raise ArgumentError("give image: pictures of the pages, from the image processor")
            ids, embeds = given.get("input_ids"), given.get("inputs_embeds")
            text = call.pack(ids, embeds, None, given)
            rows, width, device = text.layout.rows, text.layout.width, text.layout.device
            if len(image) != rows:
                raise ArgumentError("give each text an image of its own: the counts differ")
            text.further["bbox"] = page_boxes.boxes_of(given, (rows, width), device)
            down, across = self.vision.grid
            squares = page_boxes.grid_boxes(down, across, device).expand(rows, -1, -1)
            mask = Layout.of(given.get("attention_mask"), (rows, width), device).mask
            # HF: padding is computed, too.
            real = torch.cat((mask, mask.new_ones(squares.shape[:2])), 1)
            layout = Layout.of(None, (rows, real.shape[1]), device)
            places = torch.arange(width, device=device).expand(rows, -1)
            if text.positions is not None:
                places = text.positions.unflatten(0, (rows, width))
            columns = torch.arange(squares.shape[1], device=device).expand(rows, -1)
            further = {
                "parts": (text, image, squares),
                "content": self.bias.content(
                    torch.cat((places, columns), 1),
                    torch.cat((text.further["bbox"], squares), 1),
                    real,
                    1.0,
                ),
                **mark_text(layout, text.layout),
            }
            return embed.Inputs(layout, further=further)

        def forward(self, inputs: Inputs) -> Tensor:
            """Words, boxes and images → (N, D)."""
            text, image, squares = inputs.further["parts"]
            seen = self.project_seen(self.vision(image)) + self.boxes(squares)
            assert self.position is not None
            seen = seen + self.position(torch.arange(seen.shape[1], device=seen.device))
            seen = self.dropout(self.seen_norm(seen if self.mark is None else seen + self.mark))
            inputs.further["seen"] = seen
            words = text.layout.unpack(super().forward(text))
            return torch.cat((words, seen), 1).flatten(0, 1)

        def summed(self, inputs: Inputs) -> Tensor:
            """Words, segments, positions and boxes → (N, D)."""
            return super().summed(inputs) + self.boxes(inputs.layout.pack(inputs.further["bbox"]))

    return Page


def _text_head(spec: Any, c: Config, body: Any) -> nn.Module:
    from armature.outputs.beside import build_text_head

    return build_text_head(spec, c, body)


def _sequences(spec: SequenceClassifier, c: Config, body: Any) -> nn.Module:
    from armature.outputs.heads import Spare

    width = body.embed.width
    head: Any = _three()(spec, c, (3 * width, 3 * width, int(c.num_labels)))
    head.spare = Spare(width)
    return head


@cache
def _three() -> type[nn.Module]:
    import torch

    from armature.outputs.heads import Sequences

    class Three(Sequences):
        """The first token, and the means of what is seen: as it goes in, and as it comes out."""

        def _picked(self, x: Tensor, given: Any) -> Tensor:
            seen, whole = given.further["seen"], given.layout.unpack(x)
            last = whole[:, -seen.shape[1] :]
            return torch.cat((whole[:, 0], seen.mean(1), last.mean(1)), -1)

    return Three


PREFIX = "layoutlmv2"
# fmt: off
NAMES: dict[str, str | View] = bert.NAMES | {
    "embed.boxes.x":            "embeddings.x_position_embeddings",
    "embed.boxes.y":            "embeddings.y_position_embeddings",
    "embed.boxes.high":         "embeddings.h_position_embeddings",
    "embed.boxes.wide":         "embeddings.w_position_embeddings",
    "embed.bias.flat":          T("encoder.rel_pos_bias"),
    "embed.bias.x":             T("encoder.rel_pos_x_bias"),
    "embed.bias.y":             T("encoder.rel_pos_y_bias"),
    "embed.project_seen":       "visual_proj",
    "embed.mark":               "visual_segment_embedding",
    "embed.seen_norm":          "visual_LayerNorm",
    "embed.vision.stem.conv":   "visual.backbone.bottom_up.stem.conv1",
    "embed.vision.stem.norm":   "visual.backbone.bottom_up.stem.conv1.norm",
    "blocks.{i}.attn.q_bias":   "encoder.layer.{i}.attention.self.q_bias",
    "blocks.{i}.attn.v_bias":   "encoder.layer.{i}.attention.self.v_bias",
}
for _i in range(4):
    _at = f"visual.backbone.bottom_up.res{_i + 2}.{{j}}"
    for _ours, _theirs in {"short": "shortcut"}.items() | {
            (f"steps.{k}", f"conv{k + 1}") for k in range(3)}:
        NAMES[f"embed.vision.stages.{_i}.{{j}}.{_ours}.conv"] = f"{_at}.{_theirs}"
        NAMES[f"embed.vision.stages.{_i}.{{j}}.{_ours}.norm"] = f"{_at}.{_theirs}.norm"
    NAMES[f"embed.vision.pyramid.inner.{_i}"] = f"visual.backbone.fpn_lateral{_i + 2}"
    NAMES[f"embed.vision.pyramid.out.{_i}"] = f"visual.backbone.fpn_output{_i + 2}"


def names(c: Config) -> dict[str, str | View]:
    """Return NAMES; one map may make queries, keys and values."""
    fused = Joined("encoder.layer.{i}.attention.self.qkv_linear")
    return NAMES | ({"blocks.{i}.attn.qkv": fused} if c.fast_qkv else {})


IGNORED = ("embeddings.position_ids", "pixel_mean", "pixel_std", "num_batches_tracked")
UNUSED = ("convert_sync_batchnorm", "max_rel_pos", "rel_pos_bins", "max_rel_2d_pos",
          "rel_2d_pos_bins", "has_visual_segment_embedding", "pad_token_id")

SPARE = "layoutlmv2.pooler.dense"  # HF: every class has a pooler, used or not
DROPOUT = "hidden_dropout_prob"
HEADS = {
    "LayoutLMv2Model":                     Base(dense=SPARE, act="tanh"),
    "LayoutLMv2ForSequenceClassification": SequenceClassifier(
        out="classifier", dropout=DROPOUT, make=_sequences, names={"head.spare": SPARE}),
    "LayoutLMv2ForTokenClassification":    TokenClassifier(
        out="classifier", dropout=DROPOUT, spare=SPARE, make=_text_head),
    "LayoutLMv2ForQuestionAnswering":      Spans(
        out="qa_outputs", spare=SPARE, body=_marked, make=_text_head,
        also=("DocumentQuestionAnswering",)),
}
# fmt: on
INPUTS = "layoutlmv2"
