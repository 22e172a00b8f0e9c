"""Contrasting layers: worked out by hand from the states that a forward pass shows."""

import json
import math
from pathlib import Path

import pytest
import torch

from armature.auto import model_class
from armature.errors import ArgumentError
from armature.outputs.decoding.dola import early_layers

GOLDEN = Path(__file__).parents[2] / "golden" / "arch"
PLAIN = {"eos_token_id": None, "pad_token_id": 0}


def opened(name):
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    return model_class(kind).from_pretrained(GOLDEN / name)


def by_hand(model, ids, layers):
    """Return the scores (V,) of the next token of one text."""
    with torch.no_grad():
        states = model(ids, output_hidden_states=True).hidden_states
        last, *early = (
            model.head.scores(states[layer][0, -1:])[0].softmax(-1).tolist()
            for layer in (-1, *layers)
        )

    def apart(other):
        total = 0.0
        for p, q in zip(last, other, strict=True):
            middle = (p + q) / 2
            total += middle * (math.log(middle / p) + math.log(middle / q))
        return total

    base = max(early, key=apart)
    least = max(last) * 0.1
    return [
        math.log(p) - math.log(q) if p >= least else -math.inf
        for p, q in zip(last, base, strict=True)
    ]


@pytest.mark.parametrize("layers", ["low", "high", [0], [0, 1]])
@pytest.mark.parametrize("name", ["llama-biases", "gpt2-untied"])
def test_scores_are_those_of_the_formulas(name, layers):
    model = opened(name)
    ids, mask = torch.tensor([[0, 0, 7, 8], [9, 10, 11, 12]]), torch.tensor([[0, 0, 1, 1], [1] * 4])
    out = model.generate(
        ids, attention_mask=mask, dola_layers=layers, max_new_tokens=5,
        return_dict_in_generate=True, output_scores=True, **PLAIN,
    )  # fmt: skip
    tied = model.config.tie_word_embeddings
    early = early_layers(layers, model.stack.depth, tied=tied)
    for row, gap in enumerate((2, 0)):
        for step in range(5):
            text = out.sequences[row : row + 1, gap : 4 + step]
            expected = torch.tensor(by_hand(model, text, early))
            torch.testing.assert_close(out.scores[step][row], expected, rtol=1e-4, atol=1e-4)
            assert int(out.sequences[row, 4 + step]) == int(expected.argmax())
    sampled = model.generate(
        ids, attention_mask=mask, dola_layers=layers, do_sample=True, seed=1,
        num_return_sequences=2, max_new_tokens=3, **PLAIN,
    )  # fmt: skip
    assert sampled.shape == (4, 7)


def test_which_layers_are_meant():
    assert early_layers("low", 32, tied=False) == list(range(0, 16, 2))
    assert early_layers("low", 32, tied=True) == list(range(2, 16, 2))
    assert early_layers("high", 32, tied=True) == list(range(16, 32, 2))
    assert early_layers("low", 48, tied=False) == list(range(0, 20, 2))
    assert early_layers("high", 48, tied=False) == list(range(28, 48, 2))
    assert early_layers("low", 4, tied=True) == [2]
    assert early_layers([3, 1, 9], 5, tied=True) == [3, 1]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dola_layers": [99]}, "none of the layers before the last"),
        ({"dola_layers": "middle"}, '"low", "high"'),
        ({"dola_layers": []}, '"low", "high"'),
        ({"dola_layers": "low", "num_beams": 2}, "num_beams=2"),
        ({"dola_layers": "low", "prompt_lookup_num_tokens": 2}, "prompt_lookup_num_tokens=2"),
        ({"dola_layers": "low", "guidance_scale": 1.5}, "guidance_scale=1.5"),
    ],
)
def test_what_cannot_be_done_is_refused(settings, words):
    model, ids = opened("llama-biases"), torch.tensor([[7, 8]])
    with pytest.raises(ArgumentError, match=words):
        model.generate(ids, **settings, **PLAIN)
    with pytest.raises(ArgumentError, match="does not go with `dola_layers"):
        model.generate(ids, dola_layers=[0], assistant_model=model, **PLAIN)
