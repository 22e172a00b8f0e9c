"""Depth: the maps of all stages → how far away what each place of an image shows is."""

from __future__ import annotations

from torch import Tensor, nn

from armature.config import Config
from armature.errors import ConfigError
from armature.outputs import losses, tasks


class Depths(nn.Module):
    """What reads the maps is the architecture's own."""

    def __init__(self, spec: tasks.MapHead, config: Config, channels: tuple[int, ...]) -> None:
        super().__init__()
        if spec.make is None:
            raise ConfigError(f"nothing reads the maps of a {config.model_type!r} model")
        self.net = spec.make(config, channels)

    def forward(self, maps: list[Tensor], labels: Tensor | None) -> dict[str, Tensor | None]:
        """Maps (B, C, height, width) of all stages → loss, predicted_depth (B, height, width)."""
        depth = self.net(maps)
        loss = None if labels is None else losses.depths(depth, labels)
        return {"loss": loss, "predicted_depth": depth}
