"""One forward pass becomes one graph, for every architecture that reads words."""

from __future__ import annotations

import pytest
import torch
from test_properties import NAMES, exact, opened, texts

from armature.model.pyramid import Pyramid

# One variant of each architecture: compiling takes seconds.
TEXT = list({opened(name).config.model_type: name for name in NAMES
             if not isinstance(opened(name).body, Pyramid)}.values())  # fmt: skip


@pytest.mark.parametrize("name", TEXT)
@pytest.mark.parametrize("padded", [False, True])
def test_one_forward_is_one_graph(name: str, *, padded: bool) -> None:
    model = exact(name)
    ids = torch.stack(texts(model, (9, 9)))
    if isinstance(model.config.eos_token_id, int):
        ids[:, -1] = model.config.eos_token_id
    given = {"input_ids": ids[None] if "choice" in name else ids}
    if model.is_encoder_decoder:
        given["decoder_input_ids"] = ids if "classes" in name else ids[:, :5]
    if padded and hasattr(model.config, "mem_len"):
        pytest.skip("rows that recall earlier texts are all of one length")
    if padded:
        given["attention_mask"] = torch.ones_like(given["input_ids"])
        given["attention_mask"][..., 1, :3] = 0
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    with torch.no_grad():
        wanted, found = model(**given), compiled(**given)
    assert found.keys() == wanted.keys()
    for key, value in wanted.items():
        if isinstance(value, torch.Tensor):
            torch.testing.assert_close(found[key], value, atol=1e-9, rtol=1e-9)
