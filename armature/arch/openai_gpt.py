"""GPT (Radford et al., 2018): post-norm decoder with learned positions; weights lie transposed."""

from __future__ import annotations

from armature.arch import SUMMARY, decoder, gpt2, head_width
from armature.config import Config
from armature.errors import ConfigError, nearest
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Learned, Post, Stack
from armature.outputs.tasks import Base, CausalLM, DoubleHeads, SequenceClassifier

DEFAULTS = SUMMARY | {
    "vocab_size": 40478,
    "n_positions": 512,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "afn": "gelu",
    "resid_pdrop": 0.1,
    "embd_pdrop": 0.1,
    "attn_pdrop": 0.1,
    "layer_norm_epsilon": 1e-5,
}
SYNONYMS = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
    "hidden_act": "afn",
}

# What its settings call the activations: its gelu is the one by tanh.
_ACTS = {"relu": "relu", "silu": "silu", "swish": "silu", "gelu": "gelu_new"}


def spec(c: Config) -> Stack:
    """Return the anatomy.

    Raises:
        ConfigError: the config asks for an activation that GPT does not have.
    """
    if c.afn not in _ACTS:
        raise ConfigError(f"config.json: afn is {c.afn!r}.{nearest(str(c.afn), _ACTS)}")
    attention = Attention(c.num_attention_heads, head_width(c), causal=True)
    mlp = Dense(4 * c.hidden_size, _ACTS[c.afn])
    return decoder(
        c,
        None,
        Block(Post(LayerNorm(c.layer_norm_epsilon)), attention, mlp),
        Dropout(c.resid_pdrop, c.attn_pdrop),
        position=Learned(c.max_position_embeddings),
        types=-1,
    )


PREFIX = "transformer"
NAMES = {name: row for name, row in gpt2.NAMES.items() if name.startswith("blocks")} | {
    "embed.token": "tokens_embed",
    "embed.position": "positions_embed",
}
IGNORED = ("attn.bias", "position_ids")
UNUSED = ("n_ctx", "n_special", "predict_special_tokens", "embd_pdrop")

HEADS = {
    "OpenAIGPTModel": Base(),
    "OpenAIGPTLMHeadModel": CausalLM(out="lm_head", bias=False),
    "OpenAIGPTDoubleHeadsModel": DoubleHeads(
        out="lm_head", bias=False, summary="multiple_choice_head.summary"
    ),
    "OpenAIGPTForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
}
INPUTS = "openai-gpt"
