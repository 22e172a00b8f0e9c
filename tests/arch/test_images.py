"""Architectures of images: rows, gradients, bad input, and pipelines."""

from __future__ import annotations

import json

import pytest
import torch
from goldens import GOLDEN, opened, recorded
from test_recorded import DENSE, DETECTORS, IMAGES

from armature import pipeline
from armature.errors import ArgumentError, UnknownArgumentError

OTHERS = ("swin", *DETECTORS, *DENSE)
STACKS = [name for name in IMAGES if not name.startswith(OTHERS) and "/maps" not in name]


@pytest.mark.parametrize("name", [name for name in STACKS if not name.endswith("/restored")])
@torch.no_grad()
def test_an_image_does_not_depend_on_its_neighbours(name):
    model, (given, _) = opened(name), recorded(name)
    given = {key: given[key] for key in {"pixel_values", "input_values", "noise"} & given.keys()}
    together = model(**given)[0]
    alone = model(**{key: x[1:] for key, x in given.items()})[0]
    torch.testing.assert_close(together[-len(alone) :], alone, atol=1e-5, rtol=1e-5)


# HF: where pixels get classes, the last block does not matter.
@pytest.mark.parametrize("name", [name for name in STACKS if not name.endswith("/pixels")])
def test_gradients_reach_every_weight(name):
    model, (given, _) = opened(name), recorded(name)
    found = [x for x in model(**given).values() if isinstance(x, torch.Tensor)]
    sum((x**2).sum() for x in found).backward()
    assert [key for key, weight in model.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("name", ["vit/classes", "deit/taught"])
@torch.no_grad()
def test_one_forward_pass_compiles_to_one_graph(name):
    model, (given, _) = opened(name), recorded(name)
    given = {"pixel_values": given["pixel_values"]}
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(**given).logits, model(**given).logits)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({}, ArgumentError, "pixel_values"),
        ({"input_ids": torch.ones(1, 3).long()}, UnknownArgumentError, "input_ids"),
        ({"pixel_values": torch.zeros(1, 4, 24, 24)}, ArgumentError, "3, height"),
        ({"pixel_values": torch.zeros(1, 3, 24, 24).byte()}, ArgumentError, "whole numbers"),
        ({"pixel_values": torch.zeros(1, 3, 36, 24)}, ArgumentError, "interpolate_pos_encoding"),
        ({"pixel_values": torch.zeros(1, 3, 5, 24)}, ArgumentError, "no whole patch"),
    ],
)
def test_bad_images_are_refused(given, error, words):
    with pytest.raises(error, match=words):
        opened("vit/classes")(**given)


def test_hidden_patches_are_counted():
    model = opened("vit/masked")
    pixels = torch.zeros(1, 3, 24, 24)
    with pytest.raises(ArgumentError, match="bool_masked_pos"):
        model(pixel_values=pixels, bool_masked_pos=torch.ones(1, 3))


# -------------------------------------------------------------------- pipelines


@pytest.fixture
def labels(tmp_path):
    model = opened("vit/classes")
    model.save_pretrained(tmp_path)
    settings = {"image_processor_type": "ViTImageProcessor", "size": 24}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    return tmp_path


def test_a_picture_gets_labels(labels):
    photo = GOLDEN / "images" / "img0.png"
    pipe = pipeline("image-classification", model=str(labels))
    (best, second) = pipe(str(photo), top_k=2)
    assert best["score"] > second["score"]
    every = pipe(str(photo), top_k=None)
    assert len(every) == 5
    assert abs(sum(label["score"] for label in every) - 1) < 1e-5
    assert pipe([str(photo), photo.read_bytes()], top_k=2) == [[best, second]] * 2
    loose = pipe(str(photo), function_to_apply="SIGMOID", top_k=1, timeout=3)[0]
    assert loose["score"] != best["score"]
    assert type(pipeline(model=str(labels))).__name__ == "ImageClassificationPipeline"


def test_a_picture_gets_vectors(labels):
    photo = str(GOLDEN / "images" / "rgba.png")
    pipe = pipeline("image-feature-extraction", model=str(labels))
    (tokens,) = pipe(photo)
    assert len(tokens) == 17
    assert len(tokens[0]) == 24
    assert pipe(photo, return_tensors=True).shape == (1, 17, 24)
    assert pipe(photo, image_processor_kwargs={"do_normalize": False}) != [tokens]


def test_tasks_say_what_they_read(labels):
    with pytest.raises(ArgumentError, match="`tokenizer` reads texts"):
        pipeline("image-classification", model=str(labels), tokenizer=str(labels))
    with pytest.raises(ArgumentError, match="image_processor"):
        pipeline("fill-mask", model=str(labels), image_processor=str(labels))
