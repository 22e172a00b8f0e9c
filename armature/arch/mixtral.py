"""Mixtral (Jiang et al., 2024): Llama with routed experts and a sliding window."""

from __future__ import annotations

from armature.arch import decoder, heads, llama, renamed, rotary
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Attention, Block, MoE, Pre, RMSNorm, Stack
from armature.outputs.tasks import Spans

LIKE = llama
DEFAULTS = llama.DEFAULTS | {
    "intermediate_size": 14336,
    "num_key_value_heads": 8,
    "max_position_embeddings": 131072,
    "rms_norm_eps": 1e-5,
    "sliding_window": None,
    "num_experts_per_tok": 2,
    "num_local_experts": 8,
    "output_router_logits": False,
    "router_aux_loss_coef": 0.001,
}
SYNONYMS = {"num_experts": "num_local_experts"}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    experts, top = c.num_local_experts, c.num_experts_per_tok
    if top > experts:
        raise ConfigError(
            f"config.json: each token goes to {top} experts, but there are {experts}\n"
            "  → compare both with the original's config.json"
        )
    norm, turn = RMSNorm(c.rms_norm_eps), rotary(c, default_theta=1e6)
    attention = Attention(
        **heads(c), bias=(False, False), causal=True, window=c.sliding_window, rotary=turn
    )
    mlp = MoE(c.intermediate_size, c.hidden_act, bias=False, experts=experts, top=top)
    return decoder(c, norm, Block(Pre(norm), attention, mlp))


# fmt: off
NAMES = {name: row for name, row in llama.NAMES.items() if ".mlp." not in name} | {
    "blocks.{i}.mlp.router":          "layers.{i}.block_sparse_moe.gate",
    "blocks.{i}.mlp.experts.gate_up": "layers.{i}.block_sparse_moe.experts.{e}.w{1,3}",
    "blocks.{i}.mlp.experts.down":    "layers.{i}.block_sparse_moe.experts.{e}.w2",
}
UNUSED = ("router_jitter_noise",)

HEADS = renamed(llama.HEADS, "Llama", "Mixtral") | {
    "MixtralForQuestionAnswering": Spans(out="qa_outputs"),
}
# fmt: on
