"""BioGPT (Luo et al., 2022): pre-norm decoder of scaled embeddings and trained positions."""

from __future__ import annotations

import math

from armature.arch import decoder, head_width
from armature.config import Config
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Learned, Pre, Stack
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, TokenClassifier

DEFAULTS = {
    "vocab_size": 42384,
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
    "max_position_embeddings": 1024,
    "layer_norm_eps": 1e-12,
    "scale_embedding": True,
    "layerdrop": 0.0,
    "activation_dropout": 0.0,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "classifier_dropout": None,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm = LayerNorm(1e-5)  # HF: whatever layer_norm_eps says
    attention = Attention(c.num_attention_heads, head_width(c), causal=True)
    return decoder(
        c,
        norm,
        Block(Pre(norm), attention, Dense(c.intermediate_size, c.hidden_act)),
        Dropout(c.hidden_dropout_prob, c.attention_probs_dropout_prob),
        position=Learned(c.max_position_embeddings + 2, offset=2),
        scale=math.sqrt(c.hidden_size) if c.scale_embedding else 1.0,
    )


PREFIX = "biogpt"
# fmt: off
NAMES = {
    "embed.token":          "embed_tokens",
    "embed.position":       "embed_positions",
    "blocks.{i}.attn_norm": "layers.{i}.self_attn_layer_norm",
    "blocks.{i}.attn.qkv":  "layers.{i}.self_attn.{q,k,v}_proj",
    "blocks.{i}.attn.out":  "layers.{i}.self_attn.out_proj",
    "blocks.{i}.mlp_norm":  "layers.{i}.final_layer_norm",
    "blocks.{i}.mlp.up":    "layers.{i}.fc1",
    "blocks.{i}.mlp.down":  "layers.{i}.fc2",
    "norm":                 "layer_norm",
}
UNUSED = ("layer_norm_eps", "layerdrop", "activation_dropout")

HEADS = {
    "BioGptModel":                     Base(),
    "BioGptForCausalLM":               CausalLM(out="output_projection", bias=False),
    "BioGptForTokenClassification":    TokenClassifier(out="classifier"),
    "BioGptForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
}
# fmt: on
INPUTS = "biogpt"
