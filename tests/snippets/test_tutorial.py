"""Snippets of a tutorial, as one types them at the prompt: what it shows is compared."""

from __future__ import annotations

import doctest

import pytest
import torch
from PIL import Image
from stand_ins import PACKAGE

import armature

exact = pytest.mark.skipif(PACKAGE is None, reason="needs bert-base-uncased's vocabulary")


@pytest.fixture
def prompt():
    """A function that types a session at the prompt and compares what is shown."""
    names: dict = {}

    def typed(session):
        session = session.replace("from transformers import", "from armature import")
        test = doctest.DocTestParser().get_doctest(session, names, "session", None, None)
        runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE, verbose=False)
        said: list[str] = []
        runner.run(test, out=said.append, clear_globs=False)
        assert not runner.failures, "".join(said)
        return test.globs

    return typed


@exact
def test_the_hobbit_has_the_published_ids(prompt):
    prompt("""
>>> from transformers import AutoTokenizer

>>> tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
>>> sequence = "In a hole in the ground there lived a hobbit."
>>> print(tokenizer(sequence))
{'input_ids': [101, 1999, 1037, 4920, 1999, 1996, 2598, 2045, 2973, 1037, 7570, 10322, 4183, 1012, 102], 
 'token_type_ids': [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 
 'attention_mask': [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]}
""")  # noqa: E501, W291


def test_one_checkpoint_under_two_tasks(prompt, caplog):
    first = prompt("""
>>> from transformers import AutoModelForSequenceClassification

>>> model = AutoModelForSequenceClassification.from_pretrained("distilbert-base-uncased")
""")["model"]
    second = prompt("""
>>> from transformers import AutoModelForTokenClassification

>>> model = AutoModelForTokenClassification.from_pretrained("distilbert-base-uncased")
""")["model"]
    assert first.untrained and second.untrained
    assert [message.split(": ")[1] for message in caplog.messages] == [
        "the head of DistilBertForSequenceClassification is new, not trained",
        "the head of DistilBertForTokenClassification is new, not trained",
    ]
    with pytest.raises(armature.ArmatureError, match="no trained head"):
        armature.pipeline("ner", model="distilbert-base-uncased")


def test_processors_of_pictures_sounds_and_pages(prompt):
    pictures = prompt("""
>>> from transformers import AutoImageProcessor

>>> image_processor = AutoImageProcessor.from_pretrained("google/vit-base-patch16-224")
""")["image_processor"]
    photo = Image.new("RGB", (300, 200), "teal")
    assert pictures(photo, return_tensors="pt")["pixel_values"].shape == (1, 3, 224, 224)
    sounds = prompt("""
>>> from transformers import AutoFeatureExtractor

>>> feature_extractor = AutoFeatureExtractor.from_pretrained(
...     "ehcalabres/wav2vec2-lg-xlsr-en-speech-emotion-recognition"
... )
""")["feature_extractor"]
    heard = sounds([[0.0, 0.5, 0.25], [0.5, 0.0]], padding=True, sampling_rate=16_000)
    assert [len(row) for row in heard["input_values"]] == [3, 3]
    pages = prompt("""
>>> from transformers import AutoProcessor

>>> processor = AutoProcessor.from_pretrained("microsoft/layoutlmv2-base-uncased")
""")["processor"]
    assert type(pages).__name__ == "LayoutLMv2Processor"
    read = pages(photo, ["library", "model"], boxes=[[0, 0, 9, 9], [9, 9, 99, 99]])
    assert set(read) == {"input_ids", "token_type_ids", "attention_mask", "bbox", "image"}


def test_feature_maps_of_a_backbone(prompt):
    prompt("""
>>> from transformers import AutoImageProcessor, AutoBackbone
>>> import torch
>>> from PIL import Image
>>> image = Image.new("RGB", (640, 480))
>>> processor = AutoImageProcessor.from_pretrained("microsoft/swin-tiny-patch4-window7-224")
>>> model = AutoBackbone.from_pretrained("microsoft/swin-tiny-patch4-window7-224", out_indices=(0,))

>>> inputs = processor(image, return_tensors="pt")
>>> outputs = model(**inputs)
>>> feature_maps = outputs.feature_maps
>>> list(feature_maps[-1].shape)
[1, 96, 56, 56]
""")


def test_a_backbone_opens_from_a_folder_with_the_network_forbidden(hub):
    folder = hub.snapshot("microsoft/swin-tiny-patch4-window7-224")
    model = armature.AutoBackbone.from_pretrained(folder, out_indices=(0, 2))
    maps = model(torch.rand(2, 3, 224, 224)).feature_maps
    assert [tuple(found.shape) for found in maps] == [(2, 96, 56, 56), (2, 192, 28, 28)]
    assert model.out_features == ["stem", "stage2"]
    assert model.channels == [96, 192]
