"""Decoders that attend to states which a caller brings."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from armature import auto
from armature.errors import ArgumentError, UnknownArgumentError

GOLDEN = Path(__file__).parent / "golden" / "arch"
CLOSE = {"atol": 1e-9, "rtol": 1e-9}
WRITERS = {
    "bert-crossed": "BertLMHeadModel",
    "electra-crossed": "ElectraForCausalLM",
    "gpt2-crossed": "GPT2LMHeadModel",
}


def opened(name: str):
    return auto.model_class(WRITERS[name]).from_pretrained(GOLDEN / name).double()


def memory_of(model) -> dict[str, torch.Tensor]:
    torch.manual_seed(5)
    width = model.config.hidden_size
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    states = torch.randn(2, 4, width, dtype=torch.float64)
    return {"encoder_hidden_states": states, "encoder_attention_mask": mask}


@pytest.mark.parametrize("name", WRITERS)
def test_a_cache_holds_a_memory_once(name: str) -> None:
    model, ids = opened(name), torch.arange(14).view(2, 7) + 6
    memory = memory_of(model)
    with torch.no_grad():
        whole = model(ids, **memory, output_attentions=True)
        first = model(ids[:, :4], **memory, use_cache=True)
        rest = model(ids[:, 4:], past_key_values=first.past_key_values, output_attentions=True)
    torch.testing.assert_close(torch.cat((first.logits, rest.logits), 1), whole.logits, **CLOSE)
    for found, wanted in zip(rest.cross_attentions, whole.cross_attentions, strict=True):
        torch.testing.assert_close(found, wanted[:, :, 4:], **CLOSE)


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("beams", [1, 3])
def test_each_row_writes_by_its_own_memory(name: str, beams: int) -> None:
    model, ids = opened(name), torch.tensor([[9, 17, 21], [33, 8, 12]])
    memory = memory_of(model)
    options = {"max_new_tokens": 6, "num_beams": beams, "eos_token_id": None, "pad_token_id": 0}
    said = model.generate(ids, **memory, **options).tolist()
    for row, count in ((0, 4), (1, 2)):
        states = memory["encoder_hidden_states"][row : row + 1, :count]
        alone = model.generate(ids[row : row + 1], encoder_hidden_states=states, **options)
        assert said[row] == alone[0].tolist()
    assert said != model.generate(ids, **options).tolist()


def test_a_memory_that_does_not_fit_is_refused() -> None:
    model, ids = opened("gpt2-crossed"), torch.tensor([[9, 17, 21]])
    with pytest.raises(ArgumentError, match="2 rows, but the input has 1"):
        model(ids, **memory_of(model))
    with pytest.raises(ArgumentError, match=r"give \(B, S, D\)"):
        model(ids, encoder_hidden_states=torch.zeros(4, 30))
    alone = auto.model_class("GPT2LMHeadModel").from_pretrained(GOLDEN / "gpt2-scales")
    with pytest.raises(UnknownArgumentError, match="encoder_hidden_states"):
        alone(ids, encoder_hidden_states=torch.zeros(1, 4, 30))
