"""S2T (Wang et al., 2020): BART with norms before organs, its encoder reading sounds."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from armature.arch import bart
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import ClosedSinusoidal, EncoderDecoder, Own, Pre, Untied
from armature.outputs.tasks import Base, Seq2SeqLM

LIKE = bart
# fmt: off
DEFAULTS = {
    "vocab_size": 10000, "d_model": 256,
    "encoder_layers": 12, "encoder_ffn_dim": 2048, "encoder_attention_heads": 4,
    "decoder_layers": 6, "decoder_ffn_dim": 2048, "decoder_attention_heads": 4,
    "activation_function": "relu", "dropout": 0.1, "attention_dropout": 0.0,
    "init_std": 0.02, "scale_embedding": True,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
    "is_encoder_decoder": True, "decoder_start_token_id": 2,
    "max_source_positions": 6000,
    "max_target_positions": 1024,
    "num_conv_layers": 2,
    "conv_kernel_sizes": [5, 5],
    "conv_channels": 1024,
    "input_feat_per_channel": 80,
    "input_channels": 1,
}
# fmt: on


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy."""
    pad = c.pad_token_id
    both = bart.body(c, bart.embed(c, ClosedSinusoidal(0, offset=pad + 1, pad=pad)), Pre)
    return Untied(replace(both.encoder, embed=Own(lambda: _frames(c))), both.decoder)


def _frames(c: Config) -> Any:
    from armature.layers import position
    from armature.layers.frames import GatedFrames

    kernels = c.conv_kernel_sizes
    if len(kernels) != c.num_conv_layers:
        raise ConfigError(
            f"config.json: conv_kernel_sizes names {len(kernels)} convolutions, but "
            f"num_conv_layers is {c.num_conv_layers}\n"
            "  → compare both with the original's config.json"
        )
    inner = [c.conv_channels] * (len(kernels) - 1)
    into = [c.input_feat_per_channel * c.input_channels, *(width // 2 for width in inner)]
    sizes = list(zip(into, [*inner, 2 * c.d_model], kernels, [2] * len(kernels), strict=True))
    scale = math.sqrt(c.d_model) if c.scale_embedding else 1.0
    # HF: the waves count a mask of zeros, none of which differs from a padding id of zero.
    pad = c.pad_token_id
    place = position.ClosedSinusoidal(0, c.d_model, pad + 1, pad) if pad else None
    return GatedFrames(sizes, scale, place)


# fmt: off
NAMES = {ours: theirs for ours, theirs in bart.NAMES.items() if "embed" not in ours} | {
    "encoder.embed.convs.{i}": "encoder.conv.conv_layers.{i}",
    "decoder.embed.token":     "decoder.embed_tokens",
}
COPIES = {}
ALIASES = {}
IGNORED = ("embed_positions.weights",)  # the waves, computed here
UNUSED = (*bart.UNUSED, "max_source_positions", "max_target_positions")  # waves have no end

HEADS = {
    "Speech2TextModel":                    Base(),
    "Speech2TextForConditionalGeneration": Seq2SeqLM(
        out="lm_head", bias=False, only=("SpeechSeq2Seq",)),
}
# fmt: on
INPUTS = "speech_to_text"
