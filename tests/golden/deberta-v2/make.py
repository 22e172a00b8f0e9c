"""Make the small checkpoints beside this file with the reference library.

    python tests/golden/deberta-v2/make.py

Every parameter is random. A folder holds config.json, model.safetensors and golden.safetensors:
`in.*` what was given, `label.*` what was wanted, `out.*` states and attentions, or scores, `loss`.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file

HERE = Path(__file__).resolve().parent
SMALL = {
    "vocab_size": 31,
    "hidden_size": 15,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 22,
    "max_position_embeddings": 27,
    "layer_norm_eps": 1e-4,
    "relative_attention": True,
    "pos_att_type": ["p2c", "c2p"],
    "position_biased_input": False,
    "position_buckets": 6,
    "norm_rel_ebd": "layer_norm",
    "share_att_key": True,
}
APART = {"share_att_key": False, "norm_rel_ebd": "none"}
PLACED = {"position_biased_input": True, "type_vocab_size": 2, "embedding_size": 10}
CLASSES = {"num_labels": 4, "num_hidden_layers": 1}
SETTINGS = {
    "shared": {"pos_att_type": "p2c|c2p", "conv_kernel_size": 5, "conv_groups": 3},
    "apart": {**APART, **PLACED, "position_buckets": -1, "max_relative_positions": 7},
    "c2p": {**APART, "pos_att_type": ["c2p"], "max_relative_positions": 9},
    "p2c": {"pos_att_type": ["p2c"], "conv_kernel_size": 3, "conv_act": "gelu"},
    "absolute": {"relative_attention": False, "position_biased_input": True},
    "words": {"embedding_size": 10, "conv_kernel_size": 3},
    "words-untied": {"tie_word_embeddings": False, "hidden_act": "relu"},
    "words-published": {"legacy": False, "tie_word_embeddings": False},
    "classes": {**CLASSES, "pooler_hidden_act": "tanh", "cls_dropout": 0.3},
    "shares": CLASSES,
    "choice": {"num_hidden_layers": 1, "type_vocab_size": 2},
}
TASKS = {"words": "ForMaskedLM", "choice": "ForMultipleChoice"}
TASKS |= dict.fromkeys(("classes", "shares"), "ForSequenceClassification")
PADDED = {"apart": "left", "p2c": "holes"}  # else on the right


def mask_of(rows: tuple[int, ...], length: int, padding: str) -> torch.Tensor:
    mask = torch.ones(*rows, length, dtype=torch.long)
    for row, cut in ((1, length // 3), (2, length // 2)):
        gone = torch.randperm(length - 1)[:cut] + 1
        side = {"right": slice(length - cut, None), "left": slice(0, cut), "holes": gone}
        mask[row, ..., side[padding]] = 0
    return mask


def labels_of(name: str, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
    if name.startswith("words"):
        return {"labels": torch.where(mask == 1, ids.roll(1, -1), -100)}
    known = {"classes": [2, -1, 0], "choice": [1, 0, 2]}
    if name == "shares":
        return {"labels": torch.rand(3, 4).softmax(-1)}
    return {"labels": torch.tensor(known[name])} if name in known else {}


@torch.no_grad()
def make(name: str, settings: dict) -> None:
    task = TASKS.get(name.partition("-")[0], "Model")
    length = 14 if task == "Model" else 7
    kind = getattr(transformers, f"DebertaV2{task}")
    model = kind(kind.config_class(**{**SMALL, **settings})).eval()
    for key, parameter in model.named_parameters():
        scale = "LayerNorm.weight" in key
        parameter.copy_(0.3 * torch.randn_like(parameter) + float(scale))
    model.save_pretrained(HERE / name)
    model = kind.from_pretrained(HERE / name, attn_implementation="eager").eval()
    rows = (3, 3) if name == "choice" else (3,)
    mask = mask_of(rows, length, PADDED.get(name, "right"))
    ids = torch.where(mask == 1, torch.randint(3, SMALL["vocab_size"], (*rows, length)), 0)
    given = {"input_ids": ids, "attention_mask": mask}
    given["token_type_ids"] = torch.randint(0, 2, ids.shape)  # ignored where there are none
    labels = labels_of(name, ids, mask)
    asked = {"output_hidden_states": True, "output_attentions": True} if task == "Model" else {}
    found = model(**given, **asked)
    tensors = {f"in.{key}": value for key, value in given.items()}
    tensors |= {f"label.{key}": value for key, value in labels.items()}
    for key, value in found.items():
        several = isinstance(value, tuple)
        parts = {f".{i}": one for i, one in enumerate(value)} if several else {"": value}
        tensors |= {f"out.{key}{end}": one for end, one in parts.items()}
    if labels:
        tensors["loss"] = model(**given, **labels).loss
    save_file(
        {k: v.clone().contiguous() for k, v in tensors.items()}, HERE / name / "golden.safetensors"
    )
    config = json.loads((HERE / name / "config.json").read_text())
    config["pos_att_type"] = {**SMALL, **settings}["pos_att_type"]  # as published files spell it
    (HERE / name / "config.json").write_text(json.dumps(config, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    for seed, (name, settings) in enumerate(SETTINGS.items()):
        torch.manual_seed(seed)
        make(name, settings)
