"""data2vec (Baevski et al., 2022) of sounds: wav2vec 2.0, placed by several convolutions."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from armature.arch import renamed, wav2vec2
from armature.config import Config
from armature.model.spec import Own, Stack

if TYPE_CHECKING:
    from torch import Tensor, nn

LIKE = wav2vec2
DEFAULTS = wav2vec2.without(
    *("adapter_attn", "codevector", "num_codevector", "contrastive", "diversity", "proj_"),
    *("apply_spec", "do_stable", "feat_extract_norm"),
) | {"conv_pos_kernel_size": 19, "num_conv_pos_embeddings": 5}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return wav2vec2.encoder(c, Own(lambda: wav2vec2.sounds(c, lambda: _placing()(c), layered=True)))


@cache
def _placing() -> type[nn.Module]:
    from torch import nn

    from armature.layers import filters

    class Placings(nn.Module):
        """Convolutions one after another, each normed by nothing trained."""

        def __init__(self, c: Config) -> None:
            super().__init__()
            width, kernel = c.hidden_size, c.conv_pos_kernel_size
            groups, act = c.num_conv_pos_embedding_groups, c.feat_extract_activation
            self.layers = nn.ModuleList(
                filters.Strided(
                    filters.Filter(width, width, kernel, padding=kernel // 2, groups=groups),
                    nn.LayerNorm(width, elementwise_affine=False),
                    act,
                )
                for _ in range(c.num_conv_pos_embeddings)
            )

        def forward(self, x: Tensor) -> Tensor:
            """(B, T, D) → (B, T, D)."""
            y = x.transpose(1, 2)
            for layer in self.layers:
                y = layer(y)[..., : x.shape[1]]  # even kernels make one too many
            return y.transpose(1, 2)

    return Placings


PREFIX = "data2vec_audio"
NAMES = wav2vec2.NAMES | {
    "embed.places.layers.{i}.conv": "encoder.pos_conv_embed.layers.{i}.conv",
}
HEADS = renamed(wav2vec2.HEADS, "Wav2Vec2", "Data2VecAudio", "PreTraining")
