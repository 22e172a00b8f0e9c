"""SegFormer (Xie et al., 2021): attention to shrunken maps, without positions, in four stages."""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Dropout, Entered, Own, Stage, Stemless
from armature.outputs.tasks import Base, ImageClassifier, Segmenter

DEFAULTS = {
    "num_channels": 3,
    "num_encoder_blocks": 4,
    "depths": [2, 2, 2, 2],
    "sr_ratios": [8, 4, 2, 1],
    "hidden_sizes": [32, 64, 160, 256],
    "patch_sizes": [7, 3, 3, 3],
    "strides": [4, 2, 2, 2],
    "num_attention_heads": [1, 2, 5, 8],
    "mlp_ratios": [4, 4, 4, 4],
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout_prob": 0.1,
    "drop_path_rate": 0.1,
    "layer_norm_eps": 1e-6,
    "decoder_hidden_size": 256,
    "semantic_loss_ignore_index": 255,
    "reshape_last_stage": True,
}
SYNONYMS = {"num_hidden_layers": "num_encoder_blocks"}


def spec(c: Config) -> Stemless:
    """Return the anatomy: what embeds belongs to the first stage."""
    stages = []
    for index in range(c.num_encoder_blocks):
        depth = c.depths[index]
        inner, end = partial(_block, c, index, last=False), partial(_block, c, index, last=True)
        blocks = (*(Own(inner) for _ in range(depth - 1)), Own(end))
        down = Own(partial(_down, c, index))
        stages.append(Entered(blocks, down) if index else Stage(blocks))
    return Stemless(
        embed=Own(lambda: _stem(c)),
        stages=tuple(stages),
        dropout=Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob, c.drop_path_rate),
    )


def _down(c: Config, index: int) -> Any:
    from torch import nn

    from armature.layers.norm import MapLayerNorm
    from armature.layers.patches import Convolution

    inputs = c.hidden_sizes[index - 1] if index else c.num_channels
    width, side = c.hidden_sizes[index], c.patch_sizes[index]
    conv = Convolution(inputs, width, side, stride=c.strides[index], padding=side // 2)
    return nn.Sequential(conv, MapLayerNorm(width))


def _stem(c: Config) -> Any:
    from armature.layers.conv import Stem

    return Stem(c.hidden_sizes[0], *_down(c, 0))


def _block(c: Config, index: int, *, last: bool) -> Any:
    """Build a block; HF: a last one of all may give its states as tokens, not as a map."""
    from armature.layers.reduced import ReducedBlock

    width, heads = c.hidden_sizes[index], c.num_attention_heads[index]
    if width % heads:
        raise ConfigError(f"config.json: {width} is no multiple of {heads} attention heads")
    inner = int(width * c.mlp_ratios[index])
    block = ReducedBlock(width, heads, c.sr_ratios[index], inner, c.hidden_act, last=last)
    whole = c.get("reshape_last_stage", True) or index < c.num_encoder_blocks - 1
    block.flat = not whole
    return block


def _segments(_spec: Any, c: Config, body: Any) -> Any:
    from armature.layers.conv import ConvNorm
    from armature.layers.patches import Convolution
    from armature.outputs.pixel_classes import ChannelMap, Fused, Segments

    width = c.decoder_hidden_size
    alike: list[Any] = [ChannelMap(channels, width) for channels in body.channels[1:]]
    join = ConvNorm(len(alike) * width, width, act="relu")
    out = Convolution(width, int(c.num_labels), 1)
    net = Fused(alike, join, out, c.classifier_dropout_prob)
    return Segments(net, c.semantic_loss_ignore_index)


PREFIX = "segformer"
# fmt: off
NAMES = {
    "embed.steps.0":     "encoder.patch_embeddings.0.proj",
    "embed.steps.1":     "encoder.patch_embeddings.0.layer_norm",
    "stages.{i}.down.0": "encoder.patch_embeddings.{i}.proj",
    "stages.{i}.down.1": "encoder.patch_embeddings.{i}.layer_norm",
    "stages.{i}.blocks.{j}.attn_norm":   "encoder.block.{i}.{j}.layer_norm_1",
    "stages.{i}.blocks.{j}.attn.q":      "encoder.block.{i}.{j}.attention.self.query",
    "stages.{i}.blocks.{j}.attn.kv":     "encoder.block.{i}.{j}.attention.self.{key,value}",
    "stages.{i}.blocks.{j}.attn.reduce": "encoder.block.{i}.{j}.attention.self.sr",
    "stages.{i}.blocks.{j}.attn.norm":   "encoder.block.{i}.{j}.attention.self.layer_norm",
    "stages.{i}.blocks.{j}.attn.out":    "encoder.block.{i}.{j}.attention.output.dense",
    "stages.{i}.blocks.{j}.mlp_norm":    "encoder.block.{i}.{j}.layer_norm_2",
    "stages.{i}.blocks.{j}.mlp.up":      "encoder.block.{i}.{j}.mlp.dense1",
    "stages.{i}.blocks.{j}.mlp.around":  "encoder.block.{i}.{j}.mlp.dwconv.dwconv",
    "stages.{i}.blocks.{j}.mlp.down":    "encoder.block.{i}.{j}.mlp.dense2",
    "stages.{i}.blocks.{j}.norm":        "encoder.layer_norm.{i}",
}
UNUSED = ("classifier_dropout_prob", "decoder_hidden_size", "layer_norm_eps",
          "semantic_loss_ignore_index")

HEADS = {
    "SegformerModel":                   Base(),
    "SegformerForImageClassification":  ImageClassifier(pick="mean", out="classifier"),
    "SegformerForSemanticSegmentation": Segmenter(make=_segments, names={
        "head.net.alike.{i}":  "decode_head.linear_c.{i}.proj",
        "head.net.join.conv":  "decode_head.linear_fuse",
        "head.net.join.norm":  "decode_head.batch_norm",
        "head.net.out":        "decode_head.classifier",
    }),
}
# fmt: on
INPUTS = "images"
