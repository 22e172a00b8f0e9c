"""BEiT (Bao et al., 2021): ViT that learned to guess hidden patches, with biases for offsets."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import head_width, sides
from armature.arch._decoded import decoders
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import (
    Block,
    Dense,
    Dropout,
    LayerNorm,
    Own,
    Pre,
    Scaled,
    Stack,
    StretchedPatchTokens,
    UnbiasedKeys,
)
from armature.outputs.tasks import Backbone, Head, ImageClassifier, Pooled, Segmenter, Settings

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.context import Context
    from armature.layers.kernels import Rule
    from armature.outputs.images import Sight

DEFAULTS = {
    "vocab_size": 8192,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "layer_norm_eps": 1e-12,
    "image_size": 224,
    "patch_size": 16,
    "num_channels": 3,
    "use_mask_token": False,
    "use_absolute_position_embeddings": False,
    "use_relative_position_bias": False,
    "use_shared_relative_position_bias": False,
    "layer_scale_init_value": 0.1,
    "drop_path_rate": 0.1,
    "use_mean_pooling": True,
    "pool_scales": [1, 2, 3, 6],
    "use_auxiliary_head": True,
    "auxiliary_loss_weight": 0.4,
    "auxiliary_channels": 256,
    "auxiliary_num_convs": 1,
    "auxiliary_concat_input": False,
    "semantic_loss_ignore_index": 255,
    "out_features": None,
    "out_indices": None,
    "add_fpn": False,
    "reshape_hidden_states": True,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    (down, across), (height, width) = sides(c.patch_size), sides(c.image_size)
    grid, norm = (height // down, width // across), LayerNorm(c.layer_norm_eps)
    placed = grid if c.use_absolute_position_embeddings else None
    attention = UnbiasedKeys(c.num_attention_heads, head_width(c))
    if c.use_relative_position_bias or c.use_shared_relative_position_bias:
        attention = Own(lambda: _attention()(c, grid))
    shared = Own(lambda: _offsets()(c.num_attention_heads, grid))
    return Stack(
        embed=StretchedPatchTokens(c.hidden_size, (c.num_channels, down, across), placed),
        block=Block(
            Scaled(norm) if c.layer_scale_init_value > 0 else Pre(norm),
            attention,
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=c.num_hidden_layers,
        norm=None if c.use_mean_pooling else norm,
        bias=shared if c.use_shared_relative_position_bias else None,
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob, c.drop_path_rate),
    )


@cache
def _offsets() -> type:
    import torch
    from torch import nn

    class Offsets(nn.Module):
        """A trained bias for each head and offset of two patches; three for the first token."""

        def __init__(self, heads: int, grid: tuple[int, int]) -> None:
            super().__init__()
            self.size = (2 * grid[0] - 1, 2 * grid[1] - 1)
            self.table = nn.Parameter(torch.empty(self.size[0] * self.size[1] + 3, heads))

        def forward(self, down: int, across: int, context: Context) -> Tensor:
            """Patches down and across → (H, Q, S) of them and the first token."""
            size, table = (2 * down - 1, 2 * across - 1), self.table
            if size != self.size[::-1]:  # HF: height and width change places here
                wide = table[:-3].T.unflatten(1, self.size[::-1])[None]
                wide = nn.functional.interpolate(wide, size, mode="bilinear")
                table = torch.cat((wide[0].flatten(1).T, table[-3:]))
            index = context.once(("offsets", size), lambda: _index(down, across).to(table.device))
            return table[index].movedim(-1, 0)

    return Offsets


def _index(down: int, across: int) -> Tensor:
    """Return the row of the table for two tokens: (Q, S)."""
    import torch

    places = torch.arange(down * across)
    y, x = places // across, places % across
    rows, columns = y[:, None] - y + down - 1, x[:, None] - x + across - 1
    index = torch.nn.functional.pad(rows * (2 * across - 1) + columns, (1, 0, 1, 0))
    last = (2 * down - 1) * (2 * across - 1)
    index[0], index[:, 0], index[0, 0] = last, last + 1, last + 2
    return index


@cache
def _attention() -> type:
    import torch

    from armature.layers.attention import SelfAttention

    class Placed(SelfAttention):
        """Attention biased by the offsets of patches, for all layers alike or each its own."""

        def __init__(self, c: Config, grid: tuple[int, int]) -> None:
            heads = c.num_attention_heads
            super().__init__(c.hidden_size, heads, head_width(c), kv_heads=heads, bias=(True, True))
            self.qkv.unbias("k")
            self.place = _offsets()(heads, grid) if c.use_relative_position_bias else None

        def _rule(self, context: Context) -> Rule:
            rule, sides = super()._rule(context), context.shared["sides"]
            shared: Any = context.bias
            tables = [] if self.place is None else [self.place(*sides, context)]
            if shared is not None:
                tables.append(shared(*sides, context))
            table = torch.stack(tables).sum(0)[None]
            return replace(rule, bias=None, content=lambda q, _k, _rows: table.to(q.dtype))

    return Placed


def maps(spec: Backbone, c: Config, body: Any) -> Any:
    """Return the head of a backbone, which may give its four maps four sizes."""
    from armature.layers.pyramid_pooling import FourSizes
    from armature.outputs.images import StackMaps

    class Resized(StackMaps):
        """The maps of four layers, each half as large as the one before."""

        def __init__(self) -> None:
            super().__init__(spec, c, body)
            if len(self.layers) != 4:
                raise ConfigError(f"{self.names} are not the four stages that add_fpn needs")
            self.neck = FourSizes(c.hidden_size)

        def read(self, sight: Sight) -> dict[str, Any]:
            """Return feature_maps."""
            return {"feature_maps": self.neck(super().read(sight)["feature_maps"])}

    return Resized() if c.add_fpn else StackMaps(spec, c, body)


def segmenter(_spec: Head, c: Config, body: Any) -> Any:
    """Return the head that gives each pixel a class."""
    from armature.layers.pyramid_pooling import FourSizes
    from armature.outputs.images import PatchHead, chosen_stages
    from armature.outputs.pixel_classes import PixelClasses

    names = ["stem", *(f"stage{index + 1}" for index in range(c.num_hidden_layers))]
    indices = c.get("out_indices") or c.get("segmentation_indices") or chosen_stages(c, names)
    if len(indices) != 4:
        raise ConfigError(f"config.json: out_indices is {indices}, but should name four layers")

    class Segmented(PatchHead):
        """Scores of classes, of the maps of four layers."""

        fields = ("loss", "logits", "hidden_states", "attentions")
        # HF: they count from one, so that this is the state before each of the blocks named.
        layers = tuple((index - 1) % (body.depth + 1) for index in indices)

        def __init__(self) -> None:
            super().__init__()
            self.neck = FourSizes(c.hidden_size)
            self.classes = PixelClasses(c, [c.hidden_size] * 4, c.semantic_loss_ignore_index)

        def read(self, sight: Sight) -> dict[str, Any]:
            """Return loss, logits (B, labels, height, width)."""
            maps = self.neck([sight.map(sight.states[index]) for index in self.layers])
            return self.classes(maps, sight.given.get("labels"))

    return Segmented()


def guesses(_spec: Head, c: Config, body: Any) -> Any:
    """Return the head that names the visual words of hidden patches."""
    from torch import nn

    from armature.layers.linear import Linear
    from armature.layers.norm import LayerNorm
    from armature.outputs.images import PatchHead

    body.embed.learn_mask()

    class Guesses(PatchHead):
        """Scores of every patch's visual word; labels are the words of hidden patches."""

        fields = ("loss", "logits", "hidden_states", "attentions")

        def __init__(self) -> None:
            super().__init__()
            self.norm = LayerNorm(c.hidden_size, eps=c.layer_norm_eps)
            self.out = Linear(c.hidden_size, c.vocab_size)

        def read(self, sight: Sight) -> dict[str, Any]:
            """Return loss, logits (B, patches, V)."""
            logits, loss = self.out(self.norm(sight.rows(sight.last)[:, 1:])), None
            if (labels := sight.given.get("labels")) is not None:
                hidden = sight.given["bool_masked_pos"].bool()
                loss = nn.functional.cross_entropy(logits[hidden], labels)
            return {"loss": loss, "logits": logits}

    return Guesses()


PREFIX = "beit"
# fmt: off
_TABLE = "relative_position_bias.relative_position_bias_table"
NAMES = {
    "embed.patch":                "embeddings.patch_embeddings.projection",
    "embed.cls":                  "embeddings.cls_token",
    "embed.mask":                 "embeddings.mask_token",
    "embed.position":             "embeddings.position_embeddings",
    "bias.table":                 f"encoder.{_TABLE}",
    "blocks.{i}.attn_norm":       "encoder.layer.{i}.layernorm_before",
    "blocks.{i}.attn.qkv":        "encoder.layer.{i}.attention.attention.{query,key,value}",
    "blocks.{i}.attn.place.table": "encoder.layer.{i}.attention.attention." + _TABLE,
    "blocks.{i}.attn.out":        "encoder.layer.{i}.attention.output.dense",
    "blocks.{i}.attn_scale":      "encoder.layer.{i}.lambda_1",
    "blocks.{i}.mlp_norm":        "encoder.layer.{i}.layernorm_after",
    "blocks.{i}.mlp.up":          "encoder.layer.{i}.intermediate.dense",
    "blocks.{i}.mlp.down":        "encoder.layer.{i}.output.dense",
    "blocks.{i}.mlp_scale":       "encoder.layer.{i}.lambda_2",
    "norm":                       "layernorm",
}
IGNORED = ("relative_position_bias.relative_position_index",)
UNUSED = ("add_fpn", "auxiliary_channels", "auxiliary_concat_input", "auxiliary_loss_weight",
          "auxiliary_num_convs", "out_features", "out_indices", "pool_scales",
          "reshape_hidden_states", "segmentation_indices", "semantic_loss_ignore_index",
          "stage_names", "use_auxiliary_head", "vocab_size")


neck = {"head.neck.four.0": "fpn1.0", "head.neck.four.1": "fpn1.1", "head.neck.four.3": "fpn1.3",
        "head.neck.two": "fpn2.0"}


def _backbone_rows(c: Settings) -> dict[str, str]:
    """Return the rows of a backbone whose body has no name before it, as far as it has them."""
    rows = neck if c.get("add_fpn", False) else {}
    if c.get("use_shared_relative_position_bias", False):
        rows = rows | {"bias.table": f"beit.encoder.{_TABLE}"}
    return rows if c.get("use_mean_pooling", True) else rows | {"norm": "beit.layernorm"}


HEADS = {
    "BeitModel":                   Pooled(
        pick="patches", norm="pooler.layernorm", gate="use_mean_pooling"),
    "BeitForMaskedImageModeling":  Head(
        make=guesses, names={"head.norm": "layernorm", "head.out": "lm_head"}),
    "BeitForImageClassification":  ImageClassifier(
        pick="patches", norm="beit.pooler.layernorm", gate="use_mean_pooling", out="classifier"),
    "BeitForSemanticSegmentation": Segmenter(
        make=segmenter, names=decoders("conv", "bn", neck)),
    "BeitBackbone":                Backbone(make=maps, prefix="", names=_backbone_rows),
}
# fmt: on
INPUTS = "images"
