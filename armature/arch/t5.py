"""T5 (Raffel et al., 2019): encoder-decoder with relative biases, RMS norms and no biases."""

from __future__ import annotations

from armature.config import Config
from armature.model.spec import (
    Attention,
    Block,
    Dense,
    Dropout,
    EncoderDecoder,
    Gated,
    OneWay,
    Pre,
    Relative,
    RMSNorm,
    Stack,
    Tokens,
)
from armature.outputs.tasks import Base, Seq2SeqLM, SequenceClassifier, Spans, TokenClassifier

DEFAULTS = {
    "vocab_size": 32128,
    "d_model": 512,
    "d_kv": 64,
    "d_ff": 2048,
    "num_layers": 6,
    "num_decoder_layers": None,
    "num_heads": 8,
    "relative_attention_num_buckets": 32,
    "relative_attention_max_distance": 128,
    "dropout_rate": 0.1,
    "layer_norm_epsilon": 1e-6,
    "initializer_factor": 1.0,
    "feed_forward_proj": "relu",
    "is_encoder_decoder": True,
    "pad_token_id": 0,
    "eos_token_id": 1,
    "decoder_start_token_id": None,
    "classifier_dropout": 0.0,
    "scale_decoder_outputs": None,
}
SYNONYMS = {
    "hidden_size": "d_model",
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "head_dim": "d_kv",
    "intermediate_size": "d_ff",
}


def spec(c: Config) -> EncoderDecoder:
    """Return the anatomy."""
    return EncoderDecoder(_stack(c, c.num_layers), _stack(c, c.num_decoder_layers, causal=True))


def _stack(c: Config, depth: int | None, *, causal: bool = False) -> Stack:
    norm = RMSNorm(c.layer_norm_epsilon)
    attention = Attention(c.num_heads, c.d_kv, bias=(False, False), scale=1.0, causal=causal)
    cross = Attention(c.num_heads, c.d_kv, bias=(False, False), scale=1.0)
    *gated, act = c.feed_forward_proj.split("-")
    if c.feed_forward_proj == "gated-gelu":
        act = "gelu_new"
    kind = Gated if gated == ["gated"] else Dense
    return Stack(
        embed=Tokens(c.vocab_size, c.d_model),
        block=Block(
            Pre(norm), attention, kind(c.d_ff, act, bias=False), cross=cross if causal else None
        ),
        depth=c.num_layers if depth is None else depth,
        norm=norm,
        bias=(OneWay if causal else Relative)(
            c.relative_attention_num_buckets, c.relative_attention_max_distance
        ),
        dropout=Dropout(c.dropout_rate, c.dropout_rate),
    )


def _word_scale(c: Config) -> float:
    """Return 1/√D, unless the file says that its words are scored by a matrix of their own."""
    explicit = c.scale_decoder_outputs
    scaled = c.data.get("tie_word_embeddings") is not False if explicit is None else explicit
    return c.d_model**-0.5 if scaled else 1.0


PREFIX = ""
# fmt: off
NAMES = {
    "encoder.embed.token":          "shared",
    "encoder.bias":                 "encoder.block.0.layer.0.SelfAttention.relative_attention_bias",
    "encoder.blocks.{i}.attn_norm": "encoder.block.{i}.layer.0.layer_norm",
    "encoder.blocks.{i}.attn.qkv":  "encoder.block.{i}.layer.0.SelfAttention.{q,k,v}",
    "encoder.blocks.{i}.attn.out":  "encoder.block.{i}.layer.0.SelfAttention.o",
    "encoder.blocks.{i}.mlp_norm":  "encoder.block.{i}.layer.1.layer_norm",
    "encoder.blocks.{i}.mlp.up":    "encoder.block.{i}.layer.1.DenseReluDense.wi",
    "encoder.blocks.{i}.mlp.gate_up": "encoder.block.{i}.layer.1.DenseReluDense.wi_{0,1}",
    "encoder.blocks.{i}.mlp.down":  "encoder.block.{i}.layer.1.DenseReluDense.wo",
    "encoder.norm":                 "encoder.final_layer_norm",
    "decoder.bias":                 "decoder.block.0.layer.0.SelfAttention.relative_attention_bias",
    "decoder.blocks.{i}.attn_norm": "decoder.block.{i}.layer.0.layer_norm",
    "decoder.blocks.{i}.attn.qkv":  "decoder.block.{i}.layer.0.SelfAttention.{q,k,v}",
    "decoder.blocks.{i}.attn.out":  "decoder.block.{i}.layer.0.SelfAttention.o",
    "decoder.blocks.{i}.cross_norm": "decoder.block.{i}.layer.1.layer_norm",
    "decoder.blocks.{i}.cross.q":   "decoder.block.{i}.layer.1.EncDecAttention.q",
    "decoder.blocks.{i}.cross.kv":  "decoder.block.{i}.layer.1.EncDecAttention.{k,v}",
    "decoder.blocks.{i}.cross.out": "decoder.block.{i}.layer.1.EncDecAttention.o",
    "decoder.blocks.{i}.mlp_norm":  "decoder.block.{i}.layer.2.layer_norm",
    "decoder.blocks.{i}.mlp.up":    "decoder.block.{i}.layer.2.DenseReluDense.wi",
    "decoder.blocks.{i}.mlp.gate_up": "decoder.block.{i}.layer.2.DenseReluDense.wi_{0,1}",
    "decoder.blocks.{i}.mlp.down":  "decoder.block.{i}.layer.2.DenseReluDense.wo",
    "decoder.norm":                 "decoder.final_layer_norm",
}
ALIASES = {"encoder.embed_tokens": "shared", "decoder.embed_tokens": "shared"}
IGNORED = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)
UNUSED = ("dense_act_fn", "is_gated_act", "n_positions")  # said by feed_forward_proj

HEADS = {
    "T5Model":                     Base(),
    "T5EncoderModel":              Base(half="encoder"),
    "T5ForConditionalGeneration":  Seq2SeqLM(out="lm_head", bias=False, scale=_word_scale),
    "T5ForSequenceClassification": SequenceClassifier(
        pick="eos", dense="classification_head.dense", act="tanh",
        out="classification_head.out_proj", dropout="classifier_dropout", prefix="transformer"),
    "T5ForTokenClassification":    TokenClassifier(
        out="classifier", half="encoder", prefix="transformer"),
    "T5ForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "t5"
