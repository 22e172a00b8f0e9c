"""Chains of labels against every path counted one by one, and a checkpoint that carries one."""

from __future__ import annotations

import itertools
import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from armature import AutoModelForTokenClassification, pipeline
from armature.outputs.chain import LinearChain, inside_after_begin

GOLDEN = Path(__file__).parent.parent / "golden" / "pipelines" / "entities"


def chain(labels: int, seed: int = 0) -> LinearChain:
    made, generator = LinearChain(labels).double(), torch.Generator().manual_seed(seed)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, generator=generator)
    return made


def every_path(made: LinearChain, scores: torch.Tensor) -> dict[tuple[int, ...], float]:
    """Score all paths through (T, L)."""
    found = {}
    for path in itertools.product(range(scores.shape[1]), repeat=len(scores)):
        score = made.start_transitions[path[0]] + made.end_transitions[path[-1]]
        score = score + sum(made.transitions[a, b] for a, b in itertools.pairwise(path))
        found[path] = float(score + sum(scores[i, label] for i, label in enumerate(path)))
    return found


KEPT = [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [0, 1, 0, 1, 1], [0, 0, 0, 0, 1]]


@pytest.fixture
def case():
    generator = torch.Generator().manual_seed(1)
    scores = torch.randn(len(KEPT), 5, 3, dtype=torch.float64, generator=generator)
    labels = torch.randint(0, 3, (len(KEPT), 5), generator=generator)
    return chain(3), scores, labels, torch.tensor(KEPT).bool()


def test_probabilities_of_paths_equal_those_counted_one_by_one(case):
    made, scores, labels, kept = case
    found = made.log_likelihood(scores, labels, kept)
    for row in range(len(KEPT)):
        paths = every_path(made, scores[row, kept[row]])
        total = torch.logsumexp(torch.tensor(list(paths.values()), dtype=torch.float64), 0)
        wanted = paths[tuple(labels[row, kept[row]].tolist())] - float(total)
        assert float(found[row]) == pytest.approx(wanted, abs=1e-9)


def test_the_best_path_and_marginals_equal_those_counted_one_by_one(case):
    made, scores, _, kept = case
    decoded, marginals = made.decode(scores, kept), made.marginals(scores, kept)
    for row in range(len(KEPT)):
        paths = every_path(made, scores[row, kept[row]])
        assert tuple(decoded[row, kept[row]].tolist()) == max(paths, key=paths.__getitem__)
        assert set(decoded[row, ~kept[row]].tolist()) <= {-1}
        weights = torch.tensor(list(paths.values()), dtype=torch.float64).softmax(0)
        for place in range(int(kept[row].sum())):
            label = torch.tensor([path[place] for path in paths])
            wanted = torch.stack([weights[label == one].sum() for one in range(3)])
            found = marginals[row, kept[row]][place].double()
            torch.testing.assert_close(found, wanted, atol=1e-6, rtol=1e-5)


def test_gradients_of_the_loss(case):
    made, scores, labels, kept = case
    parameters = tuple(made.parameters())

    def loss(scores, *_):
        return -made.log_likelihood(scores, labels, kept).mean()

    assert torch.autograd.gradcheck(loss, (scores.requires_grad_(), *parameters))


def test_an_empty_sequence_costs_nothing():
    scores, labels = torch.randn(1, 2, 3).double(), torch.zeros(1, 2, dtype=torch.long)
    none = torch.zeros(1, 2, dtype=torch.bool)
    assert float(chain(3).log_likelihood(scores, labels, none)) == 0.0


def test_constraints_forbid_an_entity_that_goes_on_before_it_begins():
    names = {0: "O", 1: "B-PER", 2: "I-PER", 3: "I-LOC"}
    follows, made = inside_after_begin(names), chain(4)
    for seed in range(20):
        scores = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(seed)).double()
        kept = torch.ones(1, 6, dtype=torch.bool)
        path = [names[label] for label in made.decode(scores, kept, follows)[0].tolist()]
        assert "I-LOC" not in path
        pairs = list(itertools.pairwise(["O", *path]))
        assert not [1 for a, b in pairs if b == "I-PER" and a not in ("B-PER", "I-PER")]


@pytest.fixture
def folder(tmp_path):
    """A published layout: an encoder, a classifier, and `crf.*` beside them."""
    shutil.copytree(GOLDEN, tmp_path / "crf")
    file = tmp_path / "crf" / "model.safetensors"
    tensors, made = load_file(file), chain(AutoModelForTokenClassification.from_pretrained(
        GOLDEN).config.num_labels, seed=3).float()  # fmt: skip
    extra = {f"crf.{name}": 3 * tensor.detach() for name, tensor in made.named_parameters()}
    save_file(tensors | extra, file, {"format": "pt"})
    return tmp_path / "crf"


def test_a_checkpoint_that_carries_a_chain_is_decoded_by_it(folder, tmp_path):
    model = AutoModelForTokenClassification.from_pretrained(folder)
    assert not model.load_report.new
    assert not model.load_report.unexpected
    ids = torch.arange(5, 14)[None].repeat(2, 1)
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    output = model(ids, attention_mask=mask)
    best = every_path(model.head.chain, output.logits[1, :4])
    alone = model(ids[1:, :4])
    assert tuple(alone.paths[0].tolist()) == max(best, key=best.__getitem__)
    assert output.paths[1, 6:].tolist() == [-1] * 3
    labels = output.paths.masked_fill(output.paths < 0, -100)
    trained = model(ids, attention_mask=mask, labels=labels)
    trained.loss.backward()
    assert all(p.grad is not None for p in model.head.chain.parameters())
    model.save_pretrained(tmp_path / "saved")
    saved = load_file(tmp_path / "saved" / "model.safetensors")
    assert saved.keys() == load_file(folder / "model.safetensors").keys()
    again = AutoModelForTokenClassification.from_pretrained(tmp_path / "saved")
    assert torch.equal(again(ids, attention_mask=mask).paths, output.paths)


def test_the_pipeline_uses_the_decoded_path(folder):
    ask = pipeline("token-classification", model=folder, ignore_labels=[])
    text = "John Smith went to New York, again."
    batch = ask.tokenizer(text, return_tensors="pt")
    path = ask.model(**batch).paths[0].tolist()
    names = ask.model.config.id2label
    found = ask(text)
    assert [one["entity"] for one in found] == [names[path[one["index"]]] for one in found]
    assert [names[i] for i in ask.model(**batch).logits[0].argmax(-1).tolist()] != [
        names[i] for i in path
    ]
    assert all(0 < one["score"] <= 1 for one in found)


def test_a_fresh_chain_is_asked_for(tmp_path):
    config = json.loads((GOLDEN / "config.json").read_text())
    model = AutoModelForTokenClassification.from_pretrained(GOLDEN, crf=True)
    assert model.load_report.new == [
        f"crf.{name}" for name in ("start_transitions", "end_transitions", "transitions")
    ]
    assert len(config["id2label"]) == len(model.head.chain.start_transitions)
