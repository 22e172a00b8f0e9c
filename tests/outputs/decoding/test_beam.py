"""Beam search against every continuation there is, and against a plain account of the rules."""

import itertools
import math
import random

import pytest
import torch

END = 3


def log_probabilities(model, prompt, said):
    steps = model.steps(torch.tensor([prompt + said]), None, {}, 99)
    return steps.start()[0].log_softmax(-1).tolist()


def every_continuation(model, prompt, length, power):
    """Return all finished continuations, best first."""
    found = []
    running = [([], 0.0)]
    for new in range(1, length + 1):
        following = []
        for said, score in running:
            logs = log_probabilities(model, prompt, said)
            for token, log in enumerate(logs):
                text = ([*said, token], score + log)
                if token == END or new == length:
                    found.append((text[1] / new**power, text[0]))
                else:
                    following.append(text)
        running = following
    return sorted(found, reverse=True)


def plain_beam_search(model, prompt, length, width, power, early):
    """The rules of beam search, written for reading, one prompt at a time."""
    running, finished = [([], 0.0)], []
    for new in range(1, length + 1):
        candidates = [
            ([*said, token], score + log)
            for said, score in running
            for token, log in enumerate(log_probabilities(model, prompt, said))
        ]
        candidates = sorted(candidates, key=lambda text: -text[1])[: 2 * width]
        for said, score in candidates[:width]:
            if said[-1] == END or new == length:
                finished.append((score / new**power, said))
        finished = sorted(finished, key=lambda text: -text[0])[:width]
        running = [text for text in candidates if text[0][-1] != END][:width]
        if len(finished) == width:
            best = running[0][1] / (length if early == "never" and power > 0 else new) ** power
            if early is True or best <= finished[-1][0]:
                break
    return finished


@pytest.mark.parametrize("power", [0.0, 1.0, -0.7])
@pytest.mark.parametrize("start", [0, 1, 2])
def test_enough_beams_find_the_best_of_all(table_model, power, start):
    model = table_model(vocabulary=4)
    expected = every_continuation(model, [start, 2], 4, power)
    out = model.generate(
        torch.tensor([[start, 2]]),
        num_beams=200,
        num_return_sequences=5,
        max_new_tokens=4,
        eos_token_id=END,
        length_penalty=power,
        early_stopping="never" if power > 0 else False,
        pad_token_id=9,
        return_dict_in_generate=True,
        output_scores=True,
    )
    for row, score, (best, tokens) in zip(
        out.sequences.tolist(), out.sequences_scores.tolist(), expected, strict=False
    ):
        assert [token for token in row[2:] if token != 9] == tokens
        assert score == pytest.approx(best, abs=1e-5)


@pytest.mark.parametrize("early", [True, False, "never"])
@pytest.mark.parametrize("power", [0.0, 0.6, 2.0, -0.5])
def test_the_rules_are_kept_in_a_batch(table_model, early, power):
    draw = random.Random(1)
    model = table_model(vocabulary=12)
    prompts = [[draw.randrange(12) for _ in range(3)] for _ in range(8)]
    for width, length in itertools.product((2, 3), (3, 7)):
        settings = {
            "num_beams": width, "num_return_sequences": width, "max_new_tokens": length,
            "eos_token_id": END, "length_penalty": power, "early_stopping": early,
            "pad_token_id": 20,
        }  # fmt: skip
        out = model.generate(torch.tensor(prompts), **settings).unflatten(0, (8, width))
        for prompt, rows in zip(prompts, out.tolist(), strict=True):
            expected = plain_beam_search(model, prompt, length, width, power, early)
            found = [[token for token in row[3:] if token != 20] for row in rows]
            assert found == [tokens for _, tokens in expected]


def test_a_sequence_s_score_is_that_of_its_tokens(table_model):
    out = table_model().generate(
        torch.tensor([[5, 6], [9, 1]]),
        num_beams=3,
        num_return_sequences=3,
        max_new_tokens=6,
        eos_token_id=[3, 8],
        pad_token_id=9,
        length_penalty=0.7,
        return_dict_in_generate=True,
        output_scores=True,
    )
    for row, score, beams in zip(
        out.sequences.tolist(), out.sequences_scores, out.beam_indices.tolist(), strict=True
    ):
        length = sum(beam >= 0 for beam in beams)
        total = sum(float(out.scores[step][beams[step], row[2 + step]]) for step in range(length))
        assert float(score) == pytest.approx(total / length**0.7, abs=1e-5)


def test_fewer_texts_than_wanted_leave_empty_rows(table_model):
    out = table_model().generate(
        torch.tensor([[5, 6]]),
        num_beams=3,
        num_return_sequences=3,
        max_new_tokens=1,
        forced_eos_token_id=7,
        pad_token_id=9,
        return_dict_in_generate=True,
        output_scores=True,
    )
    assert out.sequences.tolist() == [[5, 6, 7], [5, 6, 9], [5, 6, 9]]
    assert out.sequences_scores.tolist() == pytest.approx([0.0, -1e9, -1e9])


def test_beam_sampling_draws_likely_texts_more_often(table_model):
    model = table_model(vocabulary=4)
    texts = every_continuation(model, [1, 2], 2, 0.0)
    rows = torch.tensor([[1, 2]]).expand(3000, 2)
    out = model.generate(
        rows, do_sample=True, top_k=0, num_beams=2, max_new_tokens=2, eos_token_id=END, seed=3
    )
    likely = texts[0][1]
    share = sum(row[2 : 2 + len(likely)] == likely for row in out.tolist()) / len(rows)
    assert share > math.exp(texts[0][0])
