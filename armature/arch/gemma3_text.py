"""Gemma 3 (Gemma Team, 2025): norms around organs and of heads, two kinds of rotations."""

from __future__ import annotations

import math

from armature.arch import decoder, heads, llama, rotary, sees_window
from armature.config import Config
from armature.errors import ConfigError
from armature.kinds import is_whole
from armature.model.spec import Attention, Block, Gated, Rotary, Sandwich, ShiftedRMSNorm, Stack
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier

LIKE = llama
DEFAULTS = {
    "vocab_size": 262208,
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "hidden_activation": "gelu_pytorch_tanh",
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-6,
    "pad_token_id": 0,
    "bos_token_id": 2,
    "eos_token_id": 1,
    "attention_bias": False,
    "attention_dropout": 0.0,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "layer_types": None,
    "final_logit_softcapping": None,
    "use_bidirectional_attention": False,
}
SYNONYMS = {"hidden_act": "hidden_activation"}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, both_sides = ShiftedRMSNorm(c.rms_norm_eps), bool(c.use_bidirectional_attention)
    far, near = _turn(c, "full_attention", 1e6), _turn(c, "sliding_attention", 1e4)
    window, period = c.stated("sliding_window"), c.get("sliding_window_pattern", 6)
    if not is_whole(period) or period < 1:
        raise ConfigError(
            f"config.json: sliding_window_pattern is {period!r}, but should be 1 or more"
        )
    if both_sides and window is not None:
        window = window // 2 + 1  # half of it to each side

    def block(index: int) -> Block:
        narrow = sees_window(c, index, otherwise=(index + 1) % period != 0)
        attention = Attention(
            **heads(c),
            bias=(c.attention_bias, c.attention_bias),
            scale=c.query_pre_attn_scalar**-0.5,
            causal=not both_sides,
            window=window if narrow else None,
            rotary=near if narrow else far,
            norm=norm,
        )
        mlp = Gated(c.intermediate_size, c.hidden_activation, bias=False)
        return Block(Sandwich(norm), attention, mlp)

    return decoder(c, norm, block, scale=math.sqrt(c.hidden_size))


def _turn(c: Config, kind: str, theta: float) -> Rotary:
    """Return the rotations of one kind of layers; scaling in the older spelling is of far ones."""
    tables = c.get("rope_parameters") or {}
    table = (tables.get(kind) if isinstance(tables, dict) else tables) or {"rope_type": "default"}
    far = kind == "full_attention"
    scaling = (c.get("rope_scaling") or {}) if far else {}
    if not isinstance(table, dict) or not isinstance(scaling, dict):
        raise ConfigError(f"config.json: rope_parameters is {tables!r}, but should hold tables")
    older = c.get("rope_theta" if far else "rope_local_base_freq", theta)
    twin = c.copy()
    twin.rope_parameters = {"rope_theta": older} | table | scaling
    turn = rotary(twin)
    c.read_keys.update(twin.read_keys)
    return turn


# fmt: off
NAMES = llama.NAMES | {
    "blocks.{i}.attn.q_norm": "layers.{i}.self_attn.q_norm",
    "blocks.{i}.attn.k_norm": "layers.{i}.self_attn.k_norm",
    "blocks.{i}.attn_post":   "layers.{i}.post_attention_layernorm",
    "blocks.{i}.mlp_norm":    "layers.{i}.pre_feedforward_layernorm",
    "blocks.{i}.mlp_post":    "layers.{i}.post_feedforward_layernorm",
}
# HF: its attention never caps scores; `_sliding_window_pattern` is a note beside `layer_types`.
UNUSED = ("attn_logit_softcapping", "_sliding_window_pattern")

HEADS = {
    "Gemma3TextModel":                     Base(),
    "Gemma3ForCausalLM":                   CausalLM(out="lm_head", bias=False,
                                                    cap="final_logit_softcapping"),
    "Gemma3TextForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
}
# fmt: on
INPUTS = "gemma"
