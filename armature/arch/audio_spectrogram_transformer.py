"""AST (Gong et al., 2021): ViT on overlapping squares of a spectrogram, behind two tokens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from armature.arch import sides, vit
from armature.config import Config
from armature.model.spec import Own, Stack
from armature.outputs.tasks import Pooled, SequenceClassifier

if TYPE_CHECKING:
    from armature.layers.embed import Inputs

LIKE = vit
_SEEN = ("image_size", "num_channels", "encoder_stride", "pooler_act", "pooler_output_size")
DEFAULTS = {key: value for key, value in vit.DEFAULTS.items() if key not in _SEEN}
DEFAULTS |= {"frequency_stride": 10, "time_stride": 10, "max_length": 1024, "num_mel_bins": 128}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return vit.stack(c, Own(lambda: _embed(c)))


def _embed(c: Config) -> Any:
    from armature.batch import Layout
    from armature.errors import ArgumentError
    from armature.layers.embed import Inputs
    from armature.layers.patches import Convolution, Images, PatchTokens

    size, steps = sides(c.patch_size), (c.frequency_stride, c.time_stride)
    bins, frames = c.num_mel_bins, c.max_length
    grid = ((bins - size[0]) // steps[0] + 1, (frames - size[1]) // steps[1] + 1)

    class Spectrum(PatchTokens):
        """Squares of a spectrogram, frequencies down and time across."""

        takes = ("input_values",)  # type: ignore[assignment]

        def __init__(self) -> None:
            super().__init__(c.hidden_size, (1, *size), grid, ("cls", "teacher"))
            self.patch = Convolution(1, c.hidden_size, size, stride=steps)

        def open(self, given: Mapping[str, Any]) -> Inputs:
            """Return the inputs of a call with spectrograms (B, frames, bins)."""
            values = given.get("input_values")
            if values is None:
                raise ArgumentError("give input_values: spectrograms from the feature extractor")
            found = None
            if values.dim() == 3:
                edges = zip(values.shape[:0:-1], size, steps, strict=True)
                found = tuple((length - patch) // step + 1 for length, patch, step in edges)
            if found != grid:
                raise ArgumentError(
                    f"input_values has the shape {tuple(values.shape)}: give a batch of "
                    f"spectrograms (B, {frames}, {bins})"
                )
            tokens = self.leading + grid[0] * grid[1]
            layout = Layout((tokens,) * len(values), tokens, values.device)
            images = Images(values.mT[:, None])
            return Inputs(layout, further={"images": images, "sides": grid})

    return Spectrum()


PREFIX = "audio_spectrogram_transformer"
# fmt: off
NAMES = vit.NAMES | {"embed.teacher": "embeddings.distillation_token"}
UNUSED = ()

HEADS = {
    "ASTModel":                  Pooled(pick="leading"),
    "ASTForAudioClassification": SequenceClassifier(
        only=("AudioClassification",), pick="leading",
        norm="classifier.layernorm", out="classifier.dense"),
}
# fmt: on
INPUTS = "sounds"
