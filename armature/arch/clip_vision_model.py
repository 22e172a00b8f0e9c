"""CLIP's vision tower (Radford et al., 2021): ViT with a norm before the first block, too."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from armature.arch import head_width, sides
from armature.checkpoint.views import Squeezed
from armature.config import Config
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Own, Pre, Stack
from armature.outputs.tasks import Base, Projection

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.layers.embed import Inputs

DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "projection_dim": 512,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 32,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "attention_dropout": 0.0,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return Stack(
        embed=Own(lambda: _embed()(c)),
        block=Block(
            Pre(LayerNorm(c.layer_norm_eps)),
            Attention(c.num_attention_heads, head_width(c)),
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=c.num_hidden_layers,
        dropout=Dropout(0.0, c.attention_dropout),
    )


@cache
def _embed() -> type[nn.Module]:
    from armature.layers import norm, patches

    class NormedPatches(patches.PatchTokens):
        """Patches without a bias, and all tokens normed."""

        def __init__(self, c: Config) -> None:
            (down, across), (height, width) = sides(c.patch_size), sides(c.image_size)
            shape = (c.num_channels, down, across)
            super().__init__(c.hidden_size, shape, (height // down, width // across))
            side = (down, across)
            self.patch = patches.Convolution(
                c.num_channels, c.hidden_size, side, stride=side, bias=False
            )
            self.norm = norm.LayerNorm(c.hidden_size, eps=c.layer_norm_eps)

        def forward(self, inputs: Inputs) -> Tensor:  # type: ignore[override]
            """Images → (N, D)."""
            assert self.norm is not None
            return self.norm(super().forward(inputs))

    return NormedPatches


PREFIX = "vision_model"
# fmt: off
NAMES = {
    "embed.patch":          "embeddings.patch_embedding",
    "embed.cls":            Squeezed("embeddings.class_embedding"),
    "embed.position":       Squeezed("embeddings.position_embedding.weight"),
    "embed.norm":           "pre_layrnorm",
    "blocks.{i}.attn_norm": "encoder.layers.{i}.layer_norm1",
    "blocks.{i}.attn.qkv":  "encoder.layers.{i}.self_attn.{q,k,v}_proj",
    "blocks.{i}.attn.out":  "encoder.layers.{i}.self_attn.out_proj",
    "blocks.{i}.mlp_norm":  "encoder.layers.{i}.layer_norm2",
    "blocks.{i}.mlp.up":    "encoder.layers.{i}.mlp.fc1",
    "blocks.{i}.mlp.down":  "encoder.layers.{i}.mlp.fc2",
}
IGNORED = ("embeddings.position_ids",)
UNUSED = ("projection_dim", "dropout")

_NORM = "vision_model.post_layernorm"
HEADS = {
    "CLIPVisionModel":               Base(norm=_NORM),
    "CLIPVisionModelWithProjection": Projection(
        norm=_NORM, out="visual_projection", bias=False, result="image_embeds"),
}
# fmt: on
INPUTS = "images"
