"""GPT-2 (Radford et al., 2019): pre-norm decoder with learned positions; weights lie transposed."""

from __future__ import annotations

from armature.arch import SUMMARY, head_width
from armature.checkpoint.views import T
from armature.config import Config
from armature.model.spec import (
    Attention,
    Block,
    Dense,
    Dropout,
    LayerNorm,
    Learned,
    Pre,
    Stack,
    Tokens,
)
from armature.outputs.tasks import (
    Base,
    CausalLM,
    DoubleHeads,
    SequenceClassifier,
    Spans,
    TokenClassifier,
)

DEFAULTS = SUMMARY | {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": None,
    "activation_function": "gelu_new",
    "resid_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "attn_pdrop": 0.1,
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "scale_attn_by_inverse_layer_idx": False,
    "bos_token_id": 50256,
    "eos_token_id": 50256,
    "classifier_dropout": None,
    "hidden_dropout": None,
}
SYNONYMS = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
    "intermediate_size": "n_inner",
    "hidden_act": "activation_function",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, width = LayerNorm(c.layer_norm_epsilon), head_width(c)

    def block(layer: int) -> Block:
        scale = width**-0.5 if c.scale_attn_weights else 1.0
        if c.scale_attn_by_inverse_layer_idx:
            scale /= layer + 1
        return Block(
            Pre(norm),
            Attention(c.n_head, width, scale=scale, causal=True),
            Dense(c.n_inner or 4 * c.n_embd, c.activation_function),
            cross=Attention(c.n_head, width, scale=scale) if c.add_cross_attention else None,
        )

    return Stack(
        embed=Tokens(c.vocab_size, c.n_embd, position=Learned(c.n_positions), types=-1),
        block=block,
        depth=c.n_layer,
        norm=norm,
        dropout=Dropout(c.resid_pdrop, c.attn_pdrop),
    )


PREFIX = "transformer"
# fmt: off
NAMES = {
    "embed.token":          "wte",
    "embed.position":       "wpe",
    "blocks.{i}.attn_norm": "h.{i}.ln_1",
    "blocks.{i}.attn.qkv":  T("h.{i}.attn.c_attn"),
    "blocks.{i}.attn.out":  T("h.{i}.attn.c_proj"),
    "blocks.{i}.cross_norm": "h.{i}.ln_cross_attn",
    "blocks.{i}.cross.q":   T("h.{i}.crossattention.q_attn"),
    "blocks.{i}.cross.kv":  T("h.{i}.crossattention.c_attn"),
    "blocks.{i}.cross.out": T("h.{i}.crossattention.c_proj"),
    "blocks.{i}.mlp_norm":  "h.{i}.ln_2",
    "blocks.{i}.mlp.up":    T("h.{i}.mlp.c_fc"),
    "blocks.{i}.mlp.down":  T("h.{i}.mlp.c_proj"),
    "norm":                 "ln_f",
}
IGNORED = ("attn.bias", "attn.masked_bias")
UNUSED = ("n_ctx", "reorder_and_upcast_attn", "embd_pdrop")

HEADS = {
    "GPT2Model":                     Base(),
    "GPT2LMHeadModel":               CausalLM(out="lm_head", bias=False),
    "GPT2DoubleHeadsModel":          DoubleHeads(out="lm_head", bias=False,
                                                 summary="multiple_choice_head.summary"),
    "GPT2ForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "GPT2ForTokenClassification":    TokenClassifier(out="classifier"),
    "GPT2ForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "gpt2"
