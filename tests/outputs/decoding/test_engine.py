"""The engine: whatever comes and goes beside a request, it gets what it would get alone."""

from __future__ import annotations

import json
import random
import threading
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
import torch

from armature import auto
from armature.errors import ArgumentError, ArmatureError
from armature.outputs.decoding.engine import Engine

GOLDEN = Path(__file__).parents[2] / "golden" / "arch"
# A decoder that is planned, one that routes tokens, two stacks, one that may read its text anew.
MODELS = ("llama-biases", "mixtral-window", "bart-scaled", "phi3-grows")


@pytest.fixture(scope="module", params=MODELS)
def model(request):
    return opened(request.param)


@pytest.fixture(scope="module")
def llama():
    return opened("llama-biases")


def opened(name):
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    return auto.model_class(kind).from_pretrained(GOLDEN / name)


def a_request(model, number):
    """A prompt and settings by chance, the same for the same number."""
    chance = random.Random(number)
    generator = torch.Generator().manual_seed(number)
    shape = (1, chance.randint(1, 12))
    ids = torch.randint(6, model.config.vocab_size, shape, generator=generator)
    settings = {
        "max_new_tokens": chance.randint(3, 15),
        "eos_token_id": list(range(12)),
        "pad_token_id": 0,
    }
    kinds = [
        {},
        {"do_sample": True, "seed": number, "top_k": 20, "temperature": 1.5},
        {"do_sample": True, "seed": number, "top_p": 0.8, "num_return_sequences": 3},
        {"repetition_penalty": 1.3},
        {"no_repeat_ngram_size": 2, "min_new_tokens": 3},
    ]
    return ids, settings | chance.choice(kinds)


def arrive(engine, requests):
    """Submit requests a few at a time while others run; return them in order."""
    chance, waiting, found = random.Random(0), list(requests), []
    while waiting or not all(request.done for request in found):
        for _ in range(chance.randint(0, 3)):
            if waiting:
                ids, settings = waiting.pop(0)
                found.append(engine.submit(ids, **settings))
        engine.step()
    return found


def test_each_request_gets_what_it_would_get_alone(model):
    requests = [a_request(model, number) for number in range(125)]
    alone = [model.generate(ids, **settings) for ids, settings in requests]
    together = arrive(Engine(model, rows=8, tokens=500), requests)
    for request, expected in zip(together, alone, strict=True):
        assert torch.equal(request.result(0), expected)


def test_it_never_holds_more_than_it_was_told(llama):
    engine = Engine(llama, rows=6, tokens=120)
    most = []
    for number in range(60):
        ids, settings = a_request(llama, number)
        engine.submit(ids, max_new_tokens=settings["max_new_tokens"], eos_token_id=None)
    while engine.step():
        rows = sum(len(request.live) for request in engine._active)
        assert rows <= 6
        assert sum(request.room for request in engine._active) <= 120
        most.append(getattr(getattr(engine._steps, "cache", None), "size", 0))
    assert max(most) <= 120


def test_it_works_in_a_thread_and_takes_requests_from_any(llama):
    requests = [a_request(llama, number) for number in range(40)]
    alone = [llama.generate(ids, **settings) for ids, settings in requests]
    found = {}
    with Engine(llama, rows=8) as engine:

        def ask(numbers):
            for number in numbers:
                ids, settings = requests[number]
                found[number] = engine.submit(ids, **settings)

        threads = [threading.Thread(target=ask, args=(range(i, 40, 4),)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number, expected in enumerate(alone):
        assert torch.equal(found[number].result(0), expected)


def test_tokens_come_one_by_one(llama):
    ids, settings = torch.tensor([[7, 8, 9]]), {"max_new_tokens": 6, "eos_token_id": None}
    expected = llama.generate(ids, **settings)[0, 3:].tolist()
    with Engine(llama) as engine:
        assert list(engine.submit(ids, **settings)) == expected


def test_a_cancelled_request_leaves_at_once(llama):
    engine = Engine(llama, rows=2)
    ids = torch.tensor([[7, 8, 9]])
    first = engine.submit(ids, max_new_tokens=50, eos_token_id=None)
    second = engine.submit(ids, max_new_tokens=5, eos_token_id=None)
    third = engine.submit(ids, max_new_tokens=5, eos_token_id=None)
    engine.step()
    first.cancel()
    third.cancel()
    engine.run()
    for request in (first, third):
        with pytest.raises(CancelledError):
            request.result(0)
    expected = llama.generate(ids, max_new_tokens=5, eos_token_id=None)
    assert torch.equal(second.result(0), expected)


def test_a_request_that_fails_leaves_the_others_alone(llama):
    engine, ids = Engine(llama), torch.tensor([[7, 8, 9]])

    def broken(_ids, _scores):
        raise ValueError("my own rule")

    good = engine.submit(ids, max_new_tokens=5, eos_token_id=None)
    bad = engine.submit(ids, max_new_tokens=5, eos_token_id=None, logits_processor=broken)
    engine.run()
    with pytest.raises(ValueError, match="my own rule"):
        bad.result(0)
    assert torch.equal(good.result(0), llama.generate(ids, max_new_tokens=5, eos_token_id=None))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"num_beams": 2}, "num_beams"),
        ({"return_dict_in_generate": True}, "return_dict_in_generate"),
        ({"max_new_tokens": 10**6}, "room for"),
        ({"max_new_token": 5}, "max_new_tokens"),
    ],
)
def test_what_it_cannot_do_is_refused_when_it_is_asked_for(llama, given, words):
    with pytest.raises(ArmatureError, match=words):
        Engine(llama).submit(torch.tensor([[7, 8]]), **given)


def test_one_prompt_is_one_request(llama):
    with pytest.raises(ArgumentError, match="submit each by itself"):
        Engine(llama).submit(torch.tensor([[7, 8], [9, 7]]))
