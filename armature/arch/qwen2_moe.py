"""Qwen 2 MoE (Qwen Team, 2024): Qwen 2 with routed experts, and one that all tokens go through."""

from __future__ import annotations

from armature.arch import decoder, heads, rotary, sees_window
from armature.config import Config
from armature.errors import ConfigError
from armature.model.spec import Attention, Block, Gated, MoE, PlainMoE, Pre, RMSNorm, Stack
from armature.outputs.tasks import Base, CausalLM, SequenceClassifier, Spans, TokenClassifier

DEFAULTS = {
    "vocab_size": 151936,
    "hidden_size": 2048,
    "intermediate_size": 5632,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "num_key_value_heads": 16,
    "hidden_act": "silu",
    "max_position_embeddings": 32768,
    "rms_norm_eps": 1e-6,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "sliding_window": 4096,
    "max_window_layers": 28,
    "layer_types": None,
    "attention_dropout": 0.0,
    "decoder_sparse_step": 1,
    "moe_intermediate_size": 1408,
    "shared_expert_intermediate_size": 5632,
    "num_experts_per_tok": 4,
    "num_experts": 60,
    "norm_topk_prob": False,
    "output_router_logits": False,
    "router_aux_loss_coef": 0.001,
    "mlp_only_layers": (),
    "qkv_bias": True,
}
SYNONYMS = {"num_local_experts": "num_experts"}


def spec(c: Config) -> Stack:
    """Return the anatomy."""
    norm, turn = RMSNorm(c.rms_norm_eps), rotary(c)
    window, first = c.stated("sliding_window"), c.max_window_layers
    window = window if c.use_sliding_window else None

    def block(index: int) -> Block:
        near = sees_window(c, index, otherwise=index % 2 == 0 and index < first)
        attention = Attention(
            **heads(c),
            bias=(c.qkv_bias, False),
            causal=True,
            window=window if near else None,
            rotary=turn,
        )
        return Block(Pre(norm), attention, mlp(c, index, c.shared_expert_intermediate_size))

    return decoder(c, norm, block)


def mlp(c: Config, index: int, shared: int) -> Gated:
    """Return the experts of layer `index`, with one of width `shared` for all, or one plain mlp.

    Raises:
        ConfigError: a token goes to more experts than there are, or no layer can be counted.
    """
    experts, top, step = c.num_local_experts, c.num_experts_per_tok, c.decoder_sparse_step
    if step < 1 or 0 < experts < top:
        raise ConfigError(
            f"config.json: each token goes to {top} of {experts} experts in every {step}th layer\n"
            "  → compare `num_experts_per_tok`, `num_experts` and `decoder_sparse_step` with the "
            "original's config.json"
        )
    plain = Gated(c.intermediate_size, c.hidden_act, bias=False)
    if not experts or index in c.mlp_only_layers or (index + 1) % step:
        return plain
    return (MoE if c.norm_topk_prob else PlainMoE)(
        c.moe_intermediate_size, c.hidden_act, bias=False, experts=experts, top=top, shared=shared
    )


PREFIX = "model"
# fmt: off
NAMES = {
    "embed.token":                    "embed_tokens",
    "blocks.{i}.attn_norm":           "layers.{i}.input_layernorm",
    "blocks.{i}.attn.qkv":            "layers.{i}.self_attn.{q,k,v}_proj",
    "blocks.{i}.attn.out":            "layers.{i}.self_attn.o_proj",
    "blocks.{i}.mlp_norm":            "layers.{i}.post_attention_layernorm",
    "blocks.{i}.mlp.gate_up":         "layers.{i}.mlp.{gate,up}_proj",
    "blocks.{i}.mlp.down":            "layers.{i}.mlp.down_proj",
    "blocks.{i}.mlp.router":          "layers.{i}.mlp.gate",
    "blocks.{i}.mlp.experts.gate_up": "layers.{i}.mlp.experts.{e}.{gate,up}_proj",
    "blocks.{i}.mlp.experts.down":    "layers.{i}.mlp.experts.{e}.down_proj",
    "blocks.{i}.mlp.shared.gate_up":  "layers.{i}.mlp.shared_expert.{gate,up}_proj",
    "blocks.{i}.mlp.shared.down":     "layers.{i}.mlp.shared_expert.down_proj",
    "blocks.{i}.mlp.shared_gate":     "layers.{i}.mlp.shared_expert_gate",
    "norm":                           "norm",
}
IGNORED = ("rotary_emb.inv_freq",)

HEADS = {
    "Qwen2MoeModel":                     Base(),
    "Qwen2MoeForCausalLM":               CausalLM(out="lm_head", bias=False),
    "Qwen2MoeForSequenceClassification": SequenceClassifier(pick="last", out="score", bias=False),
    "Qwen2MoeForTokenClassification":    TokenClassifier(out="score"),
    "Qwen2MoeForQuestionAnswering":      Spans(out="qa_outputs"),
}
# fmt: on
INPUTS = "qwen2"
