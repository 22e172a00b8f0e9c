"""Qwen 3 MoE (Qwen Team, 2025): Qwen 3 with routed experts in some layers."""

from __future__ import annotations

from armature.arch import decoder, heads, qwen2_moe, renamed, rotary
from armature.config import Config
from armature.model.spec import Attention, Block, Pre, RMSNorm, Stack
from armature.outputs.tasks import Spans

LIKE = qwen2_moe
DEFAULTS = {
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 24,
    "num_attention_heads": 32,
    "num_key_value_heads": 4,
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "attention_bias": False,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "attention_dropout": 0.0,
    "decoder_sparse_step": 1,
    "moe_intermediate_size": 768,
    "num_experts_per_tok": 8,
    "num_local_experts": 128,
    "norm_topk_prob": False,
    "output_router_logits": False,
    "router_aux_loss_coef": 0.001,
    "mlp_only_layers": (),
}
# Files spell the number of experts in either way.
SYNONYMS = {"num_experts": "num_local_experts"}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, turn = RMSNorm(c.rms_norm_eps), rotary(c)
    window = c.stated("sliding_window")
    attention = Attention(
        **heads(c),
        bias=(c.attention_bias, c.attention_bias),
        causal=True,
        window=window if c.use_sliding_window else None,
        rotary=turn,
        norm=norm,
    )
    return decoder(
        c, norm, lambda index: Block(Pre(norm), attention, qwen2_moe.mlp(c, index, shared=0))
    )


# fmt: off
NAMES = {name: row for name, row in qwen2_moe.NAMES.items() if ".shared" not in name} | {
    "blocks.{i}.attn.q_norm": "layers.{i}.self_attn.q_norm",
    "blocks.{i}.attn.k_norm": "layers.{i}.self_attn.k_norm",
}

HEADS = renamed(qwen2_moe.HEADS, "Qwen2", "Qwen3") | {
    "Qwen3MoeForQuestionAnswering": Spans(out="qa_outputs", prefix="transformer"),
}
# fmt: on
