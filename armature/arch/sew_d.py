"""SEW-D (Wu et al., 2021): squeezed frames, whose attention tells content and distance apart."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from armature.arch import head_width, renamed, wav2vec2
from armature.config import Config
from armature.model.spec import Block, Dense, Dropout, LayerNorm, Own, Post, Stack

if TYPE_CHECKING:
    from torch import nn

LIKE = wav2vec2
DEFAULTS: dict[str, Any] = wav2vec2.without(
    *("adapter", "add_", "num_adapter", "output_", "codevector", "num_codevector", "do_stable"),
    *("contrastive", "diversity", "proj_", "xvector"),
) | {
    "squeeze_factor": 2,
    "hidden_act": "gelu_python",
    "max_position_embeddings": 512,
    "position_buckets": 256,
    "share_att_key": True,
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "norm_rel_ebd": "layer_norm",
    "activation_dropout": 0.1,
    "layer_norm_eps": 1e-7,
    "feature_layer_norm_eps": 1e-5,
    "conv_dim": [64, 128, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512],
    "conv_stride": [5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1],
    "conv_kernel": [10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1],
    "ctc_loss_reduction": "mean",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return Stack(
        embed=Own(lambda: _sounds(c)),
        block=Block(
            Post(LayerNorm(c.layer_norm_eps)),
            Own(lambda: _attention(c)),
            Dense(c.intermediate_size, c.hidden_act),
        ),
        depth=c.num_hidden_layers,
        bias=Own(lambda: _distances(c)),
        dropout=Dropout(c.activation_dropout, c.attention_dropout),
    )


# ------------------------------------------- its own organs: only building a model needs torch


def _sounds(c: Config) -> nn.Module:
    from armature.layers.squeezed import Squeezed

    places = partial(wav2vec2.placing, c, c.squeeze_factor)
    found: Any = wav2vec2.sounds(c, places, partial(Squeezed, c.squeeze_factor))
    found.norm, found.norm_in.eps = None, c.feature_layer_norm_eps
    return found


def _distances(c: Config) -> nn.Module:
    from armature.layers import disentangled, norm

    normed = "layer_norm" in c.norm_rel_ebd.lower()
    return disentangled.Distances(
        c.hidden_size if c.relative_attention else 0,
        (c.position_buckets, c.max_position_embeddings),
        norm.LayerNorm(c.hidden_size, eps=c.layer_norm_eps) if normed else None,
    )


def _attention(c: Config) -> nn.Module:
    from armature.layers import disentangled, sound

    class Heard(disentangled.Disentangled, sound.HearingAttention):
        """Attention of all frames, padding too, to those that are no padding."""

    terms = {term for term in ("c2p", "p2c") if term in c.pos_att_type}
    kind = (terms, c.relative_attention, c.share_att_key)
    return Heard(c.hidden_size, c.num_attention_heads, head_width(c), kind)


PREFIX = "sew_d"
# fmt: off
_LAYER = "encoder.encoder.layer.{i}"
NAMES = {name: path for name, path in wav2vec2.NAMES.items() if name.startswith("embed.")} | {
    "embed.norm_in":              "layer_norm",
    "embed.project":              "feature_projection",
    "embed.spread":               "encoder.upsample.projection",
    "bias":                       "encoder.encoder.rel_embeddings",
    "bias.norm":                  "encoder.encoder.LayerNorm",
    "blocks.{i}.attn.qkv":        f"{_LAYER}.attention.self.{{query,key,value}}_proj",
    "blocks.{i}.attn.position_k": f"{_LAYER}.attention.self.pos_key_proj",
    "blocks.{i}.attn.position_q": f"{_LAYER}.attention.self.pos_query_proj",
    "blocks.{i}.attn.out":        f"{_LAYER}.attention.output.dense",
    "blocks.{i}.attn_norm":       f"{_LAYER}.attention.output.LayerNorm",
    "blocks.{i}.mlp.up":          f"{_LAYER}.intermediate.dense",
    "blocks.{i}.mlp.down":        f"{_LAYER}.output.dense",
    "blocks.{i}.mlp_norm":        f"{_LAYER}.output.LayerNorm",
}
# fmt: on
UNUSED = (*wav2vec2.UNUSED, "hidden_dropout")  # HF: activation_dropout stands for it
HEADS = renamed(
    wav2vec2.HEADS, *("Wav2Vec2", "SEWD", "PreTraining", "FrameClassification", "XVector")
)
