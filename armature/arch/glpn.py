"""GLPN (Kim et al., 2022): SegFormer's stages, and a decoder that tells how far things are."""

from __future__ import annotations

from typing import Any

from armature.arch import segformer
from armature.config import Config
from armature.outputs.tasks import Base, DepthEstimator

LIKE = segformer
_SEGMENTS = ("classifier_dropout_prob", "semantic_loss_ignore_index", "reshape_last_stage")
DEFAULTS = {key: value for key, value in segformer.DEFAULTS.items() if key not in _SEGMENTS} | {
    "decoder_hidden_size": 64,
    "max_depth": 10,
    "head_in_index": -1,
}


def _depths(_spec: Any, c: Config, body: Any) -> Any:
    """Return what reads the maps, the coarsest first, each joined with what was made so far."""
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    from armature.layers.conv import BatchNorm
    from armature.layers.patches import Convolution
    from armature.outputs.depth import Depths

    width = c.decoder_hidden_size

    def looking(inputs: int, outputs: int) -> nn.Module:
        conv = Convolution(inputs, outputs, 3, padding=1)
        return nn.Sequential(conv, BatchNorm(outputs), nn.ReLU())

    def doubled(x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)

    class Fusion(nn.Module):
        """Two maps, of each place a share of both."""

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = looking(2 * width, width), looking(width, width // 2)
            self.shares = Convolution(width // 2, 2, 3, padding=1)

        def forward(self, near: Tensor, far: Tensor) -> Tensor:
            """(B, C, height, width) each → the same."""
            x = self.second(self.first(torch.cat((near, far), 1)))
            shares = self.shares(x).sigmoid()
            return near * shares[:, :1] + far * shares[:, 1:]

    class Decoder(nn.Module):
        """Maps of all stages → depths (B, height, width), twice as fine as the first map."""

        def __init__(self) -> None:
            super().__init__()
            sizes = body.channels[:0:-1]
            narrow = [Convolution(size, width, 1) if size != width else None for size in sizes]
            self.narrow = nn.ModuleList(one or nn.Identity() for one in narrow)
            self.fuse = nn.ModuleList([nn.Identity(), *(Fusion() for _ in sizes[1:])])
            self.look, self.out = (
                Convolution(width, width, 3, padding=1),
                Convolution(width, 1, 3, padding=1),
            )

        def forward(self, maps: list[Tensor]) -> Tensor:
            """(B, C, height, width) each → (B, height, width)."""
            made: list[Tensor] = []
            for narrow, fuse, x in zip(self.narrow, self.fuse, maps[::-1], strict=True):
                x = narrow(x)
                made.append(doubled(fuse(x, made[-1]) if made else x))
            made[-1] = doubled(made[-1])
            x = self.out(self.look(made[c.head_in_index]).relu())
            return x.sigmoid().squeeze(1) * c.max_depth

    return Depths(Decoder())


PREFIX = "glpn"
UNUSED = ("decoder_hidden_size", "head_in_index", "layer_norm_eps", "max_depth")

HEADS = {
    "GLPNModel": Base(),
    "GLPNForDepthEstimation": DepthEstimator(
        make=_depths,
        names={
            "head.net.narrow.{i}": "decoder.stages.{i}.convolution",
            "head.net.fuse.{i}.first": "decoder.stages.{i}.fusion.convolutional_layer1",
            "head.net.fuse.{i}.second": "decoder.stages.{i}.fusion.convolutional_layer2",
            "head.net.fuse.{i}.shares": "decoder.stages.{i}.fusion.convolutional_layer3",
            "head.net.look": "head.head.0",
            "head.net.out": "head.head.2",
        },
    ),
}
