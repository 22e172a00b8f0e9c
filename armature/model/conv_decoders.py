"""Decoders of convolutions: an encoder's maps, the image first → one map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.config import Config
from armature.errors import ConfigError
from armature.layers.conv import BatchNorm
from armature.layers.patches import Convolution
from armature.layers.plain_conv import Attended, Gathered, Norms, row, separable

Maps = Sequence[Tensor]
_SQUARES = (1, 2, 3, 6)


_NORMS = {"batchnorm": BatchNorm, "instancenorm": nn.InstanceNorm2d}


def _norms(c: Config) -> Norms | None:
    """Return what makes norms, by the setting's name of today; an older one counts for more.

    Raises:
        ConfigError: there are no such norms.
    """
    said = c.get("decoder_use_norm")
    for older in ("decoder_use_batchnorm", "psp_use_batchnorm"):
        said = said if c.get(older) is None else c.get(older)
    if said is None or isinstance(said, bool):
        said = "identity" if said is False else "batchnorm"
    how = dict(said) if isinstance(said, Mapping) else {"type": str(said).lower()}
    kind = how.pop("type", None)
    if kind == "identity":
        return None
    if kind not in _NORMS:
        raise ConfigError(
            f"config.json: decoder_use_norm is {said!r}, but should be one of "
            f"{', '.join((*_NORMS, 'identity'))}"
        )
    return partial(_NORMS[kind], **how)


class Rise(nn.Module):
    """A map stretched, joined with what the encoder saw at that size, and two convolutions."""

    def __init__(
        self, sizes: tuple[int, int, int], *, norm: Norms | None, squeezed: bool, mode: str
    ) -> None:
        super().__init__()
        below, beside, width = sizes
        self.conv1 = row(below + beside, width, norm=norm)
        self.attention1 = Attended(below + beside, squeezed=squeezed)
        self.conv2 = row(width, width, norm=norm)
        self.attention2 = Attended(width, squeezed=squeezed)
        self.mode = mode

    def forward(self, x: Tensor, size: torch.Size, beside: Tensor | None) -> Tensor:
        """(B, C, …) → (B, D, height, width) of a size."""
        x = F.interpolate(x, size, mode=self.mode)
        x = x if beside is None else self.attention1(torch.cat((x, beside), 1))
        return self.attention2(self.conv2(self.conv1(x)))


class UDecoder(nn.Module):
    """From the coarsest map up, each size sees what the encoder saw (Ronneberger et al., 2015)."""

    def __init__(self, c: Config, channels: Sequence[int], *, centered: bool = False) -> None:
        """Build it; perhaps with two convolutions on the coarsest map, before all else."""
        super().__init__()
        beside, last, norm = channels[-2:0:-1], channels[-1], _norms(c)
        widths, kind = list(c.decoder_channels), c.get("decoder_attention_type")
        if len(widths) != len(channels) - 1 or kind not in (None, "scse"):
            raise ConfigError(
                f"config.json: decoder_channels are {widths} for encoder_depth {c.encoder_depth}, "
                f"and decoder_attention_type is {kind!r}, but there should be one number for each "
                "size, and null or 'scse'"
            )
        self.center = nn.Sequential(*(row(last, last, 3, norm) for _ in range(2 * centered)))
        sizes = zip([last, *widths], [*beside, 0], widths, strict=False)
        how = {"norm": norm, "mode": str(c.decoder_interpolation)}
        self.blocks = nn.ModuleList(Rise(one, squeezed=kind == "scse", **how) for one in sizes)
        self.width = widths[-1]

    def forward(self, maps: Maps) -> Tensor:
        """Maps, the image first → (B, D, height, width) of its size."""
        x, above = self.center(maps[-1]), [*maps[-2:0:-1], None]
        for block, beside, like in zip(self.blocks, above, maps[-2::-1], strict=True):
            x = block(x, like.shape[2:], beside)
        return x


class Square(nn.Module):
    """The means of so many squares a side, spread over the map again."""

    def __init__(self, inputs: int, width: int, side: int, norm: Norms | None) -> None:
        super().__init__()
        # A single place has no statistics of its own, so its norm is left out.
        conv = row(inputs, width, 1, None if side == 1 else norm)
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(side), conv)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, D, height, width)."""
        return F.interpolate(self.pool(x), x.shape[2:], mode="bilinear", align_corners=True)


class Squares(nn.Module):
    """A map beside the means of its squares of several sizes (Zhao et al., 2016)."""

    def __init__(self, width: int, norm: Norms | None) -> None:
        super().__init__()
        part = width // len(_SQUARES)
        self.blocks = nn.ModuleList(Square(width, part, side, norm=norm) for side in _SQUARES)

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, height, width) → (B, 2 · D, height, width)."""
        return torch.cat([*(block(x) for block in self.blocks), x], 1)


class PoolingDecoder(nn.Module):
    """The coarsest map, pooled into squares of several sizes (Zhao et al., 2016)."""

    def __init__(self, c: Config, channels: Sequence[int]) -> None:
        super().__init__()
        norm, self.width = _norms(c), int(c.psp_out_channels)
        self.psp = Squares(channels[-1], norm=norm)
        self.conv = row(2 * channels[-1], self.width, 1, norm=norm)
        self.dropout = nn.Dropout2d(c.psp_dropout)

    def forward(self, maps: Maps) -> Tensor:
        """Maps, the image first → (B, D, height, width) of the coarsest."""
        return self.dropout(self.conv(self.psp(maps[-1])))


class GatheringDecoder(nn.Module):
    """The coarsest map, gathered at several distances (Chen et al., 2017)."""

    def __init__(self, c: Config, channels: Sequence[int]) -> None:
        super().__init__()
        self.width = width = int(c.decoder_channels)
        self.aspp = _gathered(c, channels[-1])
        self.conv = Convolution(width, width, 3, padding=1, bias=False)
        self.bn = BatchNorm(width)

    def forward(self, maps: Maps) -> Tensor:
        """Maps, the image first → (B, D, height, width) of the coarsest."""
        return F.relu(self.bn(self.conv(self.aspp(maps[-1]))))


class SharpenedDecoder(nn.Module):
    """The same, and then what a fine map sees of edges (Chen et al., 2018)."""

    def __init__(self, c: Config, channels: Sequence[int]) -> None:
        super().__init__()
        self.width = width = int(c.decoder_channels)
        norm = (BatchNorm(width), nn.ReLU())
        self.aspp = nn.Sequential(_gathered(c, channels[-1]), separable(width, width), *norm)
        self.block1 = row(channels[2], 48, 1)
        self.block2 = nn.Sequential(separable(48 + width, width), BatchNorm(width), nn.ReLU())
        self.factor = 4 if c.encoder_output_stride == 16 and c.encoder_depth > 3 else 2

    def forward(self, maps: Maps) -> Tensor:
        """Maps, the image first → (B, D, height, width) of the third."""
        x = self.aspp(maps[-1])
        size = (x.shape[2] * self.factor, x.shape[3] * self.factor)
        x = F.interpolate(x, size, mode="bilinear", align_corners=True)
        return self.block2(torch.cat((x, self.block1(maps[2])), 1))


def _gathered(c: Config, inputs: int) -> Gathered:
    rates, split = c.decoder_atrous_rates, bool(c.decoder_aspp_separable)
    return Gathered(inputs, c.decoder_channels, rates, c.decoder_aspp_dropout, split=split)


class Lateral(nn.Module):
    """What an encoder saw at one size, mapped."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.skip_conv = Convolution(inputs, width, 1)

    def forward(self, x: Tensor, beside: Tensor, mode: str) -> Tensor:
        """Add it to (B, D, …), stretched to the double."""
        return F.interpolate(x, scale_factor=2.0, mode=mode) + self.skip_conv(beside)


class Climb(nn.Module):
    """Convolutions, behind each of which a map is stretched to the double; the last may not."""

    def __init__(self, inputs: int, width: int, times: int) -> None:
        super().__init__()
        widths = [inputs, *(width for _ in range(max(times, 1)))]
        self.block = nn.ModuleList(GroupNormed(one, two) for one, two in pairwise(widths))
        self.times = times

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, D, …)."""
        for block in self.block:
            x = block(x)
            if self.times:
                x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=True)
        return x


class GroupNormed(nn.Module):
    """A convolution, a norm of groups of channels, and a rectifier."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        conv = Convolution(inputs, width, 3, padding=1, bias=False)
        self.block = nn.Sequential(conv, nn.GroupNorm(32, width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → (B, D, height, width)."""
        return self.block(x)


class FeaturePyramidDecoder(nn.Module):
    """Four sizes learn from the coarser ones, and are joined (Kirillov et al., 2019)."""

    def __init__(self, c: Config, channels: Sequence[int]) -> None:
        super().__init__()
        width, inner = int(c.decoder_pyramid_channels), int(c.decoder_segmentation_channels)
        self.mode, self.adds = str(c.decoder_interpolation), c.decoder_merge_policy == "add"
        self.width = inner if self.adds else 4 * inner
        self.p5 = Convolution(channels[-1], width, 1)
        self.p4, self.p3, self.p2 = (Lateral(channels[-i], width) for i in (2, 3, 4))
        self.seg_blocks = nn.ModuleList(Climb(width, inner, times) for times in (3, 2, 1, 0))
        self.dropout = nn.Dropout2d(c.decoder_dropout)

    def forward(self, maps: Maps) -> Tensor:
        """Maps, the image first → (B, D, height, width) of the fourth from the end."""
        found = [self.p5(maps[-1])]
        for index, lateral in enumerate((self.p4, self.p3, self.p2), 2):
            found.append(lateral(found[-1], maps[-index], self.mode))
        risen = [block(x) for block, x in zip(self.seg_blocks, found, strict=True)]
        return self.dropout(torch.stack(risen).sum(0) if self.adds else torch.cat(risen, 1))
