"""A pyramid: patches of images, stages of blocks on ever coarser maps, a norm."""

from __future__ import annotations

from torch import Tensor, nn

from armature.batch import Layout
from armature.layers.context import Context, Record
from armature.layers.patches import Images, Patches
from armature.layers.windows import Grid


class Stage(nn.Module):
    """Blocks of one resolution, and what halves it afterwards."""

    def __init__(self, blocks: list[nn.Module], down: nn.Module | None) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.down = down

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, D) → (N, D), the patches of all maps end to end."""
        last, stage = len(self.blocks) - 1, context.layer
        for index, block in enumerate(self.blocks):
            context.layer = stage if index == last else -1  # the last block's attention is kept
            x = block(x, context)
        return x

    def halve(self, x: Tensor) -> Tensor:
        """(B, D, height, width) → the next stage's map; the same one after the last stage."""
        return x if self.down is None else self.down(x)


class Pyramid(nn.Module):
    """Images in, maps (B, D, height, width) out."""

    stages: list[Stage]

    def __init__(
        self,
        embed: Patches,
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
    def takes(self) -> tuple[str, ...]:
        """The arguments of a call that it reads."""
        return self.embed.takes

    def forward(self, images: Images, record: Record) -> Tensor:
        """Images → the last map, normed; states are kept as the next stage sees them."""
        x = _keep(self.embed(images), 0, record)
        for index, stage in enumerate(self.stages):
            x = stage.halve(_run(stage, x, index, record))
            x = _keep(x, index + 1, record)
        return x if self.norm is None else self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)

    def features(self, images: Images, record: Record) -> None:
        """Keep the maps asked for as each stage leaves them, and go no further than the last."""
        end = max({*record.states, *(stage + 1 for stage in record.attentions)}, default=0)
        x = _keep(self.embed(images), 0, record)
        for index, stage in enumerate(self.stages[:end]):
            x = x if index == 0 else self.stages[index - 1].halve(x)
            x = _keep(_run(stage, x, index, record, shrink=False), index + 1, record)


def _run(stage: Stage, x: Tensor, index: int, record: Record, *, shrink: bool = True) -> Tensor:
    """Send maps (B, D, height, width) through a stage's blocks."""
    rows, _, height, width = x.shape
    layout = Layout((height * width,) * rows, height * width, x.device)
    context = Context(layout, record=record, layer=index, grid=Grid(height, width, shrink))
    tokens = stage(x.permute(0, 2, 3, 1).flatten(0, 2), context)
    return tokens.unflatten(0, (rows, height, width)).permute(0, 3, 1, 2)


def _keep(x: Tensor, index: int, record: Record) -> Tensor:
    if index in record.states:
        record.kept_states[index] = x
    return x
