"""data2vec for images (Baevski et al., 2022): BEiT that learned from states of another network."""

from __future__ import annotations

from armature.arch import beit
from armature.arch._decoded import decoders
from armature.outputs.tasks import Base, ImageClassifier, Segmenter

LIKE = beit

DEFAULTS = {
    key: value
    for key, value in beit.DEFAULTS.items()
    if key not in ("vocab_size", "add_fpn", "out_features", "reshape_hidden_states")
} | {"out_indices": [3, 5, 7, 11]}

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
        make=beit.segmenter,
        names=decoders("convolution", "normalization", beit.neck,
                       pooled="psp_modules.blocks.{j}.conv", gather="psp_bottleneck")),
}
# fmt: on
