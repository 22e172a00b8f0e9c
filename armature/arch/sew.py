"""SEW (Wu et al., 2021): wav2vec 2.0 whose blocks see a frame in the place of several."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from armature.arch import renamed, wav2vec2
from armature.config import Config
from armature.model.spec import Own, Stack

if TYPE_CHECKING:
    from torch import nn

LIKE = wav2vec2
DEFAULTS: dict[str, Any] = wav2vec2.without(
    *("adapter", "add_", "num_adapter", "output_", "codevector", "num_codevector", "do_stable"),
    *("contrastive", "diversity", "proj_", "xvector"),
) | {
    "squeeze_factor": 2,
    "conv_dim": [64, 128, 128, 128, 128, 256, 256, 256, 256, 512, 512, 512, 512],
    "conv_stride": [5, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1, 2, 1],
    "conv_kernel": [10, 3, 1, 3, 1, 3, 1, 3, 1, 2, 1, 2, 1],
    "ctc_loss_reduction": "mean",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return wav2vec2.encoder(c, Own(lambda: _sounds(c)))


def _sounds(c: Config) -> nn.Module:
    from armature.layers.squeezed import Squeezed

    places = partial(wav2vec2.placing, c, c.squeeze_factor)
    return wav2vec2.sounds(c, places, partial(Squeezed, c.squeeze_factor))


PREFIX = "sew"
# fmt: off
NAMES = wav2vec2.NAMES | {
    "embed.norm_in": "layer_norm",
    "embed.project": "feature_projection",
    "embed.spread":  "encoder.upsample.projection",
}
# fmt: on
HEADS = renamed(
    wav2vec2.HEADS, *("Wav2Vec2", "SEW", "PreTraining", "FrameClassification", "XVector")
)
