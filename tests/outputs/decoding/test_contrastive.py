"""Contrastive search: the reference's texts, and rows that do not notice their neighbours."""

import json
from pathlib import Path

import pytest
import torch

from armature.auto import model_class
from armature.errors import ArgumentError

GOLDEN = Path(__file__).parents[2] / "golden"
CASES = json.loads((GOLDEN / "decoding" / "contrastive.json").read_text())
WAYS = {"penalty_alpha": 0.6, "top_k": 4}


def opened(name):
    kind = json.loads((GOLDEN / "arch" / name / "golden.json").read_text())["class"]
    return model_class(kind).from_pretrained(GOLDEN / "arch" / name)


@pytest.mark.parametrize("number", range(len(CASES)))
def test_texts_are_the_reference_s(number):
    case = CASES[number]
    ids = torch.tensor(case["ids"])
    out = opened(case["name"]).generate(
        ids, attention_mask=torch.ones_like(ids), return_dict_in_generate=True,
        output_scores=True, **case["settings"],
    )  # fmt: skip
    assert out.sequences.tolist() == case["sequences"]
    best = [float(scores[0].max()) for scores in out.scores]
    assert best == pytest.approx(case["best"], abs=1e-4)


@pytest.mark.parametrize(
    ("name", "side"),
    [
        *[(name, side) for name in ("llama-biases", "gpt2-untied") for side in ("left", "right")],
        ("bart-untied", "right"),  # its encoder counts padding before a text
    ],
)
def test_a_row_gets_what_it_gets_alone(name, side):
    model, texts = opened(name), [[9, 8, 7], [11, 12, 13, 14, 15], [6]]
    gaps = [(5 - len(text)) * [0] for text in texts]
    pairs = list(zip(texts, gaps, strict=True))
    ids = torch.tensor([gap + text if side == "left" else text + gap for text, gap in pairs])
    mask = (ids > 0).long()
    settings = {**WAYS, "max_new_tokens": 10, "pad_token_id": 0}
    free = model.generate(ids, attention_mask=mask, eos_token_id=None, **settings)
    settings["eos_token_id"] = free[:, -5].tolist()
    out = model.generate(ids, attention_mask=mask, **settings)
    kept = model.generate(ids, attention_mask=mask, return_dict_in_generate=True, **settings)
    assert kept.sequences.equal(out)
    for row, text in enumerate(texts):
        alone = model.generate(torch.tensor([text]), **settings)
        said = alone[0, 1 if model.is_encoder_decoder else len(text) :].tolist()
        found = out[row, 1 if model.is_encoder_decoder else 5 :].tolist()
        assert found[: len(said)] == said
        assert set(found[len(said) :]) <= {0}


def test_a_step_takes_what_is_likely_and_unlike_the_rest(table_model):
    model, text = table_model(), [5, 9]
    for _ in range(12):
        steps = model.steps(torch.tensor([text]), None, {}, 99)
        likely, tokens = steps.start()[0].softmax(-1).topk(4)
        context = torch.nn.functional.normalize(steps.states[0], dim=-1)
        worth = []
        for share, token in zip(likely.tolist(), tokens.tolist(), strict=True):
            longer = model.steps(torch.tensor([[*text, token]]), None, {}, 99)
            state = torch.nn.functional.normalize(longer.states[0, -1], dim=-1)
            worth.append(0.4 * share - 0.6 * float((context @ state).max()))
        text.append(int(tokens[worth.index(max(worth))]))
    assert model.generate(torch.tensor([[5, 9]]), max_new_tokens=12, **WAYS)[0].tolist() == text


def test_passes_are_those_of_the_text_that_was_chosen():
    model, ids = opened("gpt2-untied"), torch.tensor([[9, 8, 7], [5, 6, 7]])
    out = model.generate(
        ids, max_new_tokens=5, eos_token_id=None, pad_token_id=0, return_dict_in_generate=True,
        output_hidden_states=True, **WAYS,
    )  # fmt: skip
    whole = model(out.sequences, output_hidden_states=True).hidden_states[-1]
    found = torch.cat([one[-1] for one in out.hidden_states], 1)
    torch.testing.assert_close(found, whole[:, : found.shape[1]], rtol=1e-5, atol=1e-5)
    assert [one[-1].shape[1] for one in out.hidden_states] == [3, 1, 1, 1, 1]
    assert out.past_key_values.lengths == (7, 7)


def test_what_is_forbidden_is_not_said(table_model):
    allowed = [3, 4]
    out = table_model().generate(
        torch.tensor([[5, 9]]), max_new_tokens=9, penalty_alpha=0.9, top_k=6,
        suppress_tokens=[token for token in range(24) if token not in allowed],
    )  # fmt: skip
    assert set(out[0, 2:].tolist()) <= set(allowed)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"num_beams": 3}, "not 3 beams"),
        ({"do_sample": True}, "draws nothing"),
        ({"top_k": 1}, "top_k=1"),
        ({"penalty_alpha": 1.5}, "from 0 to 1"),
        ({"suppress_tokens": list(range(24))}, "no new token 1 for row 0"),
    ],
)
def test_what_does_not_go_with_it_is_refused(table_model, settings, words):
    with pytest.raises(ArgumentError, match=words):
        table_model().generate(torch.tensor([[5, 9]]), **{**WAYS, **settings})
