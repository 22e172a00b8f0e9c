"""LeViT (Graham et al., 2021): convolutions, then attention on maps that shrink between stages."""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.arch import sides
from armature.config import Config
from armature.model.spec import Dropout, Own, Pyramid, Stage
from armature.outputs.tasks import Base, ImageClassifier, TaughtImageClassifier

DEFAULTS = {
    "image_size": 224,
    "num_channels": 3,
    "kernel_size": 3,
    "stride": 2,
    "padding": 1,
    "patch_size": 16,
    "hidden_sizes": [128, 256, 384],
    "num_attention_heads": [4, 8, 12],
    "depths": [4, 4, 4],
    "key_dim": [16, 16, 16],
    "drop_path_rate": 0,
    "mlp_ratio": [2, 2, 2],
    "attention_ratio": [2, 2, 2],
}


def spec(c: Config) -> Pyramid:
    """Return the anatomy; the last blocks of the first two stages halve their maps."""
    stages, side = [], sides(c.image_size)[0] // sides(c.patch_size)[0]
    for index, depth in enumerate(c.depths):
        width, key = c.hidden_sizes[index], c.key_dim[index]
        sizes = (c.num_attention_heads[index], key, c.attention_ratio[index])
        attention = Own(partial(_attention, (width, width), sizes, side, 1))
        mlp = Own(partial(_mlp, width, c.mlp_ratio[index]))
        blocks = (attention, mlp) if c.mlp_ratio[index] > 0 else (attention,)
        down: tuple[Own, ...] = ()
        if index < 2:  # HF: how they halve is no setting
            wide, key = c.hidden_sizes[index + 1], c.key_dim[0]
            sizes = (width // key, key, 4)
            halve = Own(partial(_attention, (width, wide), sizes, side, 2))
            down, side = (halve, Own(partial(_mlp, wide, 2))), (side - 1) // 2 + 1
        stages.append(Stage(blocks * depth + down))
    dropout = Dropout(path=c.drop_path_rate)
    return Pyramid(embed=Own(lambda: _stem(c)), stages=tuple(stages), dropout=dropout)


def _stem(c: Config) -> Any:
    from armature.layers.conv import PaddedConvNorm, Stem

    width = c.hidden_sizes[0]
    sizes = (c.num_channels, width // 8, width // 4, width // 2, width)
    steps = [
        PaddedConvNorm(
            sizes[place],
            sizes[place + 1],
            c.kernel_size,
            (c.padding, c.padding),
            stride=c.stride,
            act="linear" if place == 3 else "hardswish",
        )
        for place in range(4)
    ]
    return Stem(width, *steps)


def _linear(inputs: int, outputs: int) -> Any:
    from torch import Tensor, nn

    from armature.layers.conv import BatchNorm
    from armature.layers.linear import Linear

    class LinearNorm(nn.Module):
        """A linear map without a bias, and its batch norm."""

        def __init__(self) -> None:
            super().__init__()
            self.map, self.norm = Linear(inputs, outputs, bias=False), BatchNorm(outputs)

        def forward(self, x: Tensor) -> Tensor:
            """(B, height, width, C) → (B, height, width, D)."""
            return self.norm(self.map(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)

    return LinearNorm()


def _mlp(width: int, ratio: int) -> Any:
    from torch import Tensor
    from torch.nn import functional as F

    from armature.layers.drop import Skipping

    class Mlp(Skipping):
        """x + down(act(up(x)))."""

        flat = True

        def __init__(self) -> None:
            super().__init__()
            self.width = width
            self.up, self.down = _linear(width, width * ratio), _linear(width * ratio, width)

        def forward(self, x: Tensor, context: Any) -> Tensor:
            """(B, D, height, width) → the same."""
            y = self.down(F.hardswish(self.up(x.permute(0, 2, 3, 1))))
            return x + self.skip(y.permute(0, 3, 1, 2))

    return Mlp()


def _distances(side: int, stride: int) -> list[int]:
    """Return for every pair of places which distance it has, counted as they are met."""
    places = range(0, side, stride)
    met: dict[tuple[int, int], int] = {}
    return [
        met.setdefault((abs(y - down), abs(x - across)), len(met))
        for y in places
        for x in places
        for down in range(side)
        for across in range(side)
    ]


def _attention(widths: tuple[int, int], sizes: tuple[int, int, int], side: int, stride: int) -> Any:
    import torch
    from torch import Tensor, nn
    from torch.nn import functional as F

    from armature.errors import ArgumentError
    from armature.layers.drop import Skipping

    heads, key, ratio = sizes
    width, inner, pairs = widths[1], ratio * key * heads, _distances(side, stride)

    class Attention(Skipping):
        """Attention to a map, biased by distances, of each of its places or of every second."""

        flat = True

        def __init__(self) -> None:
            super().__init__()
            self.width = width
            own = 2 * key * heads if stride == 1 else key * heads
            self.all = _linear(widths[0], inner + own)
            self.some = _linear(widths[0], key * heads) if stride > 1 else None
            self.out = _linear(inner, width)
            self.table = nn.Parameter(torch.empty(heads, 1 + max(pairs)))

        def compute(self, table: Tensor) -> None:
            """Fill fresh biases: there are none yet."""
            table.zero_()

        def forward(self, x: Tensor, context: Any) -> Tensor:
            """(B, C, height, width) → (B, D, …)."""
            if tuple(x.shape[2:]) != (side, side):
                raise ArgumentError(
                    f"these images make maps of {x.shape[2]} × {x.shape[3]} places, but the model "
                    f"has trained biases for {side} × {side}: resize the images"
                )
            rows = x.permute(0, 2, 3, 1)
            both = self.all(rows).flatten(1, 2).unflatten(2, (heads, -1)).transpose(1, 2)
            if self.some is None:
                q, k, v = both.split([key, key, ratio * key], -1)  # (B, H, N, …)
            else:
                k, v = both.split([key, ratio * key], -1)
                q = self.some(rows[:, ::stride, ::stride]).flatten(1, 2)
                q = q.unflatten(2, (heads, key)).transpose(1, 2)
            index = torch.tensor(pairs, device=x.device).view(q.shape[2], -1)
            bias = self.table[:, index]
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None].to(q.dtype))
            high = -(-side // stride)
            y = self.out(F.hardswish(y.transpose(1, 2).flatten(2)).unflatten(1, (high, high)))
            y = y.permute(0, 3, 1, 2)
            return x + self.skip(y) if self.some is None else y

    class Halving(nn.Module):
        """Attention whose result replaces what goes in."""

        flat = True

        def __init__(self) -> None:
            super().__init__()
            self.width, self.inner = width, Attention()

        def forward(self, x: Tensor, context: Any) -> Tensor:
            """(B, C, height, width) → (B, D, height / 2, width / 2)."""
            return self.inner(x, context)

    return Attention() if stride == 1 else Halving()


def _labels(task: Any, c: Config, body: Any) -> Any:
    from torch import Tensor, nn

    from armature.layers.linear import Linear
    from armature.outputs import losses
    from armature.outputs.images import StageHead

    class NormedLinear(nn.Module):
        """A batch norm and a linear map of vectors."""

        def __init__(self) -> None:
            super().__init__()
            self.norm, self.out = nn.BatchNorm1d(body.width), Linear(body.width, c.num_labels)

        def forward(self, x: Tensor) -> Tensor:
            """(B, D) → (B, labels)."""
            return self.out(self.norm(x))

    class Labels(StageHead):
        """Scores of labels by the mean of the last map; a second map may have had a teacher."""

        def __init__(self) -> None:
            super().__init__()
            self.own = NormedLinear()
            self.taught = NormedLinear() if isinstance(task, TaughtImageClassifier) else None
            two = ("logits", "cls_logits", "distillation_logits")
            fields = ("loss", "logits") if self.taught is None else two
            self.fields = (*fields, "hidden_states")

        def forward(self, maps: list[Tensor], labels: Tensor | None) -> dict[str, Any]:
            """Maps (B, C, height, width) of all stages → the fields of the result."""
            x = maps[-1].mean((2, 3))
            own = self.own(x)
            if self.taught is not None:
                taught = self.taught(x)
                both = {"cls_logits": own, "distillation_logits": taught}
                return {"logits": (own + taught) / 2, **both}
            loss = None if labels is None else losses.sequence(own, labels, c.problem_type)
            return {"loss": loss, "logits": own}

    return Labels()


PREFIX = "levit"
_OURS, _THEIRS = "stages.{i}.blocks.{j}", "encoder.stages.{i}.layers.{j}"
_MAPS = {
    f"{_OURS}.all": f"{_THEIRS}.module.queries_keys_values",
    f"{_OURS}.out": f"{_THEIRS}.module.projection",
    f"{_OURS}.up": f"{_THEIRS}.module.linear_up",
    f"{_OURS}.down": f"{_THEIRS}.module.linear_down",
    f"{_OURS}.inner.all": f"{_THEIRS}.keys_values",
    f"{_OURS}.inner.some": f"{_THEIRS}.queries",
    f"{_OURS}.inner.out": f"{_THEIRS}.projection",
}
_STEM = {f"embed.steps.{i}": f"patch_embeddings.embedding_layer_{i + 1}" for i in range(4)}
NAMES = {
    **{f"{ours}.conv": f"{theirs}.convolution" for ours, theirs in _STEM.items()},
    **{f"{ours}.map": f"{theirs}.linear" for ours, theirs in _MAPS.items()},
    **{f"{ours}.norm": f"{theirs}.batch_norm" for ours, theirs in (_STEM | _MAPS).items()},
    f"{_OURS}.table": f"{_THEIRS}.module.attention_biases",
    f"{_OURS}.inner.table": f"{_THEIRS}.attention_biases",
}
IGNORED = ("attention_bias_idxs",)
UNUSED = ("down_ops",)

_OWN = {"head.own.norm": "classifier.batch_norm", "head.own.out": "classifier.linear"}
_TAUGHT = {
    "head.taught.norm": "classifier_distill.batch_norm",
    "head.taught.out": "classifier_distill.linear",
}
HEADS = {
    "LevitModel": Base(pick="mean"),
    "LevitForImageClassification": ImageClassifier(make=_labels, names=_OWN),
    "LevitForImageClassificationWithTeacher": TaughtImageClassifier(
        make=_labels, names=_OWN | _TAUGHT
    ),
}
INPUTS = "images"
