"""Steps: reading several tokens at once, taking them back, moving rows: the same scores always."""

import json
from pathlib import Path

import pytest
import torch

from armature.auto import model_class

GOLDEN = Path(__file__).parents[1] / "golden" / "arch"

# Positions of every kind, windows, shared and switching tables, two stacks.
DECODERS = [
    "gpt2-untied", "llama-biases", "llama-dynamic", "phi3-grows", "mistral-window",
    "gemma3-turns", "bloom-normed", "mpt-left", "falcon-alibi", "opt-left", "roberta-causal",
    "gptj-tied", "gpt_neo-windows", "mixtral-window",
]  # fmt: skip
PAIRS = ["bart-untied", "t5-gated", "m2m-untied", "longt5-sums", "encoder-decoder-gpt2"]


def opened(name):
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    return model_class(kind).from_pretrained(GOLDEN / name)


def begun(model, seed=0):
    """Return a padded batch's steps, and its prompts without padding."""
    generator = torch.Generator().manual_seed(seed)
    vocabulary = model.config.vocab_size if "vocab_size" in model.config else 30
    texts = [torch.randint(5, vocabulary, (n,), generator=generator) for n in (4, 7, 2)]
    ids, mask = torch.zeros(3, 7, dtype=torch.long), torch.zeros(3, 7, dtype=torch.long)
    for row, text in enumerate(texts):
        side = slice(0, len(text)) if row % 2 else slice(7 - len(text), 7)
        ids[row, side], mask[row, side] = text, 1
    if model.is_encoder_decoder:
        start = torch.full((3, 1), 3)
        return model.steps(start, None, {"input_ids": ids, "attention_mask": mask}, 30)
    return model.steps(ids, mask, {}, 30)


@pytest.mark.parametrize("name", [*DECODERS, *PAIRS])
@torch.inference_mode()
def test_several_tokens_at_once_score_as_one_after_another(name):
    model = opened(name)
    one, many = begun(model), begun(model)
    assert one.start().equal(many.start())
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(5, 20, (3, 6), generator=generator)
    expected = torch.stack([one.step(column) for column in tokens.T], 1)
    torch.testing.assert_close(many.extend(tokens[:, :2]), expected[:, :2], rtol=1e-5, atol=1e-5)
    wrong = torch.randint(5, 20, (3, 4), generator=generator)
    many.extend(wrong, torch.tensor([1, 4, 2]))
    many.crop(torch.tensor([1, 4, 2]))
    many.extend(wrong[:, :2])
    many.crop(2)
    counts = torch.tensor([3, 1, 2])
    some = many.extend(tokens[:, 2:5], counts)
    for row, count in enumerate(counts.tolist()):
        torch.testing.assert_close(
            some[row, :count], expected[row, 2 : 2 + count], rtol=1e-5, atol=1e-5
        )
    many.crop(counts - 1)  # each row goes on from a place of its own
    rows = torch.tensor([2, 0, 0])
    many.select(rows)
    again = many.extend(tokens[rows, 3:])
    torch.testing.assert_close(again, expected[rows, 3:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2-untied", "llama-biases", "bart-untied"])
@torch.inference_mode()
def test_states_are_those_behind_the_scores(name):
    model = opened(name)
    steps = begun(model)
    scores = steps.start()
    lengths = [1, 1, 1] if model.is_encoder_decoder else [4, 7, 2]
    last = torch.stack([row[n - 1] for row, n in zip(steps.states, lengths, strict=True)])
    torch.testing.assert_close(model.head.scores(last), scores, rtol=1e-5, atol=1e-5)
    scores = steps.step(torch.tensor([5, 6, 7]))
    steps.select(torch.tensor([2, 0]))
    found = model.head.scores(steps.states[:, -1])
    torch.testing.assert_close(found, scores[[2, 0]], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["gpt2-untied", "llama-biases", "bart-untied", "mistral-window"])
@torch.inference_mode()
def test_without_a_cache_the_scores_are_the_same(name):
    model = opened(name)
    ids = torch.tensor([[5, 6, 7], [8, 9, 10]])
    inputs = {"input_ids": ids} if model.is_encoder_decoder else {}
    start = ids[:, :1] if model.is_encoder_decoder else ids
    kept = model.steps(start, None, inputs, 30)
    anew = model.steps(start, None, {**inputs, "use_cache": False}, 30)
    torch.testing.assert_close(anew.start(), kept.start())
    for column in ([3, 4], [5, 9], [7, 7]):
        tokens = torch.tensor(column)
        torch.testing.assert_close(anew.step(tokens), kept.step(tokens), rtol=1e-5, atol=1e-5)
        kept.select(torch.tensor([1, 0]))
        anew.select(torch.tensor([1, 0]))
