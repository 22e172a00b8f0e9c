"""StarCoder 2 (Lozhkov et al., 2024): rotary decoder of code with biases, layer norms, a window."""

from __future__ import annotations

from armature.arch import decoder, heads, llama, renamed, rotary
from armature.config import Config
from armature.model.spec import Attention, Block, Dense, Dropout, LayerNorm, Pre, Stack

LIKE = llama
DEFAULTS = {
    "vocab_size": 49152,
    "hidden_size": 3072,
    "intermediate_size": 12288,
    "num_hidden_layers": 30,
    "num_attention_heads": 24,
    "num_key_value_heads": 2,
    "hidden_act": "gelu_pytorch_tanh",
    "max_position_embeddings": 4096,
    "initializer_range": 0.018042,
    "norm_epsilon": 1e-5,
    "bos_token_id": 50256,
    "eos_token_id": 50256,
    "sliding_window": None,
    "attention_dropout": 0.0,
    "residual_dropout": 0.0,
    "embedding_dropout": 0.0,
    "use_bias": True,
}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, biased = LayerNorm(c.norm_epsilon), (c.use_bias, c.use_bias)
    attention = Attention(
        **heads(c), bias=biased, causal=True, window=c.sliding_window, rotary=rotary(c)
    )
    mlp = Dense(c.intermediate_size, c.hidden_act, c.use_bias)
    dropout = Dropout(c.residual_dropout, c.attention_dropout)
    return decoder(c, norm, Block(Pre(norm), attention, mlp), dropout)


# fmt: off
NAMES = {name: row for name, row in llama.NAMES.items() if ".mlp." not in name} | {
    "blocks.{i}.mlp.up":   "layers.{i}.mlp.c_fc",
    "blocks.{i}.mlp.down": "layers.{i}.mlp.c_proj",
}
UNUSED = ("embedding_dropout",)

HEADS = renamed(llama.HEADS, "Llama", "Starcoder2", "ForQuestionAnswering")
# fmt: on
INPUTS = "gpt2"
