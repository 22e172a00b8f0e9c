"""Depth: the maps of all stages → how far away what each place of an image shows is."""

from __future__ import annotations

from torch import Tensor, nn

from armature.outputs import losses
from armature.outputs.images import StageHead


class Depths(StageHead):
    """Depths by whatever reads the maps, and their loss."""

    fields = ("loss", "predicted_depth", "hidden_states", "attentions")

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, maps: list[Tensor], labels: Tensor | None) -> dict[str, Tensor | None]:
        """Maps (B, C, height, width) of all stages → loss, predicted_depth (B, height, width)."""
        depth = self.net(maps)
        loss = None if labels is None else losses.depths(depth, labels)
        return {"loss": loss, "predicted_depth": depth}
