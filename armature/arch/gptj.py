"""GPT-J (Wang and Komatsuzaki, 2021): attention and mlp behind one norm, neighbours turn."""

from __future__ import annotations

from armature.arch import SUMMARY, decoder, head_width
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import (
    Attention,
    Block,
    Dense,
    Dropout,
    Interleaved,
    LayerNorm,
    Parallel,
    Stack,
)
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, Spans

DEFAULTS = {
    "vocab_size": 50400,
    "n_positions": 2048,
    "n_embd": 4096,
    "n_layer": 28,
    "n_head": 16,
    "rotary_dim": 64,
    "n_inner": None,
    "activation_function": "gelu_new",
    "resid_pdrop": 0.0,
    "embd_pdrop": 0.0,
    "attn_pdrop": 0.0,
    "layer_norm_epsilon": 1e-5,
    "bos_token_id": 50256,
    "eos_token_id": 50256,
    "tie_word_embeddings": False,
}
SYNONYMS = {
    "hidden_size": "n_embd",
    "max_position_embeddings": "n_positions",
    "num_attention_heads": "n_head",
    "num_hidden_layers": "n_layer",
    "intermediate_size": "n_inner",
    "hidden_act": "activation_function",
}


def spec(c: Config) -> Stack:
    """Return the anatomy.

    Raises:
        ConfigError: more numbers of a head should turn than it has, or an odd count of them.
    """
    norm, width, turned = LayerNorm(c.layer_norm_epsilon), head_width(c), c.rotary_dim
    if not 0 < turned <= width or turned % 2:
        raise ConfigError(
            f"config.json: rotary_dim is {turned}, but should be even and at most {width}, "
            "the width of a head"
        )
    turn = Interleaved(turned, {"rope_theta": 10000.0})
    attention = Attention(
        c.num_attention_heads, width, bias=(False, False), causal=True, rotary=turn
    )
    mlp = Dense(c.n_inner or 4 * c.hidden_size, c.activation_function)
    dropout = Dropout(c.resid_pdrop, c.attn_pdrop)
    return decoder(c, norm, Block(Parallel(norm), attention, mlp), dropout, types=-1)


PREFIX = "transformer"
# fmt: off
NAMES = {
    "embed.token":          "wte",
    "blocks.{i}.attn_norm": "h.{i}.ln_1",
    "blocks.{i}.attn.qkv":  "h.{i}.attn.{q,k,v}_proj",
    "blocks.{i}.attn.out":  "h.{i}.attn.out_proj",
    "blocks.{i}.mlp.up":    "h.{i}.mlp.fc_in",
    "blocks.{i}.mlp.down":  "h.{i}.mlp.fc_out",
    "norm":                 "ln_f",
}
IGNORED = ("attn.bias", "attn.masked_bias", "attn.embed_positions")
UNUSED = (*SUMMARY, "n_positions",  # positions are computed, so they have no end
          "embd_pdrop", "rotary", "scale_attn_weights")

HEADS = {
    "GPTJModel":                     Base(),
    "GPTJForCausalLM":               CausalLM(out="lm_head"),
    "GPTJForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "GPTJForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "gpt2"
