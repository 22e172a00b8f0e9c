"""llama.cpp beside: a checkpoint as GGUF in F16, Q8_0 or Q4_0, and its server in this process.

Needs the packages `xllamacpp` and `gguf`. Tokens are numbers: the vocabulary is a placeholder.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.checkpoints import FOLDER

TYPES = {"float16": "F16", "int8": "Q8_0", "int4": "Q4_0"}
# The names of GGUF; `{}` is a layer's number.
GPT2 = {
    "wte.weight": "token_embd.weight",
    "wpe.weight": "position_embd.weight",
    "ln_f.": "output_norm.",
    "ln_1.": "attn_norm.",
    "attn.c_attn.": "attn_qkv.",
    "attn.c_proj.": "attn_output.",
    "ln_2.": "ffn_norm.",
    "mlp.c_fc.": "ffn_up.",
    "mlp.c_proj.": "ffn_down.",
}
QWEN2 = {
    "embed_tokens.weight": "token_embd.weight",
    "post_attention_layernorm.": "ffn_norm.",
    "input_layernorm.": "attn_norm.",
    "self_attn.q_proj.": "attn_q.",
    "self_attn.k_proj.": "attn_k.",
    "self_attn.v_proj.": "attn_v.",
    "self_attn.o_proj.": "attn_output.",
    "mlp.gate_proj.": "ffn_gate.",
    "mlp.up_proj.": "ffn_up.",
    "mlp.down_proj.": "ffn_down.",
    "norm.": "output_norm.",
}


def named(name: str, names: dict[str, str]) -> str | None:
    """Return what GGUF calls a tensor of a checkpoint."""
    name = name.removeprefix("transformer.").removeprefix("model.")
    prefix = ""
    for layers in ("h.", "layers."):
        if name.startswith(layers):
            number, _, name = name.removeprefix(layers).partition(".")
            prefix = f"blk.{number}."
    for old, new in names.items():
        if name.startswith(old):
            return prefix + new + name.removeprefix(old)
    return None


def converted(folder: Path, precision: str) -> Path:
    """Write a checkpoint as GGUF on first use."""
    import gguf
    from safetensors.numpy import load_file

    path = FOLDER / "gguf" / f"{folder.name}-{precision}.gguf"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    config = json.loads((folder / "config.json").read_text())
    gpt2 = config["model_type"] == "gpt2"
    writer = gguf.GGUFWriter(path, config["model_type"])
    describe(writer, config)
    kind = gguf.GGMLQuantizationType[TYPES[precision]]
    for name, tensor in load_file(folder / "model.safetensors").items():
        target = named(name, GPT2 if gpt2 else QWEN2)
        if target is None or tensor.ndim == 0:
            continue
        if gpt2 and tensor.ndim == 2 and target.startswith("blk."):
            tensor = tensor.T.copy()
        rounded = tensor.ndim == 2 and target != "position_embd.weight"
        own = kind if rounded else gguf.GGMLQuantizationType.F32
        writer.add_tensor(target, gguf.quants.quantize(tensor, own), raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def describe(writer: Any, config: dict[str, Any]) -> None:
    """Write the sizes down."""
    vocabulary = config["vocab_size"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"<{number}>" for number in range(vocabulary)])
    writer.add_token_types([1] * vocabulary)
    writer.add_token_merges(["a b"])
    writer.add_vocab_size(vocabulary)
    if config["model_type"] == "gpt2":
        writer.add_block_count(config["n_layer"])
        writer.add_context_length(config["n_positions"])
        writer.add_embedding_length(config["n_embd"])
        writer.add_feed_forward_length(4 * config["n_embd"])
        writer.add_head_count(config["n_head"])
        writer.add_layer_norm_eps(config["layer_norm_epsilon"])
        return
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(float((config.get("rope_parameters") or config)["rope_theta"]))


def decoder(path: Path, prompts: list[list[int]], threads: int) -> Callable[[int], Any]:
    """Return what continues all prompts by so many tokens, the best each time."""
    import xllamacpp

    given = xllamacpp.CommonParams()
    given.model.path = str(path)
    given.n_parallel = len(prompts)
    given.n_ctx = 512 * len(prompts)
    given.cpuparams.n_threads = given.cpuparams_batch.n_threads = threads
    given.cache_prompt = False
    given.warmup = False
    given.verbosity = -1
    server = xllamacpp.Server(given)

    def run(new: int) -> Any:
        asked = {"prompt": prompts, "n_predict": new, "ignore_eos": True, "cache_prompt": False}
        found = server.handle_completions({**asked, "samplers": ["top_k"], "top_k": 1})
        found = json.loads(found) if isinstance(found, str | bytes) else found
        answers = found if isinstance(found, list) else [found]
        for one in answers:
            count = one.get("usage", {}).get("completion_tokens") or one.get("tokens_predicted")
            assert count == new, one
        return answers

    return run
