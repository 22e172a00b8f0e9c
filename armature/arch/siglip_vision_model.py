"""SigLIP's vision tower (Zhai et al., 2023): ViT whose patches a trained query sums up."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import clip_vision_model, head_width, sides
from armature.checkpoint.views import Squeezed
from armature.config import Config
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Own, Pre, Stack
from armature.outputs.tasks import Base

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.outputs.heads import Given

LIKE = clip_vision_model
DEFAULTS = {
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_channels": 3,
    "image_size": 224,
    "patch_size": 16,
    "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-6,
    "attention_dropout": 0.0,
    "vision_use_head": True,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm = LayerNorm(c.layer_norm_eps)
    return Stack(
        embed=Own(lambda: _embed(c)),
        block=Block(
            Pre(norm),
            Attention(c.num_attention_heads, head_width(c)),
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=c.num_hidden_layers,
        norm=norm,
        dropout=Dropout(0.0, c.attention_dropout),
    )


def _embed(c: Config) -> nn.Module:
    from armature.layers.patches import PatchTokens

    (down, across), (height, width) = sides(c.patch_size), sides(c.image_size)
    shape, grid = (c.num_channels, down, across), (height // down, width // across)
    return PatchTokens(c.hidden_size, shape, grid, extra=())


def pooler(_spec: Any, c: Config, _body: Any) -> nn.Module | None:
    """Return what sums up an image, where the config has it."""
    return _pooling()(c) if c.vision_use_head else None


@cache
def _pooling() -> type[nn.Module]:
    import torch
    from torch import nn
    from torch.nn import functional as F

    from armature.layers.context import Context
    from armature.layers.linear import Linear
    from armature.layers.mlp import Dense
    from armature.layers.norm import LayerNorm

    class AttentionPooling(nn.Module):
        """A trained query attends to all patches of an image: pooler_output (B, D)."""

        def __init__(self, c: Config) -> None:
            super().__init__()
            width, self.heads = c.hidden_size, c.num_attention_heads
            self.query = nn.Parameter(torch.empty(1, 1, width))
            self.qkv, self.out = Linear(width, 3 * width), Linear(width, width)
            self.norm = LayerNorm(width, eps=c.layer_norm_eps)
            self.mlp = Dense(width, c.intermediate_size, c.hidden_act, bias=True)

        def forward(self, x: Tensor, given: Given) -> dict[str, Tensor]:
            layout, (weights, biases) = given.layout, (self.qkv.weight, self.qkv.bias)
            width = x.shape[-1]
            query = F.linear(self.query, weights[:width], biases[:width])  # (1, 1, D)
            keys = F.linear(x, weights[width:], biases[width:]).unflatten(0, (layout.rows, -1))
            k, v = (self._split(part) for part in keys.chunk(2, -1))
            q = self._split(query).expand(layout.rows, -1, -1, -1)
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            y = self.out(y[:, 0])
            return {"pooler_output": y + self.mlp(self.norm(y), Context(layout))}

        def _split(self, x: Tensor) -> Tensor:
            return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    return AttentionPooling


# fmt: off
NAMES = {ours: theirs for ours, theirs in clip_vision_model.NAMES.items()
         if ours not in ("embed.cls", "embed.norm")} | {
    "embed.position": Squeezed("embeddings.position_embedding.weight"),
    "norm":           "post_layernorm",
}
UNUSED = ("dropout",)

POOLED = {
    "query":      "probe",
    "qkv.weight": "attention.in_proj_weight",
    "qkv.bias":   "attention.in_proj_bias",
    "out":        "attention.out_proj",
    "norm":       "layernorm",
    "mlp.up":     "mlp.fc1",
    "mlp.down":   "mlp.fc2",
}
HEADS = {"SiglipVisionModel": Base(
    make=pooler, names={f"head.{ours}": f"head.{theirs}" for ours, theirs in POOLED.items()})}
# fmt: on
