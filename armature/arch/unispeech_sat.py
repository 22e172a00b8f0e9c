"""UniSpeech-SAT (Chen et al., 2021): wav2vec 2.0 that learned to tell speakers apart."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import renamed, wav2vec2
from armature.config import Config
from armature.model.spec import Own, Stack
from armature.outputs.tasks import HiddenFrames

if TYPE_CHECKING:
    from torch import Tensor, nn

    from armature.outputs.heads import Given

LIKE = wav2vec2
DEFAULTS = wav2vec2.without("adapter", "add_", "num_adapter", "output_") | {
    "num_clusters": 504,
    "ctc_loss_reduction": "mean",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return wav2vec2.encoder(c, Own(lambda: wav2vec2.sounds(c, masked=True)), adapted=True)


@cache
def _kept() -> type[nn.Module]:
    import torch
    from torch import nn

    from armature.layers.linear import Linear
    from armature.layers.norm import LayerNorm
    from armature.layers.sound import FEATURES

    class Kept(nn.Module):
        """States and features as they are; what training had beside them is kept, unread."""

        def __init__(self, c: Config) -> None:
            super().__init__()
            count = c.num_codevector_groups * c.num_codevectors_per_group
            each = c.codevector_dim // c.num_codevector_groups
            self.codes = nn.Parameter(torch.empty(1, count, each))
            self.chooses = Linear(c.hidden_size, count)
            self.project = Linear(c.codevector_dim, c.proj_codevector_dim)
            self.dense = Linear(c.hidden_size, c.proj_codevector_dim)
            self.speaker = Linear(c.hidden_size, c.codevector_dim)
            self.clusters = nn.Parameter(torch.empty(c.num_clusters, c.codevector_dim))
            self.norm = LayerNorm(c.hidden_size, eps=c.layer_norm_eps)

        def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
            """Packed states (N, D) → features, states."""
            states = given.layout.unpack(x)
            return {"logits": given.further[FEATURES], "projected_states": states}

    return Kept


def _kept_beside(_spec: Any, c: Config, _body: Any) -> nn.Module:
    return _kept()(c)


PREFIX = "unispeech_sat"
UNUSED = (*wav2vec2.UNUSED, "num_clusters")
# fmt: off
HEADS = {"UniSpeechSatForPreTraining": HiddenFrames(
    make=_kept_beside, dense="project_hid", codes="quantizer.codevectors",
    chooses="quantizer.weight_proj", project="project_q", norm="layer_norm_for_extract",
    names={"head.speaker": "speaker_proj", "head.clusters": "label_embeddings_concat"}),
} | renamed(wav2vec2.HEADS, "Wav2Vec2", "UniSpeechSat", "PreTraining")
# fmt: on
