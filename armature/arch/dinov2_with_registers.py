"""DINOv2 with registers (Darcet et al., 2023): DINOv2 with tokens to compute in, read by nobody."""

from __future__ import annotations

from typing import Any

from armature.arch import dinov2, renamed, sides
from armature.config import Config
from armature.model.spec import Own, Stack

LIKE = dinov2

DEFAULTS = dinov2.DEFAULTS | {"patch_size": 16, "num_register_tokens": 4}
del DEFAULTS["use_mask_token"]  # there is always one


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return dinov2.encoder(c, Own(lambda: _embed(c)))


def _embed(c: Config) -> Any:
    import torch
    from torch import Tensor, nn

    from armature.layers.embed import Inputs
    from armature.layers.patches import PatchTokens

    class Registers(PatchTokens):
        """Patches behind registers, which have no positions."""

        stretches = smooth = True

        def __init__(self) -> None:
            (down, across), (height, width) = sides(c.patch_size), sides(c.image_size)
            shape = (c.num_channels, down, across)
            super().__init__(c.hidden_size, shape, (height // down, width // across))
            self.registers = nn.Parameter(torch.empty(1, c.num_register_tokens, c.hidden_size))
            self.leading += c.num_register_tokens
            self.learn_mask()

        def forward(self, inputs: Inputs) -> Tensor:  # type: ignore[override]
            """Images → (N, D): the first token, the registers, the patches."""
            first, patches = self.pieces(inputs)
            registers = self.registers.expand(len(first), -1, -1)
            return self.dropout(torch.cat((first, registers, patches), 1).flatten(0, 1))

    return Registers()


PREFIX = "dinov2_with_registers"


def names(c: Config) -> dict[str, Any]:
    """Return DINOv2's names, and that of the registers."""
    return dinov2.names(c) | {"embed.registers": "embeddings.register_tokens"}


HEADS = renamed(dinov2.HEADS, "Dinov2", "Dinov2WithRegisters")
