"""Diverse and constrained beam search: the reference's texts, and what they are for."""

import json
from pathlib import Path

import pytest
import torch

from armature.errors import ArgumentError
from armature.outputs.decoding.constraints import (
    DisjunctiveConstraint,
    PhrasalConstraint,
    constraints_of,
)

CASES = json.loads((Path(__file__).parents[2] / "golden" / "decoding" / "groups.json").read_text())


@pytest.mark.parametrize("number", range(len(CASES)))
def test_texts_are_the_reference_s(table_model, number):
    case = CASES[number]
    model = table_model(encoder=case["encoder"])
    model.generation_config.decoder_start_token_id = 0
    ids = torch.tensor(case["ids"])
    keep = {"return_dict_in_generate": True, "output_scores": True}
    out = model.generate(ids, attention_mask=torch.ones_like(ids), **case["settings"], **keep)
    if "scores" in case:
        assert out.sequences_scores.tolist() == pytest.approx(case["scores"], abs=1e-4)
    assert out.sequences.tolist() == case["sequences"]


IDS = torch.tensor([[5, 6], [9, 1]])
GROUPS = {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 2.0, "max_new_tokens": 6}


def test_groups_say_other_things(table_model):
    model, alike = table_model(), {**GROUPS, "diversity_penalty": 1e-6}
    together = model.generate(IDS, num_return_sequences=4, **alike).unflatten(0, (2, 4))
    apart = model.generate(IDS, num_return_sequences=4, **GROUPS).unflatten(0, (2, 4))
    for row in range(2):
        assert len({tuple(text) for text in together[row].tolist()}) == 2  # each group's, twice
        firsts = {tuple(text) for text in apart[row].tolist()}
        assert len(firsts) == 4


@pytest.mark.parametrize("settings", [GROUPS, {"num_beams": 3, "force_words_ids": [[7, 9], [4]]}])
def test_a_row_gets_what_it_gets_alone(table_model, settings):
    settings = {"eos_token_id": [3, 8], "pad_token_id": 23, "max_new_tokens": 6, **settings}
    ids = torch.tensor([[23, 23, 5, 6], [9, 1, 4, 4], [2, 11, 23, 23]])
    mask = (ids != 23).long()
    out = table_model().generate(ids, attention_mask=mask, **settings)[:, 4:].tolist()
    for row, text in enumerate(([5, 6], [9, 1, 4, 4], [2, 11])):
        alone = table_model().generate(torch.tensor([text]), **settings)[0, len(text) :].tolist()
        assert out[row][: len(alone)] == alone
        assert set(out[row][len(alone) :]) <= {23}


@pytest.mark.parametrize(
    "demand",
    [
        {"force_words_ids": [[7, 9], [4]]},
        {"force_words_ids": [[[7, 9], [11, 2]], [4]]},
        {"constraints": [PhrasalConstraint([7, 9]), PhrasalConstraint([4])]},
        {"constraints": [DisjunctiveConstraint([[7, 9], [7, 10, 1]])]},
    ],
    ids=["words", "ways", "phrases", "disjunctions"],
)
def test_words_that_are_demanded_are_said(table_model, demand):
    out = table_model().generate(
        torch.tensor([[5, 6], [2, 1], [3, 3]]), num_beams=6, max_new_tokens=12, eos_token_id=8,
        pad_token_id=23, **demand,
    )  # fmt: skip
    for row in out[:, 2:].tolist():
        text = " ".join(map(str, [0, *row, 0]))
        if "force_words_ids" in demand or len(demand["constraints"]) == 2:
            assert " 4 " in text
            nested = isinstance(demand.get("force_words_ids", [[0]])[0][0], list)
            assert " 7 9 " in text or (nested and " 11 2 " in text)
        else:
            assert " 7 9 " in text or " 7 10 1 " in text


def test_both_ways_of_demanding_are_one(table_model):
    settings = {"num_beams": 4, "max_new_tokens": 8}
    one = table_model().generate(IDS, force_words_ids=[[7, 9], [[4], [2, 2]]], **settings)
    wanted = [PhrasalConstraint([7, 9]), DisjunctiveConstraint([[4], [2, 2]])]
    assert table_model().generate(IDS, constraints=wanted, **settings).equal(one)
    assert [c.phrases for c in constraints_of([[7, 9], [[4], [2, 2]]], None)] == [
        c.phrases for c in wanted
    ]


def test_records_and_rules_of_the_caller_s(table_model):
    out = table_model().generate(
        IDS, return_dict_in_generate=True, output_scores=True, output_logits=True,
        num_return_sequences=4, length_penalty=0.0, eos_token_id=None, **GROUPS,
    )  # fmt: skip
    assert len(out.scores) == len(out.logits) == 6
    for row, beams, score in zip(
        out.sequences.tolist(), out.beam_indices.tolist(), out.sequences_scores, strict=True
    ):
        total = sum(float(out.scores[i][beams[i], row[2 + i]]) for i in range(6))
        assert float(score) == pytest.approx(total, abs=1e-4)
    ended = table_model().generate(
        IDS, stopping_criteria=lambda ids, scores: ids.shape[1] >= 4, **GROUPS
    )
    assert ended.shape == (2, 4)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_beams": 4, "num_beam_groups": 3, "diversity_penalty": 1.0}, "num_beams=3"),
        ({"num_beams": 2, "num_beam_groups": 4, "diversity_penalty": 1.0}, "num_beams=4"),
        ({"num_beams": 4, "num_beam_groups": 2}, "pass diversity_penalty"),
        ({"num_beams": 4, "diversity_penalty": 1.0}, "pass num_beam_groups=2"),
        ({**GROUPS, "do_sample": True}, "draws none"),
        ({**GROUPS, "force_words_ids": [[1]]}, "two searches"),
        ({**GROUPS, "diversity_penalty": -1.0}, "0 or more"),
        ({"force_words_ids": [[1]]}, "num_beams=4"),
        ({"force_words_ids": [[1]], "num_beams": 3, "do_sample": True}, "draws none"),
        ({"force_words_ids": [[]], "num_beams": 3}, "token ids"),
        ({"force_words_ids": [[-1]], "num_beams": 3}, "token ids"),
        ({"force_words_ids": [3], "num_beams": 3}, "token ids"),
        ({"force_words_ids": 3, "num_beams": 3}, "phrases"),
        ({"force_words_ids": [[99]], "num_beams": 3}, "holds 99"),
        ({"force_words_ids": [[[1, 2], [1, 2, 3]]], "num_beams": 3}, "has begun the other"),
        ({"constraints": [[1]], "num_beams": 3}, "PhrasalConstraint"),
        ({**GROUPS, "suppress_tokens": list(range(24))}, "no new token 1 for row 0"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(table_model, settings, words):
    with pytest.raises(ArgumentError, match=words):
        table_model().generate(IDS, **settings)
