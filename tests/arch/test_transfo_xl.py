"""Transformer-XL: what a call remembers, the next one recalls."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import armature

GOLDEN = Path(__file__).parent.parent / "golden" / "arch"
NAMES = ("transfo_xl-one-table", "transfo_xl-shared", "transfo_xl-clusters")


@pytest.mark.parametrize("name", NAMES)
def test_a_text_in_two_calls_equals_the_whole(name: str) -> None:
    model = armature.AutoModelForCausalLM.from_pretrained(GOLDEN / name).double()
    ids = torch.arange(22).view(2, 11) % model.config.vocab_size
    with torch.no_grad():
        whole = model(ids)
        first = model(ids[:, :4])
        second = model(ids[:, 4:], mems=first.mems)
    both = torch.cat((first.prediction_scores, second.prediction_scores), 1)
    torch.testing.assert_close(both, whole.prediction_scores, atol=1e-9, rtol=1e-9)
    for found, wanted in zip(second.mems, whole.mems, strict=True):
        torch.testing.assert_close(found, wanted, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_the_shares_of_all_words_sum_to_one(name: str) -> None:
    model = armature.AutoModelForCausalLM.from_pretrained(GOLDEN / name)
    with torch.no_grad():
        scores = model(torch.tensor([[3, 50, 21]])).logits
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(1, 3))


def test_written_text_is_that_of_calls_without_a_cache() -> None:
    model = armature.AutoModelForCausalLM.from_pretrained(GOLDEN / NAMES[2]).double()
    prompt = torch.tensor([[5, 9, 60, 33]])
    options = {"max_new_tokens": 9, "do_sample": False, "eos_token_id": None, "pad_token_id": 0}
    written = model.generate(prompt, **options)
    ids = prompt
    with torch.no_grad():
        for _ in range(9):
            ids = torch.cat((ids, model(ids).logits[:, -1:].argmax(-1)), 1)
    assert written.tolist() == ids.tolist()
