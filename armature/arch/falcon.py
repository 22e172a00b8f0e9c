"""Falcon (Almazrouei et al., 2023), old and new: parallel blocks, shared key-value heads."""

from __future__ import annotations

from dataclasses import replace

from armature.arch import decoder, head_width, rotary
from armature.checkpoint.views import Grouped, View
from armature.config import Config
from armature.model.spec import (
    Attention,
    Block,
    Dense,
    Dropout,
    LayerNorm,
    Parallel,
    ParallelTwo,
    Pre,
    RoundedAlibi,
    Stack,
)
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, Spans, TokenClassifier

DEFAULTS = {
    "vocab_size": 65024,
    "hidden_size": 4544,
    "num_hidden_layers": 32,
    "num_attention_heads": 71,
    "num_ln_in_parallel_attn": None,
    "layer_norm_epsilon": 1e-5,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "num_kv_heads": None,
    "alibi": False,
    "new_decoder_architecture": False,
    "multi_query": True,
    "parallel_attn": True,
    "bias": False,
    "max_position_embeddings": 2048,
    "ffn_hidden_size": None,
    "activation": "gelu",
    "bos_token_id": 11,
    "eos_token_id": 11,
    "classifier_dropout": None,
}
SYNONYMS = {
    "n_embed": "hidden_size",
    "n_head": "num_attention_heads",
    "n_layer": "num_hidden_layers",
    "n_head_kv": "num_kv_heads",
    "intermediate_size": "ffn_hidden_size",
    "hidden_act": "activation",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, heads = LayerNorm(c.layer_norm_epsilon), c.num_attention_heads
    kv_heads = (c.num_kv_heads or heads) if c.new_decoder_architecture or not c.multi_query else 1
    beside = ParallelTwo if _two_norms(c) else Parallel
    order = beside(norm) if c.parallel_attn else Pre(norm)
    attention = Attention(
        heads,
        head_width(c),
        kv_heads=kv_heads,
        bias=(c.bias, c.bias),
        causal=True,
        rotary=None if c.alibi else rotary(c),
    )
    mlp = Dense(c.ffn_hidden_size or 4 * c.hidden_size, c.activation, c.bias)
    dropout = Dropout(c.hidden_dropout, c.attention_dropout)
    stack = decoder(c, norm, Block(order, attention, mlp), dropout)
    return replace(stack, bias=RoundedAlibi()) if c.alibi else stack


def _two_norms(c: Config) -> bool:
    count = c.num_ln_in_parallel_attn
    return c.new_decoder_architecture and (count is None or count == 2)


PREFIX = "transformer"
# fmt: off
NAMES = {
    "embed.token":          "word_embeddings",
    "blocks.{i}.attn_norm": "h.{i}.input_layernorm",
    "blocks.{i}.mlp_norm":  "h.{i}.post_attention_layernorm",
    "blocks.{i}.attn.qkv":  Grouped("h.{i}.self_attention.query_key_value"),
    "blocks.{i}.attn.out":  "h.{i}.self_attention.dense",
    "blocks.{i}.mlp.up":    "h.{i}.mlp.dense_h_to_4h",
    "blocks.{i}.mlp.down":  "h.{i}.mlp.dense_4h_to_h",
    "norm":                 "ln_f",
}


def names(c: Config) -> dict[str, str | View]:
    """Return NAMES; where two norms lie side by side they have names of their own."""
    if c.parallel_attn and _two_norms(c):
        return NAMES | {"blocks.{i}.attn_norm": "h.{i}.ln_attn",
                        "blocks.{i}.mlp_norm": "h.{i}.ln_mlp"}
    return NAMES


IGNORED = ("rotary_emb.inv_freq", "maybe_rotary.inv_freq")
UNUSED = ("apply_residual_connection_post_layernorm",)

HEADS = {
    "FalconModel":                     Base(),
    "FalconForCausalLM":               CausalLM(out="lm_head", bias=False),
    "FalconForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "FalconForTokenClassification":    TokenClassifier(out="classifier"),
    "FalconForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "falcon"
