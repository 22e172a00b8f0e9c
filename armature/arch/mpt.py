"""MPT (MosaicML, 2023): pre-norm decoder with slopes instead of positions, without any bias."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from armature.arch import head_width
from armature.checkpoint.views import Joined
from armature.config import Config
from armature.model.spec import (
    Alibi,
    Attention,
    Block,
    Dense,
    Dropout,
    Own,
    Pre,
    Stack,
    Tokens,
    UnbiasedLayerNorm,
)
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, Spans, TokenClassifier

if TYPE_CHECKING:
    from torch import Tensor

DEFAULTS = {
    "d_model": 2048,
    "n_heads": 16,
    "n_layers": 24,
    "expansion_ratio": 4,
    "max_seq_len": 2048,
    "vocab_size": 50368,
    "resid_pdrop": 0.0,
    "layer_norm_epsilon": 1e-5,
    "emb_pdrop": 0.0,
    "learned_pos_emb": True,
    "attn_config": None,
    "init_device": "cpu",
    "logit_scale": None,
    "no_bias": True,
    "embedding_fraction": 1.0,
    "norm_type": "low_precision_layernorm",
    "classifier_dropout": None,
    "hidden_dropout": None,
}
SYNONYMS = {
    "hidden_size": "d_model",
    "num_attention_heads": "n_heads",
    "num_hidden_layers": "n_layers",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    inner = c.part("attn_config", {})
    inner.read_keys.update(inner.data)  # HF: whether and how steeply it slopes is not read
    norm, width = UnbiasedLayerNorm(c.layer_norm_epsilon), c.hidden_size
    scale, clip = inner.get("softmax_scale"), inner.get("clip_qkv")
    plain = Attention(
        c.num_attention_heads, head_width(c), bias=(False, False), scale=scale, causal=True
    )
    attention = Own(lambda: _clipped()(width, plain, clip)) if clip else plain
    dropped = inner.get("attn_pdrop") or 0.0
    return Stack(
        embed=Tokens(c.vocab_size, width),
        block=Block(Pre(norm), attention, Dense(4 * width, "gelu", bias=False)),
        depth=c.num_hidden_layers,
        norm=norm,
        bias=Alibi(),
        dropout=Dropout(dropped, dropped),
    )


# ------------------------------------------- its own organs: only building a model needs torch


@cache
def _clipped() -> type:
    from armature.layers.attention import SelfAttention

    class Clipped(SelfAttention):
        """Attention whose queries, keys and values stay between two numbers."""

        def __init__(self, width: int, plain: Attention, clip: float) -> None:
            super().__init__(
                width,
                plain.heads,
                plain.width,
                kv_heads=plain.heads,
                bias=plain.bias,
                scale=plain.scale,
                causal=True,
            )
            self.clip = clip

        def _projected(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
            q, k, v = (part.clamp(-self.clip, self.clip) for part in super()._projected(x))
            return q, k, v

    return Clipped


PREFIX = "transformer"
# fmt: off
NAMES = {
    "embed.token":          "wte",
    "blocks.{i}.attn_norm": "blocks.{i}.norm_1",
    "blocks.{i}.attn.qkv":  Joined("blocks.{i}.attn.Wqkv"),
    "blocks.{i}.attn.out":  "blocks.{i}.attn.out_proj",
    "blocks.{i}.mlp_norm":  "blocks.{i}.norm_2",
    "blocks.{i}.mlp.up":    "blocks.{i}.ffn.up_proj",
    "blocks.{i}.mlp.down":  "blocks.{i}.ffn.down_proj",
    "norm":                 "norm_f",
}
# HF: slopes have no end, the mlp is four times as wide, and there are no biases, whatever is said.
UNUSED = ("expansion_ratio", "max_seq_len", "learned_pos_emb", "no_bias", "norm_type",
          "logit_scale", "embedding_fraction", "resid_pdrop", "emb_pdrop", "init_device",
          "init_config", "tokenizer_name", "use_norm_bias", "fc_type", "verbose")

HEADS = {
    "MptModel":                     Base(),
    "MptForCausalLM":               CausalLM(out="lm_head", bias=False),
    "MptForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "MptForTokenClassification":    TokenClassifier(out="classifier"),
    "MptForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "gpt_neox"
