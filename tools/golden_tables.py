"""Make the small checkpoints of tests/golden/tables with the reference library.

    python tools/golden_tables.py [NAME …]

Needs the `reference` extra. Folders look like those of `tools/make_golden.py`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
import transformers
from make_golden import flatten, randomise
from safetensors.torch import save_file

OUT = Path(__file__).resolve().parent.parent / "tests" / "golden" / "tables"
SMALL = {
    "vocab_size": 37,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 24,
    "type_vocab_sizes": [3, 7, 8, 2, 5, 6, 4],
    "max_num_rows": 5,
    "max_num_columns": 4,
    "layer_norm_eps": 1e-4,
}
WEAK = {
    "num_aggregation_labels": 4,
    "use_answer_as_supervision": True,
    "cell_selection_preference": 0.3,
    "huber_loss_delta": 0.5,
    "answer_loss_cutoff": 90.0,
    "average_approximation_function": "second_order",
}

# Name → class, settings.
VARIANTS = {
    "body": ("TapasModel", {"hidden_act": "relu"}),
    "cells": (
        "TapasForQuestionAnswering",
        {"num_aggregation_labels": 3, "temperature": 0.5, "aggregation_loss_weight": 0.4}
        | {"reset_position_index_per_cell": False, "average_logits_per_cell": True},
    ),
    "numbers": ("TapasForQuestionAnswering", WEAK),
}


def table() -> dict[str, torch.Tensor]:
    """Return a question of five tokens and tables of three columns; the second is shorter."""
    generator = torch.Generator().manual_seed(5)
    told = torch.stack(
        [
            torch.randint(0, size, (2, 20), generator=generator)
            for size in SMALL["type_vocab_sizes"]
        ],
        -1,
    )
    places = torch.arange(15) // 2
    told[:, :5, :3] = 0
    told[:, 5:, 0], told[:, 5:, 1], told[:, 5:, 2] = 1, places % 3 + 1, places // 3
    mask = torch.ones(2, 20, dtype=torch.long)
    mask[1, 17:] = 0
    ids = torch.randint(1, 37, (2, 20), generator=generator) * mask
    told *= mask[..., None]
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": told}


def labels_of(name: str) -> dict[str, torch.Tensor]:
    """Return the right cells, and what leads to the answer."""
    labels = torch.zeros(2, 20, dtype=torch.long)
    labels[0, 11:13] = 1
    if name == "cells":
        labels[1, 13:15] = 1
        return {"labels": labels, "aggregation_labels": torch.tensor([0, 2])}
    numbers = torch.linspace(-2, 9, 20).repeat(2, 1)
    numbers[:, :11] = float("nan")
    answer = torch.tensor([float("nan"), 6.5])
    known = {"labels": labels, "numeric_values": numbers, "float_answer": answer}
    return known | {"numeric_values_scale": torch.full((2, 20), 2.0)}


@torch.no_grad()
def make(name: str, folder: Path) -> None:
    """Build, call and write one variant."""
    kind_name, settings = VARIANTS[name]
    generator = torch.Generator().manual_seed(sum(map(ord, name)))
    kind = getattr(transformers, kind_name)
    model = kind(kind.config_class(**{**SMALL, **settings})).eval()
    randomise(model, generator)
    model.save_pretrained(folder)
    model = kind.from_pretrained(folder, attn_implementation="eager").eval()
    calls = [table()] if name == "body" else [table(), table() | labels_of(name)]
    tensors, record = {}, {"class": kind_name, "calls": []}
    for index, given in enumerate(calls):
        flags = {"output_hidden_states": True, "output_attentions": True} if index == 0 else {}
        outputs = flatten(model(**given, **flags))
        tensors |= {f"{index}.in.{key}": value for key, value in given.items()}
        tensors |= {f"{index}.out.{key}": value for key, value in outputs.items()}
        record["calls"].append({"name": str(index), "flags": flags})
    apart = {key: x.contiguous().clone() for key, x in tensors.items()}
    save_file(apart, folder / "golden.safetensors")
    (folder / "golden.json").write_text(json.dumps(record, indent=1) + "\n")


def main() -> None:
    for name in sys.argv[1:] or VARIANTS:
        folder = OUT / name
        folder.mkdir(parents=True, exist_ok=True)
        make(name, folder)
        size = sum(file.stat().st_size for file in folder.iterdir())
        print(f"{name:12} {size // 1024:5} kB")


if __name__ == "__main__":
    main()
