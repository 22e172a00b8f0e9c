"""HuBERT (Hsu et al., 2021): wav2vec 2.0 that learned to name clusters of hidden frames."""

from __future__ import annotations

from typing import TYPE_CHECKING

from armature.arch import renamed, wav2vec2
from armature.config import Config
from armature.model.spec import Own, Stack

if TYPE_CHECKING:
    from torch import nn

LIKE = wav2vec2
DEFAULTS = wav2vec2.without(
    *("adapter_", "add_", "num_adapter", "output_", "codevector", "num_codevector"),
    *("contrastive", "diversity", "proj_", "xvector"),
) | {"feat_proj_layer_norm": True, "conv_pos_batch_norm": False}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    normed = bool(c.feat_proj_layer_norm)
    places = (lambda: _placing(c)) if c.conv_pos_batch_norm else None
    embed = Own(lambda: wav2vec2.sounds(c, places, told=False, normed=normed))
    return wav2vec2.encoder(c, embed, adapted=True)


def _placing(c: Config) -> nn.Module:
    """Return a convolution whose input is normed by what training saw, not its weights."""
    from torch import nn

    from armature.layers import filters

    width, kernel, groups = (
        *(c.hidden_size, c.num_conv_pos_embeddings, c.num_conv_pos_embedding_groups),
    )
    conv = filters.Convolution(width, width, kernel, padding=kernel // 2, groups=groups)
    return filters.Placing(conv, c.feat_extract_activation, nn.BatchNorm1d(width))


PREFIX = "hubert"
NAMES = wav2vec2.NAMES | {"embed.places.norm": "encoder.pos_conv_embed.batch_norm"}
HEADS = renamed(
    wav2vec2.HEADS,
    *("Wav2Vec2", "Hubert", "PreTraining", "FrameClassification", "XVector"),
)
