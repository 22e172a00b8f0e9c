"""Gemma 2 (Gemma Team, 2024): norms on both sides of organs, capped scores, every other window."""

from __future__ import annotations

import math

from armature.arch import decoder, heads, llama, rotary, sees_window
from armature.config import Config
from armature.model.spec import Attention, Block, Gated, Sandwich, ShiftedRMSNorm, Stack
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, TokenClassifier

LIKE = llama
DEFAULTS = llama.DEFAULTS | {
    "vocab_size": 256000,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 8192,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
    "tie_word_embeddings": True,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "layer_types": None,
    "final_logit_softcapping": 30.0,
    "attn_logit_softcapping": 50.0,
}
SYNONYMS = {"hidden_act": "hidden_activation"}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, turn = ShiftedRMSNorm(c.rms_norm_eps), rotary(c)
    window = c.stated("sliding_window")

    def block(index: int) -> Block:
        attention = Attention(
            **heads(c),
            bias=(c.attention_bias, c.attention_bias),
            scale=c.query_pre_attn_scalar**-0.5,
            causal=True,
            window=window if sees_window(c, index, otherwise=index % 2 == 0) else None,
            rotary=turn,
            cap=c.stated("attn_logit_softcapping"),
        )
        mlp = Gated(c.intermediate_size, c.hidden_activation, bias=False)
        return Block(Sandwich(norm), attention, mlp)

    return decoder(c, norm, block, scale=math.sqrt(c.hidden_size))


# fmt: off
NAMES = llama.NAMES | {
    "blocks.{i}.attn_post": "layers.{i}.post_attention_layernorm",
    "blocks.{i}.mlp_norm":  "layers.{i}.pre_feedforward_layernorm",
    "blocks.{i}.mlp_post":  "layers.{i}.post_feedforward_layernorm",
}
# HF: masks stay causal where a config asks for attention to both sides.
UNUSED = ("use_bidirectional_attention",)

HEADS = {
    "Gemma2Model":                     Base(),
    "Gemma2ForCausalLM":               CausalLM(out="lm_head", bias=False,
                                                cap="final_logit_softcapping"),
    "Gemma2ForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "Gemma2ForTokenClassification":    TokenClassifier(out="score"),
}
# fmt: on
INPUTS = "gemma"
