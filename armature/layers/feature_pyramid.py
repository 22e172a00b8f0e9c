"""Feature pyramid: maps of all resolutions learn from the coarser ones (Lin et al., 2017)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from armature.layers.patches import Convolution


class FeaturePyramid(nn.Module):
    """From the coarsest map down, each is added to the next finer one; all get one width.

    Files call `inner` and `out` `inner_blocks.{i}.0` and `layer_blocks.{i}.0`, or `fpn_lateral2`
    and `fpn_output2` onwards; the norms lie behind them as `.1`, or inside as `.norm`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        width: int,
        extra: nn.Module | None = None,
        norm: Callable[[int], nn.Module] | None = None,
    ) -> None:
        """Build it for maps of these channels, the finest first.

        Args:
            channels: of each map.
            width: of all that come out.
            extra: makes further, coarser maps: `Halved` or `Strided`.
            norm: makes a norm behind each convolution, which then has no bias.
        """
        super().__init__()
        bias = norm is None
        self.inner = nn.ModuleList(Convolution(one, width, 1, bias=bias) for one in channels)
        self.out = nn.ModuleList(
            Convolution(width, width, 3, padding=1, bias=bias) for _ in channels
        )
        self.inner_norm = self.out_norm = None
        if norm is not None:
            self.inner_norm = nn.ModuleList(norm(width) for _ in channels)
            self.out_norm = nn.ModuleList(norm(width) for _ in channels)
        self.extra, self.width = extra, width

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """(B, C, height, width) of each resolution, the finest first → as many, and the extra."""
        found: list[Tensor] = []
        above: Tensor | None = None
        for index in reversed(range(len(self.inner))):
            x = self.inner[index](maps[index])
            x = x if self.inner_norm is None else self.inner_norm[index](x)
            if above is not None:
                x = self.joined(x, F.interpolate(above, x.shape[-2:], mode="nearest"))
            above = x
            x = self.out[index](x)
            found.insert(0, x if self.out_norm is None else self.out_norm[index](x))
        return found if self.extra is None else found + self.extra(found, maps)

    def joined(self, x: Tensor, above: Tensor) -> Tensor:
        """Return a map with the coarser one, stretched to its size."""
        return x + above


class MeanFeaturePyramid(FeaturePyramid):
    """A map and the coarser one count half each."""

    def joined(self, x: Tensor, above: Tensor) -> Tensor:
        """Return their mean."""
        return (x + above) / 2


class Halved(nn.Module):
    """One coarser map: every second pixel of the coarsest."""

    def forward(self, found: Sequence[Tensor], _maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the map."""
        return [F.max_pool2d(found[-1], kernel_size=1, stride=2)]


class Strided(nn.Module):
    """Two coarser maps, each by a convolution of stride 2 (Lin et al., 2017, of RetinaNet).

    Files call them `p6` and `p7`.
    """

    def __init__(self, channels: int, width: int) -> None:
        """Read the coarsest map that went in, unless that has the pyramid's own width already."""
        super().__init__()
        self.first = Convolution(channels, width, 3, stride=2, padding=1)
        self.second = Convolution(width, width, 3, stride=2, padding=1)
        self.own = channels == width

    def forward(self, found: Sequence[Tensor], maps: Sequence[Tensor]) -> list[Tensor]:
        """Return the two maps."""
        first = self.first(found[-1] if self.own else maps[-1])
        return [first, self.second(F.relu(first))]
