"""data2vec for images (Baevski et al., 2022): BEiT that learned from states of another network."""

from __future__ import annotations

from typing import Any

from armature.arch import beit
from armature.arch._decoded import decoders
from armature.config import Config
from armature.errors import ConfigError
from armature.outputs.tasks import Base, Head, ImageClassifier, Segmenter

LIKE = beit

DEFAULTS = {
    key: value
    for key, value in beit.DEFAULTS.items()
    if key not in ("vocab_size", "add_fpn", "out_features", "reshape_hidden_states")
} | {"out_indices": [3, 5, 7, 11]}


def _segmenter(_spec: Head, c: Config, body: Any) -> Any:
    """Return the head that gives each pixel a class."""
    from armature.outputs.pixel_classes import LayersClasses

    # HF: the states stay in their order, counted from one; what counts otherwise names none.
    chosen = tuple(index - 1 for index in range(1, body.depth + 2) if index in beit.four(c))
    if len(chosen) < 3:
        raise ConfigError(f"config.json: out_indices is {beit.four(c)}, but layers count from 1")
    return LayersClasses(c, chosen, c.semantic_loss_ignore_index)


PREFIX = "data2vec_vision"
# fmt: off
ALIASES = {
    "psp_modules.{j}.1.conv": "psp_modules.blocks.{j}.conv.convolution",
    "psp_modules.{j}.1.bn": "psp_modules.blocks.{j}.conv.normalization",
    "decode_head.bottleneck": "decode_head.psp_bottleneck",
    "conv.weight": "convolution.weight",
    "bn": "normalization",
}
HEADS = {
    "Data2VecVisionModel":                   Base(),
    "Data2VecVisionForImageClassification":  ImageClassifier(
        pick="patches", norm="data2vec_vision.pooler.layernorm", gate="use_mean_pooling",
        out="classifier"),
    "Data2VecVisionForSemanticSegmentation": Segmenter(
        make=_segmenter,
        names=decoders("convolution", "normalization", beit.neck,
                       pooled="psp_modules.blocks.{j}.conv", gather="psp_bottleneck")),
}
# fmt: on
