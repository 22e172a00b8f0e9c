"""SEW (Wu et al., 2021): wav2vec 2.0 whose blocks see a frame in the place of several."""

from __future__ import annotations

from dataclasses import replace
from functools import cache, partial
from typing import TYPE_CHECKING, Any

from armature.arch import renamed, wav2vec2
from armature.config import Config
from armature.model.spec import Own, Stack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from armature.layers.embed import Inputs

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
    from armature.layers import filters

    factor = c.squeeze_factor

    def places() -> nn.Module:
        kernel, groups = c.num_conv_pos_embeddings, c.num_conv_pos_embedding_groups
        conv = filters.NormedConvolution(c.hidden_size, kernel, groups, factor)
        return filters.Placing(conv, c.feat_extract_activation)

    return wav2vec2.sounds(c, places, partial(_squeezed(), factor))


@cache
def _squeezed() -> type[nn.Module]:
    import torch
    from torch import nn
    from torch.nn import functional as F

    from armature.batch import Layout
    from armature.layers import sound
    from armature.layers.linear import Linear

    class Squeezed(sound.Sounds):
        """The mean of several frames is a token; at last each becomes several again."""

        def __init__(self, factor: int, width: int, parts: sound.Parts, *, masked: bool) -> None:
            super().__init__(width, parts, masked=masked)
            self.factor, self.spread = factor, Linear(width, width * factor)
            if self.frames.width == width:
                self.project: Any = nn.Identity()

        def open(self, given: Mapping[str, Any]) -> Inputs:
            inputs = super().open(given)
            frames, further = inputs.layout.width, inputs.further
            count, rows = frames // self.factor, inputs.layout.rows
            self._enough(count)
            inputs.layout = replace(inputs.layout, lengths=(count,) * rows, width=count)
            further["frames"] = frames
            if sound.REAL in further:
                tokens = -(-further[sound.LENGTHS] // self.factor)
                shown = torch.arange(count, device=tokens.device) < tokens[:, None]
                further["whole"] = further[sound.REAL]
                further[sound.REAL] = Layout.of(shown, (rows, count), inputs.layout.device)
            return inputs

        def forward(self, inputs: Inputs) -> Tensor:
            """Waveforms → (N, D)."""
            further, count = inputs.further, inputs.layout.width
            x = self.frames(further["values"])
            assert self.norm_in is not None and self.norm is not None
            x = self.norm_in(x)
            x = self._hide(self.project(x), further[sound.MASKED], further[sound.LENGTHS])
            whole: Layout | None = further.get("whole")
            if whole is not None:
                x = x.masked_fill(~whole.mask[..., None], 0.0)
            few = F.avg_pool1d(x.transpose(1, 2), self.factor).transpose(1, 2)  # (B, T', D)
            few = few + self.places(x)[:, :count]
            return self.dropout(self.norm(few)).flatten(0, 1)

        def leave(self, x: Tensor, inputs: Inputs) -> Tensor:
            """Last states (N, D) → those of all frames, zero where the last ones make no token."""
            frames, rows = inputs.further["frames"], inputs.layout.rows
            act: Any = self.places.act
            wide = act(self.spread(x)).unflatten(0, (rows, -1)).unflatten(2, (self.factor, -1))
            wide = wide.flatten(1, 2)
            inputs.layout = replace(inputs.layout, lengths=(frames,) * rows, width=frames)
            return F.pad(wide, (0, 0, 0, frames - wide.shape[1])).flatten(0, 1)

    return Squeezed


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
