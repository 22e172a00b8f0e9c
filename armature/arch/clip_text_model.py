"""CLIP's text tower (Radford et al., 2021): a causal encoder; the end of a text stands for it."""

from __future__ import annotations

from armature.arch import head_width
from armature.config import Config
from armature.model.spec import (
    Attention,
    BareTokens,
    Block,
    Dense,
    Dropout,
    LayerNorm,
    Learned,
    Pre,
    Stack,
)
from armature.outputs.tasks import Base, Projection

DEFAULTS = {
    "vocab_size": 49408,
    "hidden_size": 512,
    "intermediate_size": 2048,
    "projection_dim": 512,
    "num_hidden_layers": 12,
    "num_attention_heads": 8,
    "max_position_embeddings": 77,
    "hidden_act": "quick_gelu",
    "layer_norm_eps": 1e-5,
    "attention_dropout": 0.0,
    "pad_token_id": 1,
    "bos_token_id": 49406,
    "eos_token_id": 49407,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return encoder(c, causal=True)


def encoder(c: Config, *, causal: bool) -> Stack:
    """Return a tower's stack."""
    norm = LayerNorm(c.layer_norm_eps)
    return Stack(
        embed=BareTokens(c.vocab_size, c.hidden_size, position=Learned(c.max_position_embeddings)),
        block=Block(
            Pre(norm),
            Attention(c.num_attention_heads, head_width(c), causal=causal),
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=c.num_hidden_layers,
        norm=norm,
        dropout=Dropout(0.0, c.attention_dropout),
    )


PREFIX = "text_model"
# fmt: off
NAMES = {
    "embed.token":          "embeddings.token_embedding",
    "embed.position":       "embeddings.position_embedding",
    "blocks.{i}.attn_norm": "encoder.layers.{i}.layer_norm1",
    "blocks.{i}.attn.qkv":  "encoder.layers.{i}.self_attn.{q,k,v}_proj",
    "blocks.{i}.attn.out":  "encoder.layers.{i}.self_attn.out_proj",
    "blocks.{i}.mlp_norm":  "encoder.layers.{i}.layer_norm2",
    "blocks.{i}.mlp.up":    "encoder.layers.{i}.mlp.fc1",
    "blocks.{i}.mlp.down":  "encoder.layers.{i}.mlp.fc2",
    "norm":                 "final_layer_norm",
}
IGNORED = ("embeddings.position_ids",)
UNUSED = ("projection_dim", "dropout", "bos_token_id", "pad_token_id")

HEADS = {
    "CLIPTextModel":               Base(pick="eot"),
    "CLIPTextModelWithProjection": Projection(pick="eot", out="text_projection", bias=False),
}
# fmt: on
INPUTS = "clip"
