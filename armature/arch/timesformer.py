"""TimeSformer (Bertasius et al., 2021): ViT on a video, with attention in time, then in space."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from armature.arch import sides, vit
from armature.checkpoint.views import Joined, View
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Block, Dropout, Own, Stack
from armature.outputs.tasks import Base, ImageClassifier

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from armature.layers.context import Context
    from armature.layers.embed import Inputs

DEFAULTS = {
    key: value
    for key, value in vit.DEFAULTS.items()
    if key not in ("encoder_stride", "pooler_act", "pooler_output_size")
} | {
    "layer_norm_eps": 1e-6,
    "num_frames": 8,
    "attention_type": "divided_space_time",
    "drop_path_rate": 0.0,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    kinds = ("divided_space_time", "space_only", "joint_space_time")
    if c.attention_type not in kinds:
        raise ConfigError(
            f"config.json: attention_type is {c.attention_type!r}, but should be one of "
            f"{', '.join(kinds)}"
        )
    stack = vit.stack(c, Own(lambda: _embed(c)))
    dropout = Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob, c.drop_path_rate)
    plain = stack.block
    assert isinstance(plain, Block)
    if c.attention_type != "divided_space_time":
        return replace(stack, dropout=dropout)
    divided = Own(lambda: _divided()(plain, c.hidden_size))
    return replace(stack, dropout=dropout, block=lambda _index: divided)


def _embed(c: Config) -> Any:
    import torch
    from torch import nn

    from armature.batch import Layout
    from armature.errors import ArgumentError
    from armature.layers.patches import PatchTokens

    (down, across), (height, width) = sides(c.patch_size), sides(c.image_size)
    grid, apart = (height // down, width // across), c.attention_type == "space_only"

    class Frames(PatchTokens):
        """The patches of all frames, place by place, behind one token for the whole video."""

        takes = ("pixel_values",)  # type: ignore[assignment]

        def __init__(self) -> None:
            super().__init__(c.hidden_size, (c.num_channels, down, across), grid)
            self.time = None if apart else nn.Parameter(torch.empty(1, c.num_frames, c.hidden_size))

        def open(self, given: Mapping[str, Any]) -> Inputs:
            """Return the inputs of a call with videos (B, frames, C, height, width).

            Raises:
                ArgumentError: they have another shape.
            """
            videos = given.get("pixel_values")
            if videos is None or videos.dim() != 5:
                raise ArgumentError("give pixel_values: videos (B, frames, C, height, width)")
            inputs = super().open({"pixel_values": videos.flatten(0, 1)})
            inputs.further["frames"] = frames = videos.shape[1]
            if not apart:  # HF: else each frame is a row of its own, also in what comes out
                tokens = 1 + (inputs.layout.width - 1) * frames
                inputs.layout = Layout((tokens,) * len(videos), tokens, videos.device)
            return inputs

        def forward(self, inputs: Inputs) -> Tensor:  # type: ignore[override]
            """Videos → (N, D)."""
            if self.time is None:
                return super().forward(inputs)
            frames, (first, x) = inputs.further["frames"], self.pieces(inputs)
            x = self.dropout(x).unflatten(0, (-1, frames)).transpose(1, 2)  # (B, places, frames, D)
            time = nn.functional.interpolate(self.time.mT, frames).mT
            x = self.dropout(x + time[:, None]).flatten(1, 2)
            return torch.cat((self.dropout(first[: len(x)]), x), 1).flatten(0, 1)

        def _positions(self, table: Tensor, size: torch.Size, **_how: bool) -> Tensor:
            """Return the (1, down, across, D) trained positions of the nearest places."""
            return _nearest(table, grid, size)

    return Frames()


def _nearest(table: Tensor, grid: tuple[int, int], size: torch.Size) -> Tensor:
    """Stretch positions (1, patches, D) of a grid over a map, each to the places nearest to it."""
    import torch

    if table.shape[1] == size[0] * size[1]:
        return table.unflatten(1, tuple(size))
    maps = table.unflatten(1, grid).permute(0, 3, 1, 2)
    return torch.nn.functional.interpolate(maps, tuple(size)).permute(0, 2, 3, 1)


@cache
def _divided() -> type:
    import torch

    from armature.batch import Layout
    from armature.layers.linear import Linear
    from armature.model import build
    from armature.model.block import PreBlock

    class Divided(PreBlock):
        """Attention of each place to itself in other frames, then of each frame to itself."""

        def __init__(self, plain: Block, width: int) -> None:
            inner, further = build.build_block(plain, width), build.build_block(plain, width)
            norms = {name: inner.get_submodule(name) for name in ("attn_norm", "mlp_norm")}
            super().__init__(inner.attn, inner.mlp, norms, None)
            self.time, self.time_norm = further.attn, further.attn_norm
            self.time_out = Linear(width, width)

        def forward(self, x: Tensor, context: Context) -> Tensor:
            """(N, D) → (N, D)."""
            frames = context.shared["frames"]
            x = x.unflatten(0, (context.layout.rows, -1))
            first, rest = x[:, :1], x[:, 1:].unflatten(1, (-1, frames))  # (B, places, frames, D)
            lines = rest.flatten(0, 1)
            found = self._rows(self.time, self.time_norm(lines), replace(context, layer=-1))
            rest = rest + self.time_out(found).view_as(rest)
            images = rest.transpose(1, 2).flatten(0, 1)  # (B · frames, places, D)
            images = torch.cat((first.repeat_interleave(frames, 0), images), 1)
            found = self._rows(self.attn, self.attn_norm(images), context)
            found = found.unflatten(0, (-1, frames))  # (B, frames, 1 + places, D)
            whole = first + found[:, :, 0].mean(1, keepdim=True)
            rest = rest + found[:, :, 1:].transpose(1, 2)
            x = torch.cat((whole, rest.flatten(1, 2)), 1).flatten(0, 1)
            return x + self.kept(self.mlp(self.mlp_norm(x), context), context)

        def _rows(self, organ: Any, x: Tensor, context: Context) -> Tensor:
            """Send rows (R, T, D) through an attention, each a sequence of its own."""
            rows, width = x.shape[:2]
            inside = replace(context, layout=Layout((width,) * rows, width, x.device))
            return self.kept(organ(x.flatten(0, 1), inside), inside).view_as(x)

    return Divided


PREFIX = "timesformer"
# fmt: off
NAMES: dict[str, str | View] = vit.NAMES | {
    "embed.time":           "embeddings.time_embeddings",
    "blocks.{i}.attn.qkv":  Joined("encoder.layer.{i}.attention.attention.qkv"),
    "blocks.{i}.time.qkv":  Joined("encoder.layer.{i}.temporal_attention.attention.qkv"),
    "blocks.{i}.time.out":  "encoder.layer.{i}.temporal_attention.output.dense",
    "blocks.{i}.time_norm": "encoder.layer.{i}.temporal_layernorm",
    "blocks.{i}.time_out":  "encoder.layer.{i}.temporal_dense",
}
UNUSED = ("num_frames",)

HEADS = {
    "TimesformerModel":                  Base(),
    "TimesformerForVideoClassification": ImageClassifier(
        only=("VideoClassification",), pick="first", out="classifier"),
}
# fmt: on
INPUTS = "images"
