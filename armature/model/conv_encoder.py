"""An encoder of convolutions: steps on one map, some of whose results a decoder sees."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from armature.errors import ConfigError
from armature.layers.context import Record
from armature.layers.conv import PaddedConvNorm
from armature.layers.patches import Convolution, Images, checked


class ConvEncoder(nn.Module):
    """Images → maps, ever coarser: each is half as large as the one before."""

    def __init__(
        self, steps: Sequence[nn.Module], cuts: Sequence[int], channels: Sequence[int]
    ) -> None:
        """Build it.

        Args:
            steps: what happens to the image; those after the last cut never do.
            cuts: after how many steps each map is seen; 0 is the image itself.
            channels: of each map.
        """
        super().__init__()
        self.steps = nn.ModuleList(steps)
        self.cuts, self.channels = tuple(cuts), list(channels)

    @property
    def embed(self) -> ConvEncoder:
        """What reads images."""
        return self

    @property
    def width(self) -> int:
        """D of the coarsest map."""
        return self.channels[-1]

    @property
    def patch(self) -> Convolution:
        """The convolution that reads pixels."""
        return next(part for part in self.modules() if isinstance(part, Convolution))

    def dilate(self, stride: int) -> None:
        """Let maps be no coarser than a stride; convolutions look as much farther instead.

        Raises:
            ConfigError: what makes maps coarser is no convolution.
        """
        for level, (start, end) in enumerate(pairwise(self.cuts)):
            rate = 2 ** (level + 1) // stride
            for step in self.steps[start:end] if rate > 1 else ():
                for part in step.modules():
                    if isinstance(part, nn.MaxPool2d | nn.AvgPool2d):
                        raise ConfigError(
                            f"config.json: encoder_output_stride is {stride}, but this encoder's "
                            "maps shrink by pooling, which cannot be undone\n"
                            "  → choose an encoder whose convolutions have strides"
                        )
                    _spread(part, rate)

    def features(self, images: Images, record: Record) -> None:
        """Keep the maps asked for."""
        found = self(checked(images.pixels, self.patch.weight), max(record.states))
        record.kept_states = {state: found[state] for state in record.states}

    def forward(self, pixels: Tensor, depth: int) -> list[Tensor]:
        """Images (B, C, height, width) → so many maps, and one more before them."""
        found = [] if self.cuts[0] else [pixels]
        x = pixels
        for index, step in enumerate(self.steps, 1):
            if len(found) > depth:
                break
            x = step(x)
            if index in self.cuts:
                found.append(x)
        return found


def _spread(part: nn.Module, rate: int) -> None:
    if isinstance(part, nn.Conv2d):
        side = part.kernel_size[0] // 2 * rate
        part.stride, part.dilation, part.padding = (1, 1), (rate, rate), (side, side)
    elif isinstance(part, PaddedConvNorm):
        part.pads = (0, 0)  # its convolution does that now
