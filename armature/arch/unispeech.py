"""UniSpeech (Wang et al., 2021): wav2vec 2.0 that learned letters and codes at once."""

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
DEFAULTS = wav2vec2.without("adapter", "add_", "num_adapter", "output_", "xvector") | {
    "num_ctc_classes": 80,
    "ctc_loss_reduction": "mean",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return wav2vec2.encoder(c, Own(lambda: wav2vec2.sounds(c)), adapted=True)


@cache
def _codes() -> type[nn.Module]:
    from armature.layers.linear import Linear
    from armature.layers.sound import FEATURES
    from armature.outputs.sounds import Codebook

    class Codes(Codebook):
        """States as they are, and the codes of what was heard, mapped twice."""

        def __init__(self, spec: HiddenFrames, c: Config, body: Any) -> None:
            super().__init__(spec, c, (c.hidden_size, body.embed.frames.width, 0))
            self.dense = Linear(c.proj_codevector_dim, c.hidden_size)
            self.letters = Linear(c.hidden_size, c.num_ctc_classes)  # kept, unread

        def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
            """Packed states (N, D) → states, codes, and how evenly these are used."""
            codes, perplexity = self.quantised(given.further[FEATURES], None)
            return {
                "projected_states": given.layout.unpack(x),
                "projected_quantized_states": self.dense(self.project(codes)),
                "codevector_perplexity": perplexity,
            }

    return Codes


def _codes_of(spec: HiddenFrames, c: Config, body: Any) -> nn.Module:
    return _codes()(spec, c, body)


PREFIX = "unispeech"
# fmt: off
HEADS = {"UniSpeechForPreTraining": HiddenFrames(
    make=_codes_of, dense="project_hid", codes="quantizer.codevectors",
    chooses="quantizer.weight_proj", project="project_q",
    names={"head.letters": "ctc_proj"}),
} | renamed(wav2vec2.HEADS, *("Wav2Vec2", "UniSpeech", "PreTraining", "FrameClassification",
                              "XVector"))
# fmt: on
