"""CTRL (Keskar et al., 2019): pre-norm decoder of scaled embeddings and computed positions."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from armature.arch import SUMMARY, head_width
from armature.config import Config
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Own, Pre, Stack
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.embed import Inputs

DEFAULTS = {
    "vocab_size": 246534,
    "n_positions": 256,
    "n_embd": 1280,
    "dff": 8192,
    "n_layer": 48,
    "n_head": 16,
    "resid_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "layer_norm_epsilon": 1e-6,
}
SYNONYMS = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
    "intermediate_size": "dff",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    return Stack(
        embed=Own(lambda: _embed()(c)),
        block=Block(
            Pre(LayerNorm(1e-6)),  # whatever the config says: its epsilon is the last norm's
            Attention(c.num_attention_heads, head_width(c), causal=True),
            Dense(c.intermediate_size, "relu"),
        ),
        depth=c.num_hidden_layers,
        norm=LayerNorm(c.layer_norm_epsilon),
        dropout=Dropout(c.resid_pdrop),
    )


# ------------------------------------------- its own organs: only building a model needs torch


@cache
def _embed() -> type:
    import torch

    from armature.layers import embed, position

    class Waves(position.Sinusoidal):
        """Computed positions: the sines of even numbers, then the cosines of odd ones."""

        def _table(self, rows: int) -> Tensor:
            # HF: in float32 throughout, which far positions show.
            powers = 2 * (torch.arange(self.width).float() // 2) / self.width
            angles = torch.arange(rows).float()[:, None] * (1 / torch.pow(10000, powers))
            return torch.cat((angles[:, 0::2].sin(), angles[:, 1::2].cos()), 1)

    class Scaled(embed.Tokens):
        """Embeddings all scaled: of tokens, of segments, and those that a caller gives."""

        def __init__(self, c: Config) -> None:
            super().__init__(c.vocab_size, c.hidden_size, types=-1)
            self.position = Waves(c.max_position_embeddings, c.hidden_size, 0, None)

        def summed(self, inputs: Inputs) -> Tensor:
            x = super().summed(replace(inputs, types=None))
            types = inputs.types
            return x if types is None else x + self.token(types) * self.width**0.5

        def _tokens(self, inputs: Inputs) -> Tensor:
            return super()._tokens(inputs) * self.width**0.5

    return Scaled


PREFIX = "transformer"
# fmt: off
NAMES = {
    "embed.token":          "w",
    "blocks.{i}.attn_norm": "h.{i}.layernorm1",
    "blocks.{i}.attn.qkv":  "h.{i}.multi_head_attention.W{q,k,v}",
    "blocks.{i}.attn.out":  "h.{i}.multi_head_attention.dense",
    "blocks.{i}.mlp_norm":  "h.{i}.layernorm2",
    "blocks.{i}.mlp.up":    "h.{i}.ffn.0",
    "blocks.{i}.mlp.down":  "h.{i}.ffn.2",
    "norm":                 "layernorm",
}
IGNORED = ("pos_encoding",)
UNUSED = (*SUMMARY, "attn_pdrop", "embd_pdrop", "from_tf", "n_ctx")

HEADS = {
    "CTRLModel":                     Base(),
    "CTRLLMHeadModel":               CausalLM(out="lm_head"),
    "CTRLForSequenceClassification": SequenceClassifier(pick="last", out="classifier", bias=False),
}
# fmt: on
INPUTS = "ctrl"
