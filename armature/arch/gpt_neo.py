"""GPT-Neo (Black et al., 2021): like GPT-2, but some blocks see only a window; unscaled scores."""

from __future__ import annotations

from armature.arch import SUMMARY, decoder, head_width
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Learned, Pre, Stack
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, Spans, TokenClassifier

DEFAULTS = {
    "vocab_size": 50257,
    "max_position_embeddings": 2048,
    "hidden_size": 2048,
    "num_layers": 24,
    "attention_types": [[["global", "local"], 12]],
    "attention_layers": ["global", "local"] * 12,
    "num_heads": 16,
    "intermediate_size": None,
    "window_size": 256,
    "activation_function": "gelu_new",
    "resid_dropout": 0.0,
    "embed_dropout": 0.0,
    "attention_dropout": 0.0,
    "classifier_dropout": 0.1,
    "layer_norm_epsilon": 1e-5,
    "bos_token_id": 50256,
    "eos_token_id": 50256,
}
SYNONYMS = {
    "num_attention_heads": "num_heads",
    "num_hidden_layers": "num_layers",
    "hidden_act": "activation_function",
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, width = LayerNorm(c.layer_norm_epsilon), head_width(c)
    local = [kind == "local" for kind in _kinds(c)]
    inner = Dense(c.intermediate_size or 4 * c.hidden_size, c.activation_function)

    def block(index: int) -> Block:
        attention = Attention(
            c.num_attention_heads,
            width,
            bias=(False, True),
            scale=1.0,
            causal=True,
            window=c.window_size if local[index] else None,
        )
        return Block(Pre(norm), attention, inner)

    return decoder(
        c,
        norm,
        block,
        Dropout(c.resid_dropout, c.attention_dropout),
        position=Learned(c.max_position_embeddings),
        types=-1,
    )


def _kinds(c: Config) -> list[str]:
    """Return "global" or "local" for each block: the config tells patterns and how often each is.

    Raises:
        ConfigError: the patterns do not name as many blocks as there are.
    """
    kinds: list[str] = []
    for pattern, times in c.attention_types:
        kinds.extend(list(pattern) * times)
    unknown = set(kinds) - {"global", "local"}
    if unknown or len(kinds) != c.num_hidden_layers:
        raise ConfigError(
            f'config.json: attention_types should name "global" or "local" for '
            f"{c.num_hidden_layers} blocks, but names {kinds}\n"
            "  → compare it with the original's config.json"
        )
    return kinds


PREFIX = "transformer"
# fmt: off
NAMES = {
    "embed.token":          "wte",
    "embed.position":       "wpe",
    "blocks.{i}.attn_norm": "h.{i}.ln_1",
    "blocks.{i}.attn.qkv":  "h.{i}.attn.attention.{q,k,v}_proj",
    "blocks.{i}.attn.out":  "h.{i}.attn.attention.out_proj",
    "blocks.{i}.mlp_norm":  "h.{i}.ln_2",
    "blocks.{i}.mlp.up":    "h.{i}.mlp.c_fc",
    "blocks.{i}.mlp.down":  "h.{i}.mlp.c_proj",
    "norm":                 "ln_f",
}
IGNORED = ("attention.bias", "attention.masked_bias")
UNUSED = (*SUMMARY, "embed_dropout", "attention_layers")  # said by attention_types

HEADS = {
    "GPTNeoModel":                     Base(),
    "GPTNeoForCausalLM":               CausalLM(out="lm_head", bias=False),
    "GPTNeoForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "GPTNeoForTokenClassification":    TokenClassifier(out="classifier"),
    "GPTNeoForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "gpt2"
