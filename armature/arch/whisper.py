"""Whisper (Radford et al., 2022): a pre-norm encoder-decoder that writes what half a minute says.

The encoder reads whole pieces of sound, silence too; keys have no bias.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from armature.config import Config
from armature.model.spec import (
    Block,
    Dense,
    Dropout,
    LayerNorm,
    Learned,
    Own,
    Pre,
    Stack,
    Tokens,
    UnbiasedKeys,
    Untied,
)
from armature.outputs.tasks import Base, CausalLM, Scribe, SoundClassifier

# fmt: off
DEFAULTS = {
    "vocab_size": 51865, "num_mel_bins": 80, "d_model": 384,
    "encoder_layers": 4, "encoder_ffn_dim": 1536, "encoder_attention_heads": 6,
    "decoder_layers": 4, "decoder_ffn_dim": 1536, "decoder_attention_heads": 6,
    "max_source_positions": 1500, "max_target_positions": 448,
    "activation_function": "gelu",
    "dropout": 0.0,
    "attention_dropout": 0.0,
    "init_std": 0.02,
    "is_encoder_decoder": True,
    "decoder_start_token_id": 50257,
    "pad_token_id": 50256, "bos_token_id": 50256, "eos_token_id": 50256,
    "suppress_tokens": None,
    "begin_suppress_tokens": [220, 50256],
    "median_filter_width": 7,
    "use_weighted_layer_sum": False,
    "classifier_proj_size": 256,
    "apply_spec_augment": False,
    "mask_time_prob": 0.05, "mask_time_length": 10, "mask_time_min_masks": 2,
    "mask_feature_prob": 0.0, "mask_feature_length": 10, "mask_feature_min_masks": 0,
}
# fmt: on
SYNONYMS = {
    "hidden_size": "d_model",
    "num_attention_heads": "encoder_attention_heads",
    "num_key_value_heads": "encoder_attention_heads",
    "num_hidden_layers": "encoder_layers",
}


def spec(c: Config) -> Untied:
    """Return the anatomy."""
    place = Learned(c.max_target_positions)
    words = Tokens(c.vocab_size, c.d_model, position=place)
    sizes = [(c.num_mel_bins, c.d_model, 3, 1), (c.d_model, c.d_model, 3, 2)]
    time = (c.mask_time_prob, c.mask_time_length, c.mask_time_min_masks)
    bands = (c.mask_feature_prob, c.mask_feature_length, c.mask_feature_min_masks)
    hidden = (time, bands) if c.apply_spec_augment else None
    frames = partial(_frames, sizes, c.max_source_positions, hidden)
    return Untied(_stack(c, "encoder", Own(frames)), _stack(c, "decoder", words))


def _stack(c: Config, half: str, embed: Tokens | Own) -> Stack:
    heads, inner = getattr(c, f"{half}_attention_heads"), getattr(c, f"{half}_ffn_dim")
    decodes = half == "decoder"
    return Stack(
        embed=embed,
        block=Block(
            Pre(LayerNorm()),
            UnbiasedKeys(heads, c.d_model // heads, causal=decodes),
            Dense(inner, c.activation_function),
            cross=UnbiasedKeys(heads, c.d_model // heads) if decodes else None,
        ),
        depth=getattr(c, f"{half}_layers"),
        norm=LayerNorm(),
        dropout=Dropout(c.dropout, c.attention_dropout),
    )


def _frames(sizes: list[tuple[int, int, int, int]], rows: int, hidden: Any) -> Any:
    from armature.layers.frames import WholeFrames
    from armature.layers.spans import Spans

    return WholeFrames(sizes, rows, None if hidden is None else Spans(*hidden))


PREFIX = "model"
# fmt: off
NAMES = {
    "encoder.embed.convs.0":  "encoder.conv1",
    "encoder.embed.convs.1":  "encoder.conv2",
    "encoder.embed.position": "encoder.embed_positions",
    "decoder.embed.token":    "decoder.embed_tokens",
    "decoder.embed.position": "decoder.embed_positions",
} | {
    f"{half}.{ours}": f"{half}.{theirs}" for half in ("encoder", "decoder") for ours, theirs in {
        "blocks.{i}.attn.qkv":   "layers.{i}.self_attn.{q,k,v}_proj",
        "blocks.{i}.attn.out":   "layers.{i}.self_attn.out_proj",
        "blocks.{i}.attn_norm":  "layers.{i}.self_attn_layer_norm",
        "blocks.{i}.cross.q":    "layers.{i}.encoder_attn.q_proj",
        "blocks.{i}.cross.kv":   "layers.{i}.encoder_attn.{k,v}_proj",
        "blocks.{i}.cross.out":  "layers.{i}.encoder_attn.out_proj",
        "blocks.{i}.cross_norm": "layers.{i}.encoder_attn_layer_norm",
        "blocks.{i}.mlp.up":     "layers.{i}.fc1",
        "blocks.{i}.mlp.down":   "layers.{i}.fc2",
        "blocks.{i}.mlp_norm":   "layers.{i}.final_layer_norm",
        "norm":                  "layer_norm",
    }.items()
}
# HF: embeddings have no scale, whatever the config says.
UNUSED = ("scale_embedding", "activation_dropout", "encoder_layerdrop", "decoder_layerdrop",
          "median_filter_width", "use_weighted_layer_sum", "classifier_proj_size",
          "suppress_tokens", "begin_suppress_tokens", "forced_decoder_ids")

HEADS = {
    "WhisperModel":                   Base(),
    "WhisperForConditionalGeneration": Scribe(out="proj_out", bias=False),
    "WhisperForCausalLM":             CausalLM(
        out="proj_out", bias=False, shift=False, half="decoder"),
    "WhisperForAudioClassification":  SoundClassifier(
        blend="layer_weights", dense="projector", out="classifier", half="encoder", prefix="",
        shown=True),  # HF
}
# fmt: on
INPUTS = "whisper"
