"""Draws follow the distribution, and a seeded row's depend on its own seed and prompt only."""

import math
import random

import numpy as np
import pytest
import torch

from armature.auto import model_class
from armature.outputs.decoding.chance import SeededChance, SharedChance, chance, row_seed
from armature.outputs.decoding.generate import generate

LOGITS = torch.tensor([2.0, 1.5, 1.2, 0.3, 0.0, -0.4, -1.0, -2.5, 1.1, -0.2, 0.6, -3.0])
DRAWS = 8000


class OneDistribution:
    """Scores the same, whatever was said."""

    config = None
    is_encoder_decoder = False
    device = torch.device("cpu")

    def __init__(self, logits, generation_config):
        self.logits, self.generation_config = logits, generation_config

    def steps(self, prompt, prompt_mask, inputs, capacity):
        self.rows = len(prompt)
        return self

    def start(self):
        return self.logits.expand(self.rows, -1)

    def step(self, tokens):
        self.rows = len(tokens)
        return self.start()

    def select(self, rows):
        self.rows = len(rows)


def chi_squared(counts, probabilities):
    """Return how surprising the counts are, as a number of standard deviations."""
    expected = probabilities * counts.sum()
    assert (counts[expected == 0] == 0).all(), "a token was drawn that cannot be"
    kept = expected > 0
    value = ((counts - expected)[kept] ** 2 / expected[kept]).sum()
    freedom = int(kept.sum()) - 1
    if freedom == 0:
        return 0.0
    # Wilson and Hilferty: the cube root of a chi-squared is nearly normal
    share = 2 / (9 * freedom)
    return float(((value / freedom) ** (1 / 3) - (1 - share)) / math.sqrt(share))


def exact(**settings):
    """Return the probabilities (V,) that a setting should leave, worked out in plain numbers."""
    scores = (LOGITS / settings.get("temperature", 1.0)).tolist()
    weights = [math.exp(score) for score in scores]
    order = sorted(range(len(weights)), key=lambda token: -weights[token])
    kept = set(order)

    def share(token):
        return weights[token] / sum(weights[other] for other in kept)

    if "top_h" in settings:
        costs = [-share(token) * math.log(share(token)) for token in order]
        reached = [sum(costs[: i + 1]) for i in range(len(order))]
        most = settings["top_h"] * sum(costs)
        kept = {token for i, token in enumerate(order) if not i or reached[i] <= most}
    if settings.get("top_k"):
        kept = set(order[: settings["top_k"]])
    if "top_p" in settings:
        total, found = 0.0, set()
        for token in (token for token in order if token in kept):
            if total < settings["top_p"]:
                found.add(token)
            total += share(token)
        kept = found
    if "min_p" in settings:
        kept = {token for token in kept if share(token) >= settings["min_p"] * share(order[0])}
    if "typical_p" in settings:
        entropy = -sum(share(token) * math.log(share(token)) for token in kept)
        near = sorted(kept, key=lambda token: abs(-math.log(share(token)) - entropy))
        total, found = 0.0, set()
        for token in near:
            if total < settings["typical_p"]:
                found.add(token)
            total += share(token)
        kept = found
    if "epsilon_cutoff" in settings:
        kept = {token for token in kept if share(token) >= settings["epsilon_cutoff"]}
    if "eta_cutoff" in settings:
        entropy = -sum(share(token) * math.log(share(token)) for token in kept)
        bound = min(settings["eta_cutoff"], settings["eta_cutoff"] ** 0.5 * math.exp(-entropy))
        kept = {token for token in kept if share(token) >= bound}
    return torch.tensor([share(token) if token in kept else 0.0 for token in range(len(weights))])


@pytest.mark.parametrize("seeded", [False, True], ids=["shared", "seeded"])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.6},
        {"temperature": 1.7},
        {"top_k": 4},
        {"top_p": 0.7},
        {"top_k": 6, "top_p": 0.9},
        {"min_p": 0.2},
        {"epsilon_cutoff": 0.05},
        {"typical_p": 0.6},
        {"typical_p": 0.9},
        {"eta_cutoff": 0.05},
        {"eta_cutoff": 0.4},
        {"top_h": 0.5},
        {"top_h": 0.8},
        {"temperature": 0.8, "top_h": 0.9, "top_k": 7, "epsilon_cutoff": 0.06},
        {"top_k": 9, "top_p": 0.95, "min_p": 0.05, "typical_p": 0.8, "eta_cutoff": 0.1},
        {"temperature": 1.3, "top_k": 8, "top_p": 0.8, "min_p": 0.1},
    ],
    ids=str,
)
def test_draws_follow_the_distribution(table_model, settings, seeded):
    model = OneDistribution(LOGITS, table_model().generation_config)
    torch.manual_seed(3)
    settings = {"top_k": 0, **settings}
    out = generate(
        model,
        torch.zeros(DRAWS // 20, 1, dtype=torch.long),
        do_sample=True,
        max_new_tokens=20,
        seed=9 if seeded else None,
        **settings,
    )
    counts = out[:, 1:].flatten().bincount(minlength=len(LOGITS)).float()
    assert abs(chi_squared(counts, exact(**settings))) < 3.5


@pytest.mark.parametrize(
    "make", [lambda n: SharedChance(n), lambda n: SeededChance(range(n), None)]
)
def test_several_draws_are_without_replacement(make):
    torch.manual_seed(5)
    weights, rows = torch.tensor([4.0, 2.0, 1.0, 1.0]), torch.arange(6000)
    drawn = make(len(rows)).draw(weights.log().expand(len(rows), -1), rows, 2)
    assert (drawn[:, 0] != drawn[:, 1]).all()
    pairs = (drawn[:, 0] * 4 + drawn[:, 1]).bincount(minlength=16).float()
    share = weights / weights.sum()
    expected = share[:, None] * share / (1 - share[:, None]) * (1 - torch.eye(4))
    assert abs(chi_squared(pairs, expected.flatten())) < 3.5


def test_a_seeded_draw_does_not_depend_on_what_was_left_out():
    scores = torch.randn(50, 400, generator=torch.Generator().manual_seed(1))
    rows, last = torch.arange(50), scores.topk(30).values[:, -1:]
    none = SeededChance(range(50), None).draw(scores.masked_fill(scores < last, -math.inf), rows, 3)
    hardly = SeededChance(range(50), None).draw(scores.masked_fill(scores < last, -1e9), rows, 3)
    assert none.equal(hardly)


def test_without_a_seed_draws_are_those_of_multinomial():
    probabilities = torch.rand(7, 30, generator=torch.Generator().manual_seed(1)).softmax(-1)
    for count in (1, 4):
        torch.manual_seed(11)
        expected = torch.multinomial(probabilities, count)
        torch.manual_seed(11)
        rows = torch.arange(7)
        assert SharedChance(7).draw(probabilities.log(), rows, count).equal(expected)


@pytest.mark.parametrize("strategy", [{}, {"num_beams": 2}], ids=["sampling", "beams"])
def test_a_seeded_row_draws_the_same_in_any_company(table_model, strategy):
    draw = random.Random(4)
    settings = {
        "do_sample": True, "max_new_tokens": 8, "eos_token_id": [3, 8], "pad_token_id": 0,
        "temperature": 1.4, "top_k": 9, **strategy,
    }  # fmt: skip
    prompts = [[draw.randrange(24) for _ in range(3)] for _ in range(40)]

    def run(numbers):
        ids = torch.tensor([prompts[number] for number in numbers])
        rows = table_model().generate(ids, seed=[100 + number for number in numbers], **settings)
        return [tuple(row) for row in rows.tolist()]

    def cut(row):
        end = next((i + 1 for i, token in enumerate(row) if i > 2 and token in (3, 8)), len(row))
        return row[:end]

    alone = {number: cut(run([number])[0]) for number in range(len(prompts))}
    for _ in range(60):
        numbers = draw.sample(range(len(prompts)), draw.randrange(1, 9))
        for number, row in zip(numbers, run(numbers), strict=True):
            assert cut(row) == alone[number]


def test_a_thousand_batches_of_a_model_draw_what_their_rows_draw_alone():
    kind = model_class("LlamaForCausalLM")
    sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "vocab_size": 40}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "initializer_range": 1.0}
    torch.manual_seed(4)
    model = kind.from_config(kind.config_class.from_dict({**sizes, **heads}))
    draw, settings = random.Random(8), {"do_sample": True, "max_new_tokens": 2, "pad_token_id": 0}
    settings |= {"temperature": 1.3, "top_k": 12, "top_p": 0.95, "eos_token_id": [4, 9]}
    texts = [[draw.randrange(5, 40) for _ in range(draw.randint(1, 5))] for _ in range(60)]

    def drawn(numbers):
        gaps = [[0] * (5 - len(texts[number])) for number in numbers]
        left = draw.random() < 0.5
        pairs = [(gap, texts[number]) for gap, number in zip(gaps, numbers, strict=True)]
        ids = torch.tensor([gap + text if left else text + gap for gap, text in pairs])
        seeds = [500 + number for number in numbers]
        out = model.generate(ids, attention_mask=(ids > 0).long(), seed=seeds, **settings)
        rows = [row + [0] * (2 - len(row)) for row in out[:, 5:].tolist()]
        return [tuple(row) for row in rows]

    alone = [drawn([number])[0] for number in range(len(texts))]
    assert len(set(alone)) > 40
    different = 0
    for _ in range(1000):
        numbers = draw.sample(range(len(texts)), draw.randint(1, 6))
        rows = drawn(numbers)
        different += sum(row != alone[n] for row, n in zip(rows, numbers, strict=True))
    assert different == 0


def test_one_seed_serves_all_rows_and_the_first_keeps_it(table_model):
    ids = torch.tensor([[5, 6], [5, 6], [5, 6]])
    settings = {"do_sample": True, "max_new_tokens": 12, "top_k": 0}
    together = table_model().generate(ids, seed=7, **settings)
    assert len({tuple(row) for row in together.tolist()}) == 3
    each = [row_seed(7, row) for row in range(3)]
    assert table_model().generate(ids, seed=each, **settings).equal(together)
    assert table_model().generate(ids, seed=np.array(each), **settings).equal(together)
    assert table_model().generate(ids[:1], seed=7, **settings).equal(together[:1])
    several = table_model().generate(ids, seed=7, num_return_sequences=2, **settings)
    assert several[::2].equal(together)
    assert len({tuple(row) for row in several.tolist()}) == 6


def test_a_seeded_call_leaves_the_global_random_state_alone(table_model):
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    table_model().generate(torch.tensor([[5]]), do_sample=True, seed=3)
    table_model().generate(torch.tensor([[5]]), do_sample=True, num_beams=2, seed=3)
    assert torch.rand(3).equal(expected)


def test_the_seeded_draws_of_a_release_stay_those_of_the_next():
    drawn = chance(7, 2, 2, torch.device("cpu")).draw(torch.zeros(4, 1000), torch.arange(4), 1)
    assert drawn.flatten().tolist() == [741, 987, 37, 381]
