"""TrOCR (Li et al., 2021): the decoder that writes what an image encoder reads, BART's alone."""

from __future__ import annotations

import math
from typing import Any

from armature.config import Config
from armature.model.spec import (
    Attention,
    Block,
    ClosedSinusoidal,
    Dense,
    Dropout,
    LayerNorm,
    Learned,
    Own,
    Post,
    Stack,
    Tokens,
)
from armature.outputs.tasks import CausalLM

# fmt: off
DEFAULTS = {
    "vocab_size": 50265, "max_position_embeddings": 512, "d_model": 1024,
    "decoder_layers": 12, "decoder_ffn_dim": 4096, "decoder_attention_heads": 16,
    "activation_function": "gelu",
    "dropout": 0.1,
    "attention_dropout": 0.0,
    "init_std": 0.02,
    "scale_embedding": False,
    "use_learned_position_embeddings": True,
    "layernorm_embedding": True,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
    "decoder_start_token_id": 2,
    "cross_attention_hidden_size": None,
}
# fmt: on
SYNONYMS = {
    "hidden_size": "d_model",
    "num_attention_heads": "decoder_attention_heads",
    "num_hidden_layers": "decoder_layers",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    heads, pad = c.decoder_attention_heads, c.pad_token_id
    learned = Learned(c.max_position_embeddings + 2, offset=2)
    waves = ClosedSinusoidal(0, offset=pad + 1, pad=pad)
    return Stack(
        embed=Tokens(
            c.vocab_size,
            c.d_model,
            position=learned if c.use_learned_position_embeddings else waves,
            norm=LayerNorm() if c.layernorm_embedding else None,
            scale=math.sqrt(c.d_model) if c.scale_embedding else 1.0,
        ),
        block=Block(
            Post(LayerNorm()),
            Attention(heads, c.d_model // heads, causal=True),
            Dense(c.decoder_ffn_dim, c.activation_function),
            cross=Own(lambda: _cross(c)),
        ),
        depth=c.decoder_layers,
        dropout=Dropout(c.dropout, c.attention_dropout),
    )


def _cross(c: Config) -> Any:
    from armature.layers.attention import CrossAttention

    heads, seen = c.decoder_attention_heads, c.cross_attention_hidden_size
    width = c.d_model // heads
    return CrossAttention(c.d_model, heads, width, bias=(True, True), memory_width=seen)


PREFIX = "model.decoder"
# fmt: off
NAMES = {
    "embed.token":           "embed_tokens",
    "embed.position":        "embed_positions",
    "embed.norm":            "layernorm_embedding",
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
}
IGNORED = ("embed_positions._float_tensor", "embed_positions.weights")
UNUSED = ("activation_dropout", "decoder_layerdrop", "decoder_start_token_id", "is_decoder",
          "is_encoder_decoder", "classifier_dropout")

HEADS = {"TrOCRForCausalLM": CausalLM(out="output_projection", bias=False, shift=False)}
# fmt: on
INPUTS = "roberta"
