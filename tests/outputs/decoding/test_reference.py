"""The same tokens as the reference, for many settings over the same scores."""

import json
from pathlib import Path

import pytest
import torch

CASES = json.loads(
    (Path(__file__).parents[2] / "golden" / "decoding" / "generate.json").read_text()
)


@pytest.mark.parametrize("number", range(len(CASES)))
@pytest.mark.parametrize("record", [False, True], ids=["ids", "record"])
def test_tokens_are_the_reference_s(table_model, number, record):
    case = CASES[number]
    model = table_model(encoder=case["encoder"])
    model.generation_config.decoder_start_token_id = 0
    torch.manual_seed(case["seed"])
    ids = torch.tensor(case["ids"])
    keep = {"return_dict_in_generate": True, "output_scores": True} if record else {}
    out = model.generate(ids, attention_mask=torch.ones_like(ids), **case["settings"], **keep)
    if not record:
        assert out.tolist() == case["sequences"]
        return
    assert out.sequences.tolist() == case["sequences"]
    if "scores" in case:
        assert out.sequences_scores.tolist() == pytest.approx(case["scores"], abs=1e-4)
        assert out.beam_indices.tolist() == case["beam_indices"]


def test_the_cases_reach_every_strategy_and_control():
    seen = {name for case in CASES for name in case["settings"]}
    assert {"early_stopping", "typical_p", "forced_eos_token_id", "sequence_bias"} <= seen
    kinds = {(case["settings"]["num_beams"] > 1, case["settings"]["do_sample"]) for case in CASES}
    assert len(kinds) == 4
