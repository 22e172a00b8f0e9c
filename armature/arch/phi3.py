"""Phi-3 (Abdin et al., 2024): Llama whose projections lie fused in files."""

from __future__ import annotations

from armature.arch import decoder, heads, llama, renamed, rotary
from armature.checkpoint.views import Joined
from armature.config import Config
from armature.model.spec import (
    Attention,
    Block,
    Dropout,
    Gated,
    Pre,
    RMSNorm,
    Rotary,
    Stack,
    Switching,
)

LIKE = llama
DEFAULTS = {
    "vocab_size": 32064,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": None,
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 4096,
    "rms_norm_eps": 1e-5,
    "tie_word_embeddings": False,
    "bos_token_id": 1,
    "eos_token_id": 32000,
    "pad_token_id": 32000,
    "sliding_window": None,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm = RMSNorm(c.rms_norm_eps)
    attention = Attention(
        **heads(c), bias=(False, False), causal=True, window=c.sliding_window, rotary=_turn(c)
    )
    mlp = Gated(c.intermediate_size, c.hidden_act, bias=False)
    dropout = Dropout(c.resid_pdrop, c.attention_dropout)
    return decoder(c, norm, Block(Pre(norm), attention, mlp), dropout)


def _turn(c: Config) -> Rotary:
    """Return the rotations: older files have two more names for their scaling."""
    table = c.get("rope_scaling") or c.get("rope_parameters") or {}
    if not isinstance(table, dict):
        return rotary(c)  # says what is wrong
    kind = table.get("rope_type") or table.get("type") or "default"
    twin = c.copy()
    twin.rope_parameters = table | {
        "rope_type": "longrope" if kind in ("su", "yarn") else kind,
        "original_max_position_embeddings": c.original_max_position_embeddings,
    }
    turn = rotary(twin)
    c.read_keys.update(twin.read_keys)
    longer = turn.settings["rope_type"] == "longrope"
    return Switching(turn.width, turn.settings) if longer else turn


# fmt: off
NAMES = llama.NAMES | {
    "blocks.{i}.attn.qkv":    Joined("layers.{i}.self_attn.qkv_proj"),
    "blocks.{i}.mlp.gate_up": Joined("layers.{i}.mlp.gate_up_proj"),
}
UNUSED = ("embd_pdrop",)

HEADS = renamed(llama.HEADS, "Llama", "Phi3", "ForQuestionAnswering")
# fmt: on
