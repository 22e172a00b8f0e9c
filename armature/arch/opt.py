"""OPT (Zhang et al., 2022): decoder with trained positions, counted past two rows kept free."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from armature.arch import head_width
from armature.config import Config
from armature.model.spec import (
    Attention,
    BareLayerNorm,
    Block,
    Counted,
    Dense,
    Dropout,
    LayerNorm,
    Own,
    Post,
    Pre,
    Stack,
    Tokens,
)
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, Spans

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.embed import Inputs

DEFAULTS = {
    "vocab_size": 50272,
    "hidden_size": 768,
    "num_hidden_layers": 12,
    "ffn_dim": 3072,
    "max_position_embeddings": 2048,
    "do_layer_norm_before": True,
    "_remove_final_layer_norm": False,
    "word_embed_proj_dim": None,
    "dropout": 0.1,
    "attention_dropout": 0.0,
    "num_attention_heads": 12,
    "activation_function": "relu",
    "layerdrop": 0.0,
    "init_std": 0.02,
    "pad_token_id": 1,
    "bos_token_id": 2,
    "eos_token_id": 2,
    "enable_bias": True,
    "layer_norm_elementwise_affine": True,
}
SYNONYMS = {"intermediate_size": "ffn_dim", "hidden_act": "activation_function"}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    bias, narrow = c.enable_bias, c.word_embed_proj_dim or c.hidden_size
    norm = LayerNorm() if c.layer_norm_elementwise_affine else BareLayerNorm()
    last = norm if c.do_layer_norm_before and not c._remove_final_layer_norm else None
    positions = Counted(c.max_position_embeddings + 2, offset=2)
    projected = narrow != c.hidden_size
    return Stack(
        embed=Own(lambda: _widened()(c))
        if projected
        else Tokens(c.vocab_size, narrow, position=positions),
        block=Block(
            Pre(norm) if c.do_layer_norm_before else Post(norm),
            Attention(c.num_attention_heads, head_width(c), bias=(bias, bias), causal=True),
            Dense(c.ffn_dim, c.activation_function, bias),
        ),
        depth=c.num_hidden_layers,
        norm=Own(lambda: _narrowed()(c, last)) if projected else last,
        dropout=Dropout(c.dropout, c.attention_dropout),
    )


# ------------------------------------------- its own organs: only building a model needs torch


@cache
def _widened() -> type:
    from armature.layers import embed, linear, position

    class Widened(embed.Tokens):
        """Narrow token embeddings, projected before their positions are added."""

        def __init__(self, c: Config) -> None:
            narrow, wide = c.word_embed_proj_dim, c.hidden_size
            super().__init__(c.vocab_size, narrow)
            self.position = position.Counted(c.max_position_embeddings + 2, wide, 2, None)
            self.widen = linear.Linear(narrow, wide, bias=False)
            self.width = wide

        def _tokens(self, inputs: Inputs) -> Tensor:
            return self.widen(super()._tokens(inputs))

    return Widened


@cache
def _narrowed() -> type:
    from torch import nn

    from armature.layers.linear import Linear
    from armature.model.build import build_norm

    class Narrowed(nn.Module):
        """The last norm, if there is one, and the way back to the width of the embeddings."""

        def __init__(self, c: Config, last: LayerNorm | None) -> None:
            super().__init__()
            self.norm = None if last is None else build_norm(last, c.hidden_size)
            self.project = Linear(c.hidden_size, c.word_embed_proj_dim, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            return self.project(x if self.norm is None else self.norm(x))

    return Narrowed


PREFIX = "model"
# fmt: off
NAMES = {
    "embed.token":          "decoder.embed_tokens",
    "embed.position":       "decoder.embed_positions",
    "embed.widen":          "decoder.project_in",
    "blocks.{i}.attn_norm": "decoder.layers.{i}.self_attn_layer_norm",
    "blocks.{i}.attn.qkv":  "decoder.layers.{i}.self_attn.{q,k,v}_proj",
    "blocks.{i}.attn.out":  "decoder.layers.{i}.self_attn.out_proj",
    "blocks.{i}.mlp_norm":  "decoder.layers.{i}.final_layer_norm",
    "blocks.{i}.mlp.up":    "decoder.layers.{i}.fc1",
    "blocks.{i}.mlp.down":  "decoder.layers.{i}.fc2",
    "norm":                 "decoder.final_layer_norm",
    "norm.norm":            "decoder.final_layer_norm",
    "norm.project":         "decoder.project_out",
}
ALIASES = {"decoder.layer_norm": "decoder.final_layer_norm"}
IGNORED = ("decoder.version",)
UNUSED = ("layerdrop", "activation_dropout", "learned_embeddings", "scale_embeddings")

HEADS = {
    "OPTModel":                     Base(),
    "OPTForCausalLM":               CausalLM(out="lm_head", bias=False),
    "OPTForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "OPTForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "opt"
