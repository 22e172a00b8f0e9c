"""BLOOM (Scao et al., 2022): slopes instead of positions, norm of embeddings, thirds by head."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from armature.checkpoint.views import Grouped
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import (
    Alibi,
    Attention,
    Block,
    Dense,
    Dropout,
    LayerNorm,
    Own,
    Pre,
    Stack,
    Tokens,
)
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, Spans, TokenClassifier

if TYPE_CHECKING:
    from torch import Tensor

    from armature.layers.context import Context

DEFAULTS = {
    "vocab_size": 250880,
    "hidden_size": 64,
    "n_layer": 2,
    "n_head": 8,
    "layer_norm_epsilon": 1e-5,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "apply_residual_connection_post_layernorm": False,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "pretraining_tp": 1,
    "slow_but_exact": False,
    "classifier_dropout": None,
}
SYNONYMS = {"num_hidden_layers": "n_layer", "num_attention_heads": "n_head"}


def spec(c: Config) -> Stack:
    """Return the anatomy.

    Raises:
        ConfigError: the width cannot be shared evenly by the heads.
    """
    heads, width = c.num_attention_heads, c.get("n_embed") or c.hidden_size
    if not heads or width % heads:
        raise ConfigError(f"config.json: the width {width} is not a multiple of {heads} heads")
    norm = LayerNorm(c.layer_norm_epsilon)
    block = Block(
        Pre(norm), Attention(heads, width // heads, causal=True), Dense(4 * width, "gelu_new")
    )
    normed = c.apply_residual_connection_post_layernorm
    # HF: summed slice by slice as in training, the maps out leave out their biases.
    sliced = c.slow_but_exact and c.pretraining_tp > 1
    own = Own(lambda: _made(block, width, normed=normed, sliced=sliced))
    return Stack(
        embed=Tokens(c.vocab_size, width, norm=norm),
        block=(lambda _index: own) if normed or sliced else block,
        depth=c.num_hidden_layers,
        norm=norm,
        bias=Alibi(),
        dropout=Dropout(c.hidden_dropout, c.attention_dropout),
    )


# ------------------------------------------- its own organs: only building a model needs torch


def _made(plain: Block, width: int, *, normed: bool, sliced: bool) -> Any:
    from armature.model.build import build_block

    made = build_block(plain, width)
    if normed:
        norms = {name: made.get_submodule(name) for name in ("attn_norm", "mlp_norm")}
        made = _normed()(made.attn, made.mlp, norms, None)
    if sliced:
        made.attn.out, made.mlp.down = _unbiased()(width, width), _unbiased()(4 * width, width)
    return made


@cache
def _normed() -> type:
    from armature.model.block import Block as Organs

    class Normed(Organs):
        """Organs add to what their norms yield, so the stream itself is normed."""

        def forward(self, x: Tensor, context: Context) -> Tensor:
            x = self.attn_norm(x)
            x = self.mlp_norm(x + self.dropout(self.attn(x, context)))
            return x + self.dropout(self.mlp(x, context))

    return Normed


@cache
def _unbiased() -> type:
    from armature.layers import linear

    class Unbiased(linear.Linear):
        """A map whose bias is kept, but counts for nothing."""

        def forward(self, input: Tensor) -> Tensor:
            return linear.linear(input, self.weight, 0 * self.bias)

    return Unbiased


PREFIX = "transformer"
# fmt: off
NAMES = {
    "embed.token":          "word_embeddings",
    "embed.norm":           "word_embeddings_layernorm",
    "blocks.{i}.attn_norm": "h.{i}.input_layernorm",
    "blocks.{i}.attn.qkv":  Grouped("h.{i}.self_attention.query_key_value"),
    "blocks.{i}.attn.out":  "h.{i}.self_attention.dense",
    "blocks.{i}.mlp_norm":  "h.{i}.post_attention_layernorm",
    "blocks.{i}.mlp.up":    "h.{i}.mlp.dense_h_to_4h",
    "blocks.{i}.mlp.down":  "h.{i}.mlp.dense_4h_to_h",
    "norm":                 "ln_f",
}
UNUSED = ("n_inner", "offset_alibi", "seq_length", "skip_bias_add", "skip_bias_add_qkv",
          "attention_softmax_in_fp32", "bias_dropout_fusion", "masked_softmax_fusion",
          "unk_token_id")

HEADS = {
    "BloomModel":                     Base(),
    "BloomForCausalLM":               CausalLM(out="lm_head", bias=False),
    "BloomForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "BloomForTokenClassification":    TokenClassifier(out="classifier"),
    "BloomForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "bloom"
