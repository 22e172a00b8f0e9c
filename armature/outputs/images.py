"""Images: a pyramid's maps → feature maps of a backbone, pixels of hidden patches, labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from armature.batch import Layout
from armature.config import Config
from armature.errors import ArgumentError, ConfigError
from armature.layers.context import Record
from armature.layers.embed import Inputs
from armature.layers.linear import Linear
from armature.layers.norm import MapLayerNorm
from armature.layers.patches import Convolution, Images
from armature.model import call
from armature.model.pyramid import Pyramid
from armature.model.stack import Stack
from armature.outputs import losses, tasks
from armature.outputs.heads import Given, Sequences, read


class FeatureMaps(nn.Module):
    """The maps of the stages that the config asks for, each perhaps normed."""

    flat = False  # whether hidden states are tokens, although features are maps

    def __init__(self, spec: tasks.Backbone, config: Config, channels: tuple[int, ...]) -> None:
        super().__init__()
        names = ["stem", *(f"stage{index}" for index in range(1, len(channels)))]
        self.every = dict(zip(names, channels, strict=True))
        self.stages = chosen_stages(config, names)  # 0 is the embedded image
        self.names = [names[index] for index in self.stages]
        self.channels = [channels[index] for index in self.stages]
        self.norms = None
        if spec.norms:
            pairs = zip(self.names, self.channels, strict=True)
            eps = float(read(spec.eps, config))
            self.norms = nn.ModuleDict({name: MapLayerNorm(width, eps) for name, width in pairs})

    def forward(self, maps: Mapping[int, Tensor]) -> tuple[Tensor, ...]:
        """Stage → (B, D, height, width) → the maps asked for, in their order."""
        found = [maps[index] for index in self.stages]
        if self.norms is not None:
            pairs = zip(self.norms.values(), found, strict=True)
            found = [norm(x) for norm, x in pairs]
        return tuple(x.contiguous() for x in found)


@dataclass
class Sight:
    """What a stack made of a call with images."""

    stack: Stack
    inputs: Inputs
    states: Mapping[int, Tensor]  # layer → packed (N, D); 0 is the embedded image
    last: Tensor  # (N, D) behind the stack's norm
    given: Mapping[str, Any]  # the call's arguments by name

    def map(self, x: Tensor) -> Tensor:
        """Packed states (N, D) → (B, D, down, across) of the patches alone."""
        return self.stack.embed.map(x, self.inputs)

    def rows(self, x: Tensor) -> Tensor:
        """Packed states (N, D) → (B, T, D)."""
        return self.inputs.layout.unpack(x)


class PatchHead(nn.Module):
    """Base of heads that read for themselves what a stack made of images."""

    layers: tuple[int, ...] = ()  # whose states they read, beside the last ones

    def read(self, sight: Sight) -> dict[str, Any]:
        """Return the fields of the result."""
        raise NotImplementedError(f"{type(self).__name__} does not read anything")


class StageHead(nn.Module):
    """Base of heads that read the maps of all of a pyramid's stages."""

    def forward(self, maps: list[Tensor], labels: Tensor | None) -> dict[str, Any]:
        """Maps (B, C, height, width) → the fields of the result."""
        raise NotImplementedError(f"{type(self).__name__} does not read anything")


class StackMaps(FeatureMaps, PatchHead):
    """The maps of the layers that the config asks for; each layer of a stack is a stage."""

    def __init__(self, spec: tasks.Backbone, config: Config, body: Stack) -> None:
        super().__init__(spec, config, (body.embed.width,) * (body.depth + 1))
        self.layers = tuple(self.stages)
        self.normed = bool(config.get("apply_layernorm", False))
        self.mapped = bool(config.get("reshape_hidden_states", True))

    def read(self, sight: Sight) -> dict[str, Any]:
        """Return feature_maps: (B, D, down, across), or (B, T, D) where they stay rows."""
        norm = sight.stack.norm if self.normed else None
        maps = {}
        for index in self.layers:
            x = sight.states[index] if norm is None else norm(sight.states[index])
            maps[index] = sight.map(x) if self.mapped else sight.rows(x)
        return {"feature_maps": self.forward(maps)}


def chosen_stages(config: Config, names: list[str]) -> list[int]:
    """Return the stages that `out_features` or `out_indices` name; the last where neither does.

    Raises:
        ConfigError: a stage does not exist, comes twice or out of order, or the two disagree.
    """
    asked = {key: config.get(key) for key in ("out_features", "out_indices")}
    found = [[_place(stage, names) for stage in stages] for stages in asked.values() if stages]
    if any(stages != found[0] or stages != sorted(set(stages)) for stages in found):
        said = " and ".join(f"{key}={stages}" for key, stages in asked.items() if stages)
        raise ConfigError(f"{said}: name each stage once, in the order {', '.join(names)}")
    return found[0] if found else [len(names) - 1]


def _place(stage: str | int, names: list[str]) -> int:
    if stage in names:
        return names.index(str(stage))
    if isinstance(stage, int) and -len(names) <= stage < len(names):
        return stage % len(names)
    raise ConfigError(f"there is no stage {stage!r}: there are {', '.join(names)}")


class Pixels(nn.Module):
    """Pixels from the last map: each of its vectors becomes a square of the image."""

    def __init__(self, config: Config, width: int) -> None:
        super().__init__()
        stride, channels = config.encoder_stride, config.num_channels
        self.out = Convolution(width, stride**2 * channels, 1)
        self.spread = nn.PixelShuffle(stride)

    def forward(self, x: Tensor, images: Images, patch: tuple[int, int]) -> dict[str, Any]:
        """Map (B, D, down, across) → loss over hidden patches of a size, reconstruction."""
        made = self.spread(self.out(x))  # (B, C, height, width)
        if images.masked is None:
            return {"reconstruction": made}
        if made.shape != images.pixels.shape:
            raise ArgumentError(
                f"images of {tuple(images.pixels.shape[2:])} pixels cannot be compared with "
                f"reconstructions of {tuple(made.shape[2:])}: give images of that size, or leave "
                "bool_masked_pos out"
            )
        height, width = images.pixels.shape[2:]
        mask = images.masked.unflatten(1, (-(-height // patch[0]), -(-width // patch[1])))
        mask = mask.repeat_interleave(patch[0], 1).repeat_interleave(patch[1], 2)
        loss = losses.pixels(made, images.pixels, mask[:, :height, :width])
        return {"loss": loss, "reconstruction": made}


class Taught(Sequences):
    """Scores of labels (B, labels) by two tokens, the second of which had a teacher."""

    def __init__(
        self, spec: tasks.SequenceHead, config: Config, sizes: tuple[int, int, int]
    ) -> None:
        super().__init__(spec, config, sizes)
        self.teacher = Linear(sizes[0], sizes[2])

    def forward(self, x: Tensor, given: Given) -> dict[str, Tensor | None]:
        """Packed states (N, D) → logits, their mean, and those of each token."""
        first = given.layout.ends[0]
        own, taught = self.score(x[first]), self.teacher(x[first + 1])
        return {
            "logits": (own + taught) / 2,
            "cls_logits": own,
            "distillation_logits": taught,
        }


def build_image_head(
    spec: tasks.Backbone | tasks.MaskedImage | tasks.TaughtImageClassifier,
    config: Config,
    body: Pyramid | Stack,
) -> nn.Module:
    """Build a head that only images have: it reads maps, or two tokens."""
    if isinstance(spec, tasks.TaughtImageClassifier):
        width: Any = body.embed.width
        return Taught(spec, config, (width, width, int(config.num_labels)))
    maps = isinstance(body, Pyramid)
    if isinstance(spec, tasks.Backbone):
        return FeatureMaps(spec, config, body.channels) if maps else StackMaps(spec, config, body)
    body.embed.learn_mask()
    return Pixels(config, body.channels[-1] if maps else body.embed.width)


def see_tokens(
    stack: Stack,
    head: nn.Module | None,
    inputs: Inputs,
    record: Record,
    given: Mapping[str, Any],
) -> tuple[Tensor, dict[str, Any]]:
    """Run a stack on the patches of images, and a head that reads maps.

    Returns:
        The last states, packed (N, D); and the fields of such a head, if it is one.
    """
    if isinstance(head, PatchHead):
        record.states |= frozenset(head.layers)
        x = stack(inputs, record)
        return x, head.read(Sight(stack, inputs, record.kept_states, x, given))
    x = stack(inputs, record)
    if not isinstance(head, Pixels):
        return x, {}
    embed, images = stack.embed, inputs.further["images"]
    return x, head(embed.map(x, inputs), images, embed.patch.kernel_size)


def see(
    body: Pyramid,
    head: nn.Module | None,
    given: Mapping[str, Any],
    asked: call.Asked,
) -> dict[str, Any]:
    """Run a pyramid and its head on a batch of images.

    Args:
        body: the pyramid.
        head: what reads its last map, or all of them; None: nothing does.
        given: the call's arguments by name.
        asked: which hidden states and which attentions the caller wants to see.

    Returns:
        The fields of the result; hidden states as maps, too.

    Raises:
        ArgumentError: there is no image, or its size does not fit.
    """
    images = Images.of(given)
    count = body.depth + 1 - body.first
    states = call.layers(asked.states, count, "output_hidden_states")
    states = tuple(index + body.first for index in states)
    shares = call.layers(asked.attentions, body.attentions, "output_attentions")
    if isinstance(head, FeatureMaps):
        record = call.record((*states, *head.stages), shares)
        body.features(images, record)
        found: dict[str, Any] = {"feature_maps": head(record.kept_states)}
        found["hidden_states"] = maps = _maps(record, states)
        if maps and head.flat:
            found["hidden_states"] = tuple(x.flatten(2).transpose(1, 2) for x in maps)
    else:
        every = range(body.first, body.depth + 1) if isinstance(head, StageHead) else ()
        record = call.record((*states, *every), shares)
        found = _read(body, head, images, record, given.get("labels"))
        found["hidden_states"] = maps = _maps(record, states)
        if maps and not body.maps:
            found["reshaped_hidden_states"] = maps
        if maps:
            pairs = zip(states, maps, strict=True)
            found["hidden_states"] = tuple(_shown(body, index, x) for index, x in pairs)
    found["attentions"] = call.recorded(record.kept_attentions, shares) or None
    return found


def _maps(record: Record, states: tuple[int, ...]) -> tuple[Tensor, ...] | None:
    return call.recorded({i: record.kept_states[i].contiguous() for i in states}, states)


def _read(
    body: Pyramid, head: nn.Module | None, images: Images, record: Record, labels: Tensor | None
) -> dict[str, Any]:
    """Run the body and a head on its last map."""
    x = body(images, record)  # (B, D, height, width)
    if isinstance(head, Pixels):
        return head(x, images, body.embed.patch.kernel_size)
    if isinstance(head, StageHead):
        maps = [record.kept_states[index] for index in range(body.first, body.depth + 1)]
        return head(maps, labels)
    rows, _, height, width = x.shape
    layout = Layout((height * width,) * rows, height * width, x.device)
    tokens = x.permute(0, 2, 3, 1).flatten(0, 2)
    given = Given(layout, labels={} if labels is None else {"labels": labels})
    found = {} if head is None else head(tokens, given)
    return found | {"last_hidden_state": _shown(body, body.depth, x)}


def _shown(body: Pyramid, index: int, x: Tensor) -> Tensor:
    """Return a map (B, D, height, width) as users know it: as tokens (B, N, D), or as it is."""
    flat = body.stages[max(index - 1, 0)].flat
    return x.flatten(2).transpose(1, 2) if flat else x
