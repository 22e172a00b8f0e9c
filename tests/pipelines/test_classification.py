"""Labels for texts and pairs, in the shapes that users know."""

from __future__ import annotations

import pytest
from conftest import GOLDEN, close, opened

from armature.errors import ArgumentError, UnknownArgumentError
from armature.pipelines.classification import TextClassificationPipeline

TEXT, PAIR = "a list of names", {"text": "a list of names", "text_pair": "the block"}


def test_how_many_labels_decides_the_shape():
    pipe = opened("labels")
    best = pipe(TEXT)[0]
    every = pipe(TEXT, top_k=None)
    assert every[0] == best
    assert sum(label["score"] for label in every) == pytest.approx(1)
    assert [label["score"] for label in every] == sorted((x["score"] for x in every), reverse=True)
    assert pipe(TEXT, top_k=1) == [best]
    assert pipe(TEXT, top_k=99) == every
    assert pipe([TEXT]) == [best]
    assert pipe([TEXT], top_k=2) == [every[:2]]
    assert pipe(PAIR)["label"] in {label["label"] for label in every}


def test_options_of_the_construction_hold_for_every_call():
    shared = opened("labels")
    pipe = TextClassificationPipeline(model=shared.model, tokenizer=shared.tokenizer, top_k=2)
    assert len(pipe([TEXT])[0]) == 2
    assert len(pipe([TEXT], top_k=1)[0]) == 1
    # As in the reference, a single text's list stands in a list unless the call itself says top_k.
    assert len(pipe(TEXT)) == 1
    assert len(pipe(TEXT)[0]) == 2


def test_the_older_spelling_keeps_the_order_of_the_labels():
    pipe = opened("labels")
    (scores,) = pipe(TEXT, return_all_scores=True)
    names = list(pipe.model.config.id2label.values())
    assert [label["label"] for label in scores] == names
    assert pipe(TEXT, return_all_scores=False) == pipe(TEXT)


def test_what_makes_scores_of_the_models_numbers():
    pipe = opened("labels")
    raw = pipe([TEXT], function_to_apply="none", return_all_scores=True)[0]
    import torch

    numbers = torch.tensor([label["score"] for label in raw])
    for function in ("sigmoid", "softmax"):
        wanted = getattr(numbers, function)(*((-1,) if function == "softmax" else ()))
        scores = pipe([TEXT], function_to_apply=function.upper(), return_all_scores=True)[0]
        assert [label["score"] for label in scores] == pytest.approx(wanted.tolist(), rel=1e-5)
    with pytest.raises(ArgumentError, match="Did you mean `softmax`"):
        pipe(TEXT, function_to_apply="softmx")


@pytest.mark.parametrize(
    ("settings", "function"),
    [
        ({"problem_type": "multi_label_classification"}, "sigmoid"),
        ({"problem_type": "regression"}, "none"),
        ({"problem_type": "single_label_classification"}, "softmax"),
        ({"num_labels": 1}, "sigmoid"),
        ({}, "softmax"),
    ],
)
def test_the_models_problem_decides_what_scores_are(settings, function):
    from armature import AutoConfig, AutoModelForSequenceClassification

    config = AutoConfig.from_pretrained(GOLDEN / "labels", **settings)
    model = AutoModelForSequenceClassification.from_config(config)
    pipe = TextClassificationPipeline(model, opened("labels").tokenizer)
    assert close(pipe(TEXT), pipe(TEXT, function_to_apply=function))


def test_pairs_come_in_several_spellings():
    pipe = opened("labels")
    wanted = pipe(PAIR)
    texts = list(PAIR.values())
    assert close(pipe([PAIR, {"text": texts[0]}]), [wanted, pipe([texts[0]])[0]])
    assert close(pipe([[texts]]), [wanted])
    with pytest.raises(UnknownArgumentError, match="text_pair"):
        pipe({"text": TEXT, "text_pari": TEXT})
    for wrong in ({"text_pair": TEXT}, [["a", "b", "c"]], [3]):
        with pytest.raises(ArgumentError, match="text_pair"):
            pipe(wrong)
