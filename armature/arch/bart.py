"""BART (Lewis et al., 2019): post-norm encoder-decoder whose positions begin at row 2."""

from __future__ import annotations

import math

from armature.config import Config
from armature.model.spec import (
    Attention,
    Block,
    Dense,
    Dropout,
    EncoderDecoder,
    LayerNorm,
    Learned,
    Post,
    Pre,
    Stack,
    Tokens,
    Untied,
)
from armature.outputs.tasks import Base, CausalLM, Seq2SeqLM, SequenceClassifier, Spans

# fmt: off
DEFAULTS = {
    "vocab_size": 50265, "max_position_embeddings": 1024, "d_model": 1024,
    "encoder_layers": 12, "encoder_ffn_dim": 4096, "encoder_attention_heads": 16,
    "decoder_layers": 12, "decoder_ffn_dim": 4096, "decoder_attention_heads": 16,
    "activation_function": "gelu",
    "dropout": 0.1,
    "attention_dropout": 0.0,
    "classifier_dropout": 0.0,
    "init_std": 0.02,
    "scale_embedding": False,
    "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2,
    "is_encoder_decoder": True,
    "decoder_start_token_id": 2,
    "forced_eos_token_id": 2,
    "num_labels": 3,
}
# fmt: on
SYNONYMS = {
    "hidden_size": "d_model",
    "num_attention_heads": "encoder_attention_heads",
    "num_hidden_layers": "encoder_layers",
    "hidden_act": "activation_function",
}


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy."""
    place = Learned(c.max_position_embeddings + 2, offset=2)
    return body(c, embed(c, place, norm=LayerNorm()), Post)


def embed(c: Config, place: Learned, norm: LayerNorm | None = None) -> Tokens:
    """Return the embeddings of either half."""
    scale = math.sqrt(c.d_model) if c.scale_embedding else 1.0
    return Tokens(c.vocab_size, c.d_model, position=place, norm=norm, scale=scale)


def body(c: Config, tokens: Tokens, order: type[Pre]) -> EncoderDecoder:
    """Return two stacks alike; a norm before each organ wants another one at the end."""
    kind = EncoderDecoder if c.tie_word_embeddings else Untied
    return kind(_stack(c, tokens, order, "encoder"), _stack(c, tokens, order, "decoder"))


def _stack(c: Config, tokens: Tokens, order: type[Pre], half: str) -> Stack:
    heads, inner = getattr(c, f"{half}_attention_heads"), getattr(c, f"{half}_ffn_dim")
    cross = Attention(heads, c.d_model // heads)
    decodes = half == "decoder"
    return Stack(
        embed=tokens,
        block=Block(
            order(LayerNorm()),
            Attention(heads, c.d_model // heads, causal=decodes),
            Dense(inner, c.activation_function),
            cross=cross if decodes else None,
        ),
        depth=getattr(c, f"{half}_layers"),
        norm=LayerNorm() if order is Pre else None,
        dropout=Dropout(c.dropout, c.attention_dropout),
    )


PREFIX = "model"
# fmt: off
_HALF = {
    "embed.position":        "embed_positions",
    "embed.norm":            "layernorm_embedding",
    "blocks.{i}.attn.qkv":   "layers.{i}.self_attn.{q,k,v}_proj",
    "blocks.{i}.attn.out":   "layers.{i}.self_attn.out_proj",
    "blocks.{i}.attn_norm":  "layers.{i}.self_attn_layer_norm",
    "blocks.{i}.cross.q":    "layers.{i}.encoder_attn.q_proj",
    "blocks.{i}.cross.kv":   "layers.{i}.encoder_attn.{k,v}_proj",
    "blocks.{i}.cross.out":  "layers.{i}.encoder_attn.out_proj",
    "blocks.{i}.cross_norm": "layers.{i}.encoder_attn_layer_norm",
    "blocks.{i}.mlp.up":     "layers.{i}.fc1",
    "blocks.{i}.mlp.down":   "layers.{i}.fc2",
    "blocks.{i}.mlp_norm":   "layers.{i}.final_layer_norm",
    "norm":                  "layer_norm",
}
NAMES = {"encoder.embed.token": "shared"} | {
    f"{half}.{ours}": f"{half}.{theirs}"
    for half in ("encoder", "decoder") for ours, theirs in _HALF.items()
}


def names(c: Config) -> dict[str, str]:
    """Return NAMES; where nothing is tied, each half has a table of tokens of its own."""
    if c.tie_word_embeddings:
        return NAMES
    return NAMES | {"encoder.embed.token": "encoder.embed_tokens",
                    "decoder.embed.token": "decoder.embed_tokens"}


# HF: beside the tables of the halves, an untied file holds a third one that nothing reads.
COPIES = {"encoder.embed_tokens.weight": "shared.weight"}
ALIASES = {"encoder.embed_tokens": "shared", "decoder.embed_tokens": "shared"}
UNUSED = ("activation_dropout", "encoder_layerdrop", "decoder_layerdrop", "classif_dropout",
          "forced_eos_token_id", "forced_bos_token_id", "add_bias_logits", "add_final_layer_norm",
          "normalize_before", "normalize_embedding", "static_position_embeddings",
          "extra_pos_embeddings", "force_bos_token_to_be_generated", "gradient_checkpointing")

HEADS = {
    "BartModel":                     Base(),
    "BartForConditionalGeneration":  Seq2SeqLM(out="lm_head", bias=False, also=("MaskedLM",),
                                               names={"head.shift": "final_logits_bias"}),
    "BartForSequenceClassification": SequenceClassifier(
        pick="eos", dense="classification_head.dense", act="tanh",
        out="classification_head.out_proj", dropout="classifier_dropout"),
    "BartForQuestionAnswering":      Spans(out="qa_outputs"),
    "BartForCausalLM":               CausalLM(
        out="lm_head", bias=False, shift=False, half="decoder",
        names={"decoder.embed.token": "model.decoder.embed_tokens"}),
}
# fmt: on
INPUTS = "bart"
