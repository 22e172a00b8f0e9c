"""First weights of a small BERT, GPT-2 or ViT, as a checkpoint that any library can open and train.

Random, with two hints that spare a small model most of its search: in every second head, queries
and keys start alike, so equal tokens look at each other (Trockman and Kolter, 2023), and learned
positions start as sine waves, so that neighbours are easy to find.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from training.vocabulary import write_json

Weights = dict[str, Tensor]
KNOWN = ("bert", "gpt2", "vit")  # model types


def waves(length: int, width: int, height: float) -> Tensor:
    """Return sine waves of falling frequency as a table of positions, (length, width)."""
    position = torch.arange(length)[:, None].float()
    rate = torch.exp(-math.log(2000.0) * torch.arange(0, width, 2) / width)
    table = torch.zeros(length, width)
    table[:, 0::2], table[:, 1::2] = torch.sin(position * rate), torch.cos(position * rate)
    return table * height


class Maker:
    """Draws the weights of one model from a seed."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.weights: Weights = {}

    def matrix(self, name: str, *shape: int, spread: float = 0.02) -> None:
        """Add a matrix of normally distributed numbers."""
        self.weights[name] = torch.empty(shape).normal_(0.0, spread, generator=self.generator)

    def linear(self, name: str, outputs: int, inputs: int, spread: float | None = None) -> None:
        """Add a weight and a bias of zeros."""
        self.matrix(f"{name}.weight", outputs, inputs, spread=spread or 0.6 / math.sqrt(inputs))
        self.weights[f"{name}.bias"] = torch.zeros(outputs)

    def norm(self, name: str, width: int) -> None:
        """Add a layer normalisation."""
        self.weights[f"{name}.weight"] = torch.ones(width)
        self.weights[f"{name}.bias"] = torch.zeros(width)

    def alike(self, query: str, key: str, heads: int) -> None:
        """Give every second head the same query and key, strong enough to be seen."""
        q, k = self.weights[f"{query}.weight"], self.weights[f"{key}.weight"]
        for head in range(0, heads, 2):
            rows = slice(head * len(q) // heads, (head + 1) * len(q) // heads)
            q[rows].normal_(0.0, 0.09, generator=self.generator)
            k[rows] = q[rows]


def bert(config: dict[str, Any], seed: int) -> Weights:
    """Return the body's weights under the names of the Hugging Face files."""
    make, width, wide = Maker(seed), config["hidden_size"], config["intermediate_size"]
    make.matrix("bert.embeddings.word_embeddings.weight", config["vocab_size"], width, spread=0.05)
    make.matrix("bert.embeddings.token_type_embeddings.weight", 2, width)
    table = waves(config["max_position_embeddings"], width, 0.03)
    make.weights["bert.embeddings.position_embeddings.weight"] = table
    make.norm("bert.embeddings.LayerNorm", width)
    for index in range(config["num_hidden_layers"]):
        layer = f"bert.encoder.layer.{index}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            make.linear(f"{layer}.attention.{part}", width, width)
        attention = f"{layer}.attention.self"
        make.alike(f"{attention}.query", f"{attention}.key", config["num_attention_heads"])
        make.linear(f"{layer}.intermediate.dense", wide, width)
        make.linear(f"{layer}.output.dense", width, wide)
        make.norm(f"{layer}.attention.output.LayerNorm", width)
        make.norm(f"{layer}.output.LayerNorm", width)
    return make.weights


def bert_head(config: dict[str, Any], kind: str, seed: int) -> Weights:
    """Return the weights of a head: answers, labels, or masked words."""
    make, width = Maker(seed + 1), config["hidden_size"]
    if kind == "BertForQuestionAnswering":
        make.linear("qa_outputs", 2, width)
    elif kind == "BertForSequenceClassification":
        make.linear("bert.pooler.dense", width, width)
        make.linear("classifier", len(config["id2label"]), width)
    else:
        make.linear("cls.predictions.transform.dense", width, width)
        make.norm("cls.predictions.transform.LayerNorm", width)
        make.weights["cls.predictions.bias"] = torch.zeros(config["vocab_size"])
    return make.weights


def gpt2(config: dict[str, Any], seed: int) -> Weights:
    """Return all weights of a GPT-2, whose matrices lie inputs first."""
    make, width, depth = Maker(seed), config["n_embd"], config["n_layer"]
    make.matrix("transformer.wte.weight", config["vocab_size"], width)
    make.weights["transformer.wpe.weight"] = waves(config["n_positions"], width, 0.01)
    for index in range(depth):
        layer = f"transformer.h.{index}"
        make.norm(f"{layer}.ln_1", width)
        make.norm(f"{layer}.ln_2", width)
        shapes = {"attn.c_attn": (width, 3 * width), "attn.c_proj": (width, width)}
        shapes |= {"mlp.c_fc": (width, 4 * width), "mlp.c_proj": (4 * width, width)}
        for part, (inputs, outputs) in shapes.items():
            shrink = math.sqrt(2 * depth) if part.endswith("c_proj") else 1.0
            make.matrix(
                f"{layer}.{part}.weight", inputs, outputs, spread=0.6 / math.sqrt(inputs) / shrink
            )
            make.weights[f"{layer}.{part}.bias"] = torch.zeros(outputs)
    make.norm("transformer.ln_f", width)
    return make.weights


def vit(config: dict[str, Any], seed: int) -> Weights:
    """Return all weights of a ViT with labels."""
    make, width, wide = Maker(seed), config["hidden_size"], config["intermediate_size"]
    side, channels = config["patch_size"], config["num_channels"]
    patches = (config["image_size"] // side) ** 2
    embeddings = "vit.embeddings"
    make.matrix(f"{embeddings}.cls_token", 1, 1, width)
    make.matrix(f"{embeddings}.position_embeddings", 1, patches + 1, width, spread=0.05)
    patch = f"{embeddings}.patch_embeddings.projection"
    make.matrix(f"{patch}.weight", width, channels, side, side, spread=1 / (side * 2))
    make.weights[f"{patch}.bias"] = torch.zeros(width)
    for index in range(config["num_hidden_layers"]):
        layer = f"vit.encoder.layer.{index}"
        for part in ("attention.query", "attention.key", "attention.value", "output.dense"):
            make.linear(f"{layer}.attention.{part}", width, width)
        make.linear(f"{layer}.intermediate.dense", wide, width)
        make.linear(f"{layer}.output.dense", width, wide)
        make.norm(f"{layer}.layernorm_before", width)
        make.norm(f"{layer}.layernorm_after", width)
    make.norm("vit.layernorm", width)
    make.linear("classifier", len(config["id2label"]), width)
    return make.weights


def write(folder: Path, config: dict[str, Any], seed: int) -> None:
    """Write config.json and model.safetensors with first weights."""
    (kind,) = config["architectures"]
    if config["model_type"] == "gpt2":
        weights = gpt2(config, seed)
    elif config["model_type"] == "vit":
        weights = vit(config, seed)
    else:
        weights = bert(config, seed) | bert_head(config, kind, seed)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
