"""Queries of masks: each finds the pixels of one thing in a picture."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from armature.config import Config
from armature.layers.norm import LayerNorm
from armature.layers.patches import Convolution
from armature.layers.queries import (
    PackedQueryAttention,
    Perceptron,
    Queries,
    QueryAttention,
    QueryBlock,
    QueryMLP,
)
from armature.layers.waves import image_waves
from armature.model.call import Asked
from armature.model.composite import Composite
from armature.model.pixel_decoder import LEVELS

_MASKS = ("mask_labels", "class_labels", "output_auxiliary_logits")


class Segmenter(Composite):
    """A backbone, a decoder of pixels, and queries that look at what both make of an image."""

    takes = ("pixel_values", "pixel_mask")
    lists = _MASKS
    fields = (
        "encoder_last_hidden_state",
        "pixel_decoder_last_hidden_state",
        "transformer_decoder_last_hidden_state",
        "encoder_hidden_states",
        "pixel_decoder_hidden_states",
        "transformer_decoder_hidden_states",
    )
    backbone: Any
    pixels: nn.Module

    @property
    def stack(self) -> Any:
        """The body that embeds images."""
        return self.backbone.body

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return the fields of the result for a call's arguments, and what heads read beside."""
        maps = self.backbone(given, Asked())["feature_maps"]
        pixels, coarse = self.pixels(maps)
        found = self.look(pixels, maps, coarse)
        found |= {
            "encoder_last_hidden_state": maps[-1],
            "pixel_decoder_last_hidden_state": pixels,
            "encoder_hidden_states": tuple(maps),
            "pixel_decoder_hidden_states": tuple(coarse),
        }
        hidden = [name for name in found if name.endswith(("hidden_states", "intermediate_states"))]
        found["queries"] = found["transformer_decoder_hidden_states"]
        if asked.attentions is None or asked.attentions is False:
            found["attentions"] = None
        for name in hidden if not asked.states else ():
            found[name] = None
        return found

    def look(
        self, pixels: Tensor, maps: tuple[Tensor, ...], coarse: list[Tensor]
    ) -> dict[str, Any]:
        """Let the queries look at maps, and return what they have become."""
        raise NotImplementedError(f"{type(self).__name__} has no queries")


class PlainQueries(Segmenter):
    """Queries look at each other and at the backbone's last map (Cheng et al., 2021)."""

    fields = (*Segmenter.fields, "hidden_states", "attentions")

    def __init__(self, c: Config, backbone: Any, pixels: nn.Module) -> None:
        """Join them; `c` are the settings of the queries."""
        super().__init__()
        self.backbone, self.pixels, self.width = backbone, pixels, c.d_model
        channels = backbone.channels[-1]
        self.project = Convolution(channels, c.d_model, 1) if channels != c.d_model else None
        self.place = Queries(c.num_queries, c.d_model)
        self.blocks = nn.ModuleList(_plain(c) for _ in range(c.decoder_layers))
        self.norm = LayerNorm(c.d_model)
        self.between = bool(c.auxiliary_loss)  # whether the norm stands behind every block

    def look(
        self, pixels: Tensor, maps: tuple[Tensor, ...], coarse: list[Tensor]
    ) -> dict[str, Any]:
        """Let the queries look at the last map."""
        image = maps[-1] if self.project is None else self.project(maps[-1])
        size, memory = image.shape[2:], image.flatten(2).transpose(1, 2)
        waves = image_waves((size[0], size[1]), self.width, memory).flatten(1, 2)
        place = self.place.weight
        x = place.new_zeros(len(memory), *place.shape)
        states, shares = [x], []
        for block in self.blocks:
            x, seen = block(x, place, memory, waves)
            x = self.norm(x) if self.between else x
            states.append(x)
            shares.append(seen["attn"])
        states[-1] = self.norm(x)
        return {
            "transformer_decoder_last_hidden_state": states[-1],
            "transformer_decoder_hidden_states": tuple(states),
            "attentions": tuple(shares),
        }

    def answer(self, given: Mapping[str, Any], asked: Asked) -> dict[str, Any]:
        """Return the fields of the result for a call's arguments, and what heads read beside."""
        found = super().answer(given, asked)
        if asked.states:
            parts = ("encoder", "pixel_decoder", "transformer_decoder")
            found["hidden_states"] = sum((found[f"{one}_hidden_states"] for one in parts), ())
        return found


def _plain(c: Config) -> QueryBlock:
    organs = {
        "attn": QueryAttention(c.d_model, c.decoder_attention_heads),
        "cross": QueryAttention(c.d_model, c.decoder_attention_heads),
        "mlp": QueryMLP(c.d_model, c.decoder_ffn_dim, c.activation_function, c.activation_dropout),
    }
    for name in ("attn", "cross"):
        organs[name].dropout = c.attention_dropout
    return QueryBlock(organs, c.d_model, dropout=c.dropout)


class MaskedQueries(Segmenter):
    """Queries look at maps of three sizes in turn, only where they saw their mask before."""

    fields = (
        *Segmenter.fields,
        "transformer_decoder_intermediate_states",
        "masks_queries_logits",
        "attentions",
    )

    def __init__(self, c: Config, backbone: Any, pixels: nn.Module) -> None:
        """Join them."""
        super().__init__()
        self.backbone, self.pixels, self.width = backbone, pixels, c.hidden_dim
        width, inner = c.hidden_dim, c.feature_size
        self.place = Queries(c.num_queries, width)
        self.query = Queries(c.num_queries, width)
        self.level = Queries(LEVELS, width)
        self.project: nn.ModuleList | None = None
        if inner != width or c.enforce_input_projection:
            self.project = nn.ModuleList(Convolution(inner, width, 1) for _ in range(LEVELS))
        self.blocks = nn.ModuleList(_masked(c) for _ in range(c.decoder_layers - 1))
        self.norm = LayerNorm(width)
        self.mask = Perceptron(width, width, width, c.mask_feature_size)
        self.skipped = float(c.dropout)  # how often a block is left out while training

    def look(
        self, pixels: Tensor, maps: tuple[Tensor, ...], coarse: list[Tensor]
    ) -> dict[str, Any]:
        """Let the queries look at the coarsest maps, again and again."""
        memories, waves = [], []
        for index, image in enumerate(coarse):
            image = image if self.project is None else self.project[index](image)
            memory = image.flatten(2).transpose(1, 2) + self.level.weight[index]
            memories.append(memory)
            size = (image.shape[2], image.shape[3])
            waves.append(image_waves(size, self.width, memory).flatten(1, 2))
        sizes = [image.shape[2:] for image in coarse]
        x = self.query.weight.expand(len(pixels), -1, -1)
        states, normed, masks, shares = [x], [self.norm(x)], [], []
        masks.append(self._masks(normed[0], pixels))
        for index, block in enumerate(self.blocks):
            if self.training and self.skipped and float(torch.rand(())) < self.skipped:
                continue
            level = index % LEVELS
            hidden = _outside(masks[-1], sizes[level])
            x, seen = block(x, self.place.weight, memories[level], waves[level], hidden)
            states.append(x)
            shares.append(seen["attn"])
            normed.append(self.norm(x))
            masks.append(self._masks(normed[-1], pixels))
        turned = tuple(state.transpose(0, 1) for state in states)
        return {
            "transformer_decoder_last_hidden_state": x,
            "transformer_decoder_hidden_states": turned,
            "transformer_decoder_intermediate_states": tuple(y.transpose(0, 1) for y in normed),
            "masks_queries_logits": tuple(masks),
            "attentions": tuple(shares),
            "normed": normed,
        }

    def _masks(self, x: Tensor, pixels: Tensor) -> Tensor:
        """Queries (B, Q, D) and pixels (B, C, height, width) → (B, Q, height, width)."""
        return torch.einsum("bqc,bchw->bqhw", self.mask(x), pixels)


def _outside(masks: Tensor, size: torch.Size) -> Tensor:
    """Return where each query sees nothing of itself, (B, Q, T); it sees all where it has none."""
    small = F.interpolate(masks, size, mode="bilinear", align_corners=False)
    hidden = (small.sigmoid().flatten(2) < 0.5).detach()
    return hidden & ~hidden.all(-1, keepdim=True)


def _masked(c: Config) -> QueryBlock:
    organs = {
        "cross": PackedQueryAttention(c.hidden_dim, c.num_attention_heads),
        "attn": QueryAttention(c.hidden_dim, c.num_attention_heads),
        "mlp": QueryMLP(c.hidden_dim, c.dim_feedforward, c.activation_function, c.dropout),
    }
    for name in ("attn", "cross"):
        organs[name].dropout = c.dropout
    return QueryBlock(organs, c.hidden_dim, pre=c.pre_norm, dropout=c.dropout)
