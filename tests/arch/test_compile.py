"""One forward pass becomes one graph, padded or not."""

from __future__ import annotations

import pytest
import torch
from test_properties import exact, texts

# Compiling takes seconds, so a few speak for all: each has organs that the others lack.
NAMES = [
    "albert-order",  # blocks that run several times
    "bart-scaled",  # two stacks
    "bert-untied",
    "falcon-alibi",  # slopes, side by side
    "gpt2-scales",
    "llama-yarn",  # rotations
    "mixtral-window",  # experts, a window
    "prophetnet-far",  # a result with further fields
    "roberta-left",  # positions that skip padding
    "t5-gated",  # relative biases
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("padded", [False, True])
def test_one_forward_is_one_graph(name: str, *, padded: bool) -> None:
    model = exact(name)
    ids = torch.stack(texts(model, (9, 9)))
    given = {"input_ids": ids}
    if model.is_encoder_decoder:
        given["decoder_input_ids"] = ids[:, :5]
    if padded:
        given["attention_mask"] = torch.ones_like(ids)
        given["attention_mask"][1, :3] = 0
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        wanted, found = model(**given), compiled(**given)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        if isinstance(value, torch.Tensor):
            # Slopes are computed in float32 from other columns, if there is padding on the left.
            torch.testing.assert_close(found[key], value, atol=1e-6, rtol=1e-6)
