"""GPT-NeoX (Black et al., 2022): attention and mlp side by side, a part of each head rotary."""

from __future__ import annotations

from armature.arch import decoder, head_width, rotary
from armature.checkpoint.views import Grouped
from armature.config import Config
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, ParallelTwo, Pre, Stack
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, Spans, TokenClassifier

DEFAULTS = {
    "vocab_size": 50432,
    "hidden_size": 6144,
    "num_hidden_layers": 44,
    "num_attention_heads": 64,
    "intermediate_size": 24576,
    "hidden_act": "gelu",
    "attention_dropout": 0.0,
    "hidden_dropout": 0.0,
    "classifier_dropout": 0.1,
    "max_position_embeddings": 2048,
    "layer_norm_eps": 1e-5,
    "bos_token_id": 0,
    "eos_token_id": 2,
    "tie_word_embeddings": False,
    "use_parallel_residual": True,
    "attention_bias": True,
    "rotary_pct": 0.25,
    "rotary_emb_base": 10000.0,
}
SYNONYMS = {"partial_rotary_factor": "rotary_pct", "rope_theta": "rotary_emb_base"}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, biased = LayerNorm(c.layer_norm_eps), (c.attention_bias, c.attention_bias)
    attention = Attention(
        c.num_attention_heads, head_width(c), bias=biased, causal=True, rotary=rotary(c)
    )
    order = ParallelTwo(norm) if c.use_parallel_residual else Pre(norm)
    block = Block(order, attention, Dense(c.intermediate_size, c.hidden_act))
    return decoder(c, norm, block, Dropout(c.hidden_dropout, c.attention_dropout))


PREFIX = "gpt_neox"
# fmt: off
NAMES = {
    "embed.token":          "embed_in",
    "blocks.{i}.attn_norm": "layers.{i}.input_layernorm",
    "blocks.{i}.attn.qkv":  Grouped("layers.{i}.attention.query_key_value"),
    "blocks.{i}.attn.out":  "layers.{i}.attention.dense",
    "blocks.{i}.mlp_norm":  "layers.{i}.post_attention_layernorm",
    "blocks.{i}.mlp.up":    "layers.{i}.mlp.dense_h_to_4h",
    "blocks.{i}.mlp.down":  "layers.{i}.mlp.dense_4h_to_h",
    "norm":                 "final_layer_norm",
}
ALIASES = {"lm_head": "embed_out"}
IGNORED = ("attention.bias", "attention.masked_bias", "rotary_emb.inv_freq")
UNUSED = ("is_decoder", "attention_probs_dropout_prob", "hidden_dropout_prob")

HEADS = {
    "GPTNeoXModel":                     Base(),
    "GPTNeoXForCausalLM":               CausalLM(out="embed_out", bias=False),
    "GPTNeoXForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "GPTNeoXForTokenClassification":    TokenClassifier(out="classifier"),
    "GPTNeoXForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "gpt_neox"
