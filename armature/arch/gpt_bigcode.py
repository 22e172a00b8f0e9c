"""GPTBigCode (Ben Allal et al., 2023): GPT-2 whose heads share one key and value."""

from __future__ import annotations

from armature.arch import SUMMARY, decoder, gpt2, head_width, refuse
from armature.checkpoint.views import Grouped
from armature.config import Config
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Learned, Pre, Stack
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, TokenClassifier

LIKE = gpt2
DEFAULTS = {
    "vocab_size": 50257,
    "n_positions": 1024,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_inner": None,
    "activation_function": "gelu_pytorch_tanh",
    "resid_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "attn_pdrop": 0.1,
    "layer_norm_epsilon": 1e-5,
    "scale_attn_weights": True,
    "bos_token_id": 50256,
    "eos_token_id": 50256,
    "attention_softmax_in_fp32": True,
    "scale_attention_softmax_in_fp32": True,
    "multi_query": True,
    "classifier_dropout": None,
    "hidden_dropout": None,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    refuse(c, add_cross_attention=False)
    norm, width = LayerNorm(c.layer_norm_epsilon), head_width(c)
    attention = Attention(
        c.num_attention_heads,
        width,
        kv_heads=1 if c.multi_query else c.num_attention_heads,
        scale=None if c.scale_attn_weights else 1.0,
        causal=True,
    )
    return decoder(
        c,
        norm,
        Block(Pre(norm), attention, Dense(c.n_inner or 4 * c.n_embd, c.activation_function)),
        Dropout(c.resid_pdrop, c.attn_pdrop),
        position=Learned(c.n_positions),
        types=-1,
    )


# fmt: off
NAMES = {
    "embed.token":          "wte",
    "embed.position":       "wpe",
    "blocks.{i}.attn_norm": "h.{i}.ln_1",
    "blocks.{i}.attn.qkv":  Grouped("h.{i}.attn.c_attn"),
    "blocks.{i}.attn.out":  "h.{i}.attn.c_proj",
    "blocks.{i}.mlp_norm":  "h.{i}.ln_2",
    "blocks.{i}.mlp.up":    "h.{i}.mlp.c_fc",
    "blocks.{i}.mlp.down":  "h.{i}.mlp.c_proj",
    "norm":                 "ln_f",
}
IGNORED = ("attn.bias", "attn.masked_bias", "transformer.bias")
UNUSED = (*SUMMARY, "num_key_value_heads",  # said by multi_query
          "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32", "embd_pdrop",
          "inference_runner", "max_batch_size", "max_sequence_length", "pad_key_length",
          "pre_allocate_kv_cache", "validate_runner_input")

HEADS = {
    "GPTBigCodeModel":                     Base(),
    "GPTBigCodeForCausalLM":               CausalLM(out="lm_head", bias=False),
    "GPTBigCodeForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "GPTBigCodeForTokenClassification":    TokenClassifier(out="classifier"),
}
# fmt: on
