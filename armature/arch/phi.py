"""Phi (Gunasekar et al., 2023): attention and mlp side by side, heads that turn in part."""

from __future__ import annotations

from armature.arch import decoder, heads, rotary
from armature.config import Config
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Parallel, Stack
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, TokenClassifier

DEFAULTS = {
    "vocab_size": 51200,
    "hidden_size": 2048,
    "intermediate_size": 8192,
    "num_hidden_layers": 24,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attention_dropout": 0.0,
    "hidden_act": "gelu_new",
    "max_position_embeddings": 2048,
    "layer_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "partial_rotary_factor": 0.5,
    "qk_layernorm": False,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm = LayerNorm(c.layer_norm_eps)
    normed = norm if c.qk_layernorm else None
    attention = Attention(**heads(c), causal=True, rotary=rotary(c), norm=normed)
    block = Block(Parallel(norm), attention, Dense(c.intermediate_size, c.hidden_act))
    dropout = Dropout(c.resid_pdrop, c.attention_dropout)
    return decoder(c, norm, block, dropout)


PREFIX = "model"
# fmt: off
NAMES = {
    "embed.token":            "embed_tokens",
    "blocks.{i}.attn_norm":   "layers.{i}.input_layernorm",
    "blocks.{i}.attn.qkv":    "layers.{i}.self_attn.{q,k,v}_proj",
    "blocks.{i}.attn.q_norm": "layers.{i}.self_attn.q_layernorm",
    "blocks.{i}.attn.k_norm": "layers.{i}.self_attn.k_layernorm",
    "blocks.{i}.attn.out":    "layers.{i}.self_attn.dense",
    "blocks.{i}.mlp.up":      "layers.{i}.mlp.fc1",
    "blocks.{i}.mlp.down":    "layers.{i}.mlp.fc2",
    "norm":                   "final_layernorm",
}
IGNORED = ("rotary_emb.inv_freq",)
UNUSED = ("embd_pdrop",)

HEADS = {
    "PhiModel":                     Base(),
    "PhiForCausalLM":               CausalLM(out="lm_head"),
    "PhiForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "PhiForTokenClassification":    TokenClassifier(out="score"),
}
# fmt: on
INPUTS = "gpt2"
