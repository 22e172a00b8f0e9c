"""Backbones inside other bodies: images → feature maps of the stages that their settings name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from armature.config import Config
from armature.errors import ConfigError
from armature.model import spec
from armature.model.build import build
from armature.model.call import Asked
from armature.model.composite import Composite
from armature.model.pyramid import Pyramid
from armature.model.stack import Stack
from armature.outputs import tasks
from armature.outputs.images import build_image_head, see, see_tokens


class Backbone(nn.Module):
    """A pyramid or a stack, and what makes feature maps of its states."""

    def __init__(self, anatomy: spec.Body, head: tasks.Backbone, config: Config) -> None:
        """Build it.

        Raises:
            ConfigError: such a body makes no feature maps.
        """
        super().__init__()
        body: Any = build(anatomy)
        if not isinstance(body, Pyramid | Stack):
            raise ConfigError(f"config.json: {config.data.get('model_type')!r} is no backbone")
        if hasattr(body.embed, "learn_mask") and config.get("use_mask_token", False):
            body.embed.learn_mask()
        self.body = body
        make = head.make or build_image_head
        self.maps: Any = make(head, config, body)

    @property
    def channels(self) -> list[int]:
        """C of each map, the finest first."""
        return self.maps.channels

    def forward(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return feature_maps (B, C, height, width), hidden_states and attentions of a call."""
        if isinstance(self.body, Pyramid):
            return see(self.body, self.maps, given, asked)
        inputs, record = self.body.embed.open(given), asked.record(self.body)
        _, found = see_tokens(self.body, self.maps, inputs, record, given)
        return found | asked.seen(self.body, record, inputs.layout)


class OnBackbone(Composite):
    """A backbone alone: what is made of its maps is the business of a head."""

    fields = ("feature_maps", "hidden_states", "attentions")

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone
        self.takes = backbone.body.takes if isinstance(backbone.body, Pyramid) else self.takes

    @property
    def stack(self) -> Any:
        """The body that embeds images."""
        return self.backbone.body

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return the fields of the result for a call's arguments, and what heads read beside."""
        return self.backbone(given, asked)
