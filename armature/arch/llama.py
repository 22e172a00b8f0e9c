"""Llama (Touvron et al., 2023): pre-norm decoder with RMS norms, rotary positions, gated mlps."""

from __future__ import annotations

from armature.arch import decoder, heads, rotary
from armature.config import Config
from armature.model.spec import Attention, Block, Gated, Pre, RMSNorm, Stack
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, Spans, TokenClassifier

DEFAULTS = {
    "vocab_size": 32000,
    "hidden_size": 4096,
    "intermediate_size": 11008,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "hidden_act": "silu",
    "max_position_embeddings": 2048,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "mlp_bias": False,
    "head_dim": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "classifier_dropout": None,
    "hidden_dropout": None,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, biased = RMSNorm(c.rms_norm_eps), (c.attention_bias, c.attention_bias)
    attention = Attention(**heads(c), bias=biased, causal=True, rotary=rotary(c))
    mlp = Gated(c.intermediate_size, c.hidden_act, c.mlp_bias)
    return decoder(c, norm, Block(Pre(norm), attention, mlp))


PREFIX = "model"
# fmt: off
NAMES = {
    "embed.token":            "embed_tokens",
    "blocks.{i}.attn_norm":   "layers.{i}.input_layernorm",
    "blocks.{i}.attn.qkv":    "layers.{i}.self_attn.{q,k,v}_proj",
    "blocks.{i}.attn.out":    "layers.{i}.self_attn.o_proj",
    "blocks.{i}.mlp_norm":    "layers.{i}.post_attention_layernorm",
    "blocks.{i}.mlp.gate_up": "layers.{i}.mlp.{gate,up}_proj",
    "blocks.{i}.mlp.down":    "layers.{i}.mlp.down_proj",
    "norm":                   "norm",
}
IGNORED = ("rotary_emb.inv_freq",)

HEADS = {
    "LlamaModel":                     Base(),
    "LlamaForCausalLM":               CausalLM(out="lm_head", bias=False),
    "LlamaForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "LlamaForTokenClassification":    TokenClassifier(out="score"),
    "LlamaForQuestionAnswering":      Spans(out="qa_outputs", prefix="transformer"),
}
# fmt: on
INPUTS = "llama"
