"""Make the small checkpoints of tests/golden/tables with the reference library.

    python tools/make_golden_tables.py [NAME …]

Needs the `reference` extra.
"""

from __future__ import annotations

from pathlib import Path

import torch
from golden_files import GOLDEN, Record, made, write_each

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
    model = made(kind_name, {**SMALL, **settings}, folder, generator)
    record = Record(kind_name)
    calls = [table()] if name == "body" else [table(), table() | labels_of(name)]
    for index, given in enumerate(calls):
        flags = {"output_hidden_states": True, "output_attentions": True} if index == 0 else {}
        record.call(str(index), given, flags, model(**given, **flags))
    record.write(folder)


if __name__ == "__main__":
    write_each(VARIANTS, GOLDEN / "tables", make)
