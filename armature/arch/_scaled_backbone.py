"""An EfficientNet as a backbone, by the names that timm has for its sizes and its tensors."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

from armature.arch import find
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Dropout

# How much wider and deeper each size is than the first.
# fmt: off
_SCALES = {
    "b0": (1.0, 1.0), "b1": (1.0, 1.1), "b2": (1.1, 1.2), "b3": (1.2, 1.4), "b4": (1.4, 1.8),
    "b5": (1.6, 2.2), "b6": (1.8, 2.6), "b7": (2.0, 3.1), "b8": (2.2, 3.6),
}
# fmt: on


def _settings(c: Config) -> tuple[bool, Config]:
    """Return whether the backbone pads as TensorFlow does, and its settings."""
    named = re.fullmatch(r"(tf_)?efficientnet_(b[0-8])(_[a-z]+)?(\..*)?", str(c.backbone_name))
    if named is None:
        raise ConfigError(
            f"config.json: the backbone {c.backbone_name!r} is not known here\n"
            "  → known: efficientnet_b0 to efficientnet_b8, and the same with tf_ before it"
        )
    wide, deep = _SCALES[named[2]]
    args = dict(c.backbone_args or {})
    settings = {
        "num_channels": c.num_channels,
        "width_coefficient": c.width_coefficient or wide,
        "depth_coefficient": c.depth_coefficient or deep,
        "drop_connect_rate": args.pop("drop_path_rate", 0.0),
        "batch_norm_eps": 1e-3 if named[1] else 1e-5,
        "batch_norm_momentum": 0.1,
    }
    if args:
        raise ConfigError(f"config.json: backbone_args has {', '.join(args)}, not known here")
    words = {"defaults": find("efficientnet").DEFAULTS | settings}
    return bool(named[1]), type("BackboneConfig", (Config,), words)()


def _depths(c: Config) -> list[int]:
    """Return the number of blocks in each stage."""
    inner = _settings(c)[1]
    return [math.ceil(inner.depth_coefficient * one) for one in inner.num_block_repeats]


def backbone(c: Config) -> tuple[Any, tuple[int, ...]]:
    """Build the backbone without what would follow its last block; also tell which maps are read.

    Every block is a stage here; what is read are the last ones before a map shrinks.
    """
    from armature.layers.conv import PaddedConvNorm
    from armature.model.build import build

    padded, inner = _settings(c)
    anatomy = find("efficientnet").spec(inner)
    made: Any = build(replace(anatomy, norm=None, dropout=Dropout(path=inner.drop_connect_rate)))
    for part in made.modules():
        if isinstance(part, PaddedConvNorm) and not padded:  # alike on both sides
            part.pads = (max(part.pads), max(part.pads))
    depths = _depths(c)
    ends = [sum(depths[: stage + 1]) for stage in (0, 1, 2, 4, 6)]
    return made, tuple(ends[index] for index in c.backbone_indices or (2, 3, 4))


def rows(c: Config) -> dict[str, str]:
    """Return the backbone's rows of names: files count its blocks in each stage."""
    found = {
        "pyramid.embed.steps.0.conv": "backbone.conv_stem",
        "pyramid.embed.steps.0.norm": "backbone.bn1",
    }
    places = [(stage, one) for stage, depth in enumerate(_depths(c)) for one in range(depth)]
    for index, (stage, block) in enumerate(places):
        ours, theirs = f"pyramid.stages.{index}.blocks.0.steps", f"backbone.blocks.{stage}.{block}"
        convs = {0: "conv_pw", 1: "conv_dw", 3: "conv_pwl"}
        if stage == 0:  # blocks that do not widen
            convs = {1: "conv_dw", 3: "conv_pw"}
        for number, (step, conv) in enumerate(convs.items(), 1):
            found[f"{ours}.{step}.conv"] = f"{theirs}.{conv}"
            found[f"{ours}.{step}.norm"] = f"{theirs}.bn{number}"
        found[f"{ours}.2.down"] = f"{theirs}.se.conv_reduce"
        found[f"{ours}.2.up"] = f"{theirs}.se.conv_expand"
    return found
