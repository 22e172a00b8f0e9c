"""A pyramid: what embeds images, stages of blocks on ever coarser maps, perhaps a norm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from armature.batch import Layout
from armature.layers.context import Context, Record
from armature.layers.embed import Inputs
from armature.layers.patches import Images
from armature.layers.windows import Grid


class Stage(nn.Module):
    """Blocks of one resolution on packed tokens, and what halves the map before or after them."""

    attentions = 1  # how many a caller can see: the last block's
    flat = True  # a caller sees its map as tokens

    def __init__(
        self, blocks: list[nn.Module], down: nn.Module | None, width: int, *, early: bool = False
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.down = down
        self.width, self.early = width, early

    def enter(self, x: Tensor) -> Tensor:
        """(B, C, height, width) → the map that its blocks read."""
        return x if self.down is None or not self.early else self.down(x)

    def leave(self, x: Tensor) -> Tensor:
        """(B, D, height, width) → the next stage's map."""
        return x if self.down is None or self.early else self.down(x)

    def run(self, x: Tensor, layer: int, record: Record, *, shrink: bool) -> Tensor:
        """Send maps (B, D, height, width) through the blocks.

        Args:
            x: the maps.
            layer: the place of its attention among all that may be recorded.
            record: what a caller asked to see.
            shrink: whether windows shrink to maps that are smaller.
        """
        rows, _, height, width = x.shape
        layout = Layout((height * width,) * rows, height * width, x.device)
        context = Context(layout, record=record, grid=Grid(height, width, shrink))
        tokens = self(x.permute(0, 2, 3, 1).flatten(0, 2), context, layer)
        return tokens.unflatten(0, (rows, height, width)).permute(0, 3, 1, 2)

    def forward(self, x: Tensor, context: Context, layer: int) -> Tensor:
        """(N, D) → (N, D), the patches of all maps end to end."""
        last = len(self.blocks) - 1
        for index, block in enumerate(self.blocks):
            context.layer = layer if index == last else -1  # the last block's attention is kept
            x = block(x, context)
        return x


class MapStage(Stage):
    """Blocks of one resolution that work on maps as they are: convolutions and the like."""

    @property
    def attentions(self) -> int:  # type: ignore[override]
        """How many attentions a caller can see: those of all blocks that have one."""
        return sum(getattr(block, "attends", False) for block in self.blocks)

    @property
    def flat(self) -> bool:
        """Whether a caller sees its map as tokens."""
        return getattr(self.blocks[-1], "flat", False)

    def run(self, x: Tensor, layer: int, record: Record, *, shrink: bool) -> Tensor:
        """Send maps (B, C, height, width) through the blocks."""
        layout = Layout((x[0, 0].numel(),) * len(x), x[0, 0].numel(), x.device)
        return self(x, Context(layout, record=record), layer)

    def forward(self, x: Tensor, context: Context, layer: int) -> Tensor:
        """(B, C, height, width) → (B, D, …)."""
        for block in self.blocks:
            context.layer = layer
            x = block(x, context)
            layer += getattr(block, "attends", False)
        return x


class Pyramid(nn.Module):
    """Images in, maps (B, D, height, width) out."""

    embed: Any  # Patches, or an architecture's own
    stages: list[Stage]
    first = 0  # its first state: 0 is the embedded map, i what stage i made

    def __init__(
        self,
        embed: nn.Module,
        stages: list[Stage],
        norm: nn.Module | None,
        channels: tuple[int, ...],
    ) -> None:
        super().__init__()
        self.embed = embed
        self.stages = nn.ModuleList(stages)  # type: ignore[assignment]
        self.norm = norm
        self.channels = channels  # of the embedded map, then of each stage's

    @property
    def depth(self) -> int:
        """How many stages an image passes."""
        return len(self.stages)

    @property
    def width(self) -> int:
        """D of what comes out."""
        return getattr(self.norm, "width", self.channels[-1])

    @property
    def takes(self) -> tuple[str, ...]:
        """The arguments of a call that it reads."""
        return getattr(self.embed, "takes", ("pixel_values",))

    @property
    def attentions(self) -> int:
        """How many attentions a caller can see."""
        return sum(stage.attentions for stage in self.stages)

    @property
    def maps(self) -> bool:
        """Whether its states are maps, and not the tokens of maps."""
        return isinstance(self.stages[0], MapStage)

    def forward(self, images: Images, record: Record) -> Tensor:
        """Images → the last map, normed; states are kept as the next stage sees them."""
        x, layer = _keep(self.embed(images), 0, record), 0
        for index, stage in enumerate(self.stages):
            x = stage.leave(stage.run(stage.enter(x), layer, record, shrink=True))
            x = _keep(x, index + 1, record)
            layer += stage.attentions
        return x if self.norm is None else self.norm(x)

    def open(self, given: Mapping[str, Any]) -> Inputs:
        """Return the inputs of a call with images, for `read`.

        Raises:
            ArgumentError: there is no image.
        """
        images = Images.of(given)
        layout = Layout((0,) * len(images.pixels), 0, images.pixels.device)
        return Inputs(layout, further={"images": images})

    def read(self, inputs: Inputs, record: Record) -> Tensor:
        """Images → the last map as tokens (N, D), and the states of all maps as packed tokens."""
        x = self(inputs.further["images"], record)
        rows, _, height, width = x.shape
        inputs.layout = Layout((height * width,) * rows, height * width, x.device)
        record.kept_states = {i: _tokens(state) for i, state in record.kept_states.items()}
        return _tokens(x)

    def features(self, images: Images, record: Record) -> None:
        """Keep the maps asked for as each stage leaves them, and go no further than the last."""
        x, layer = _keep(self.embed(images), 0, record), 0
        for index, stage in enumerate(self.stages):
            if max((0, *record.states)) <= index and max((-1, *record.attentions)) < layer:
                return
            x = x if index == 0 else self.stages[index - 1].leave(x)
            x = _keep(stage.run(stage.enter(x), layer, record, shrink=False), index + 1, record)
            layer += stage.attentions


def _tokens(x: Tensor) -> Tensor:
    """(B, D, height, width) → (N, D)."""
    return x.permute(0, 2, 3, 1).flatten(0, 2)


def _keep(x: Tensor, index: int, record: Record) -> Tensor:
    if index in record.states:
        record.kept_states[index] = x
    return x
