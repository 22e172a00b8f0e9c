"""Small checkpoints of decoders that keep a state of fixed size, for `tools/make_golden.py`."""

from __future__ import annotations

from golden_variants import Variant

_MAMBA = {
    "vocab_size": 53,
    "hidden_size": 20,
    "state_size": 5,
    "num_hidden_layers": 3,
    "time_step_rank": 3,
    "layer_norm_epsilon": 1e-3,
}

VARIANTS = [
    Variant(
        "mamba-plain",
        "MambaForCausalLM",
        {**_MAMBA, "expand": 3, "hidden_act": "gelu"},
        extra={"output_attentions": None, "use_cache": False},
        padding="left",
        generate=True,
    ),
    Variant(
        "mamba-biased",
        "MambaForCausalLM",
        {**_MAMBA, "use_bias": True, "use_conv_bias": False, "conv_kernel": 2}
        | {"tie_word_embeddings": False, "time_step_rank": "auto"},
        padding="",
        extra={"output_attentions": None, "use_cache": False},
    ),
]
