"""Pyramids of convolutions: norms that remember, other spellings, what is missing."""

from __future__ import annotations

import re

import pytest
import torch
from goldens import GOLDEN, opened, recorded
from safetensors.torch import load_file, save_file

from armature import (
    AutoModelForDepthEstimation,
    AutoModelForSemanticSegmentation,
    auto,
)
from armature.arch import resnet
from armature.errors import ArgumentError, CheckpointError
from armature.inspection import inspect
from armature.layers.conv import FrozenBatchNorm, freeze


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.json").write_bytes(
        (GOLDEN / "resnet" / "classes" / "config.json").read_bytes()
    )
    return tmp_path


def tensors():
    return load_file(GOLDEN / "resnet" / "classes" / "model.safetensors")


@torch.no_grad()
def test_a_checkpoint_in_the_other_spelling_gives_the_same(folder):
    old = {"classifier.1": "fc"}
    for stage, place in [(0, 0), (1, 0), (1, 1), (2, 0)]:
        today, timm = f"resnet.encoder.stages.{stage}.layers.{place}", f"layer{stage + 1}.{place}"
        for step in range(3):
            old[f"{today}.layer.{step}.convolution"] = f"{timm}.conv{step + 1}"
            old[f"{today}.layer.{step}.normalization"] = f"{timm}.bn{step + 1}"
        old[f"{today}.shortcut.convolution"] = f"{timm}.downsample.0"
        old[f"{today}.shortcut.normalization"] = f"{timm}.downsample.1"
    old["resnet.embedder.embedder.convolution"] = "conv1"
    old["resnet.embedder.embedder.normalization"] = "bn1"
    renamed = {}
    for name, tensor in tensors().items():
        stem, _, end = name.rpartition(".")
        renamed[f"{old[stem]}.{end}"] = tensor
    save_file(renamed, folder / "model.safetensors")
    model = auto.model_class("ResNetForImageClassification").from_pretrained(folder)
    assert not model.load_report.unexpected
    given, wanted = recorded("resnet/classes")
    torch.testing.assert_close(model(**given).logits, wanted["logits"], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_pixels_of_data2vec_had_other_names_once(tmp_path):
    made = GOLDEN / "data2vec-vision" / "pixels"
    (tmp_path / "config.json").write_bytes((made / "config.json").read_bytes())
    old = {}
    for name, tensor in load_file(made / "model.safetensors").items():
        spelt = name
        if "_head." in name:
            spelt = re.sub(r"blocks\.(\d)\.conv", r"\1.1", name).replace("psp_b", "b")
            spelt = spelt.replace("convolution", "conv").replace("normalization", "bn")
        old[spelt] = tensor
    save_file(old, tmp_path / "model.safetensors")
    heads = [head.class_name for head in inspect(tmp_path).heads]
    assert heads == ["Data2VecVisionForSemanticSegmentation", "Data2VecVisionModel"]
    model = auto.model_class(heads[0]).from_pretrained(tmp_path)
    assert not model.load_report.new
    assert not model.load_report.unexpected
    given, wanted = recorded("data2vec-vision/pixels")
    torch.testing.assert_close(model(**given).logits, wanted["logits"], atol=1e-5, rtol=1e-5)


def test_rows_of_both_spellings_name_the_same_weights():
    timm = resnet.timm_rows("a.")
    assert timm["stages.1.blocks.{j}.steps.2.norm"] == "a.layer2.{j}.bn3"
    assert resnet.timm_aliases("a.")["a.layer2.{j}.bn3"] == (
        "a.encoder.stages.1.layers.{j}.layer.2.normalization"
    )


def test_what_norms_remember_must_be_there_but_not_how_long_they_have(folder):
    found = {k: v for k, v in tensors().items() if not k.endswith("num_batches_tracked")}
    save_file(found, folder / "model.safetensors")
    model = auto.model_class("ResNetForImageClassification").from_pretrained(folder)
    assert int(model.body.embed.steps[0].norm.num_batches_tracked) == 0
    assert model.body.embed.steps[0].norm.num_batches_tracked.dtype == torch.int64
    found = {k: v for k, v in found.items() if not k.endswith("running_mean")}
    save_file(found, folder / "model.safetensors")
    with pytest.raises(CheckpointError, match="running_mean"):
        auto.model_class("ResNetForImageClassification").from_pretrained(folder)


@torch.no_grad()
def test_a_frozen_norm_computes_the_same_and_does_not_train():
    model, (given, wanted) = opened("resnet/classes"), recorded("resnet/classes")
    state = model.body.state_dict()
    freeze(model.body)
    model.body.load_state_dict(state, strict=False)
    assert isinstance(model.body.embed.steps[0].norm, FrozenBatchNorm)
    logits = model.train()(pixel_values=given["pixel_values"]).logits
    torch.testing.assert_close(logits, wanted["logits"], atol=1e-5, rtol=1e-5)


def test_a_fresh_model_starts_with_norms_that_change_nothing():
    config = opened("resnet/classes").config
    model = auto.model_class("ResNetForImageClassification").from_config(config)
    norm = model.body.embed.steps[0].norm
    assert (
        norm.running_var.eq(1).all() and norm.weight.eq(1).all() and norm.running_mean.eq(0).all()
    )
    assert freeze(model.body).embed.steps[0].norm.running_var.eq(1).all()


@pytest.mark.parametrize(
    ("name", "heads"),
    [
        ("resnet/maps", ["ResNetBackbone", "ResNetModel"]),
        ("segformer/places", ["SegformerForSemanticSegmentation", "SegformerModel"]),
        ("glpn/depths", ["GLPNForDepthEstimation", "GLPNModel"]),
        ("beit/maps", ["BeitBackbone", "BeitModel"]),
    ],
)
def test_inspection_finds_heads_that_count_their_parts(name, heads):
    assert [head.class_name for head in inspect(GOLDEN / name).heads] == heads


def test_auto_classes_open_what_scores_places():
    model = AutoModelForSemanticSegmentation.from_pretrained(GOLDEN / "mobilevit" / "places")
    with pytest.raises(ArgumentError, match="class of each pixel"):
        model(pixel_values=torch.zeros(1, 3, 24, 20), labels=torch.zeros(1).long())
    found = model(pixel_values=torch.zeros(1, 3, 24, 20), return_dict=False)
    assert len(found) == 1
    depth = AutoModelForDepthEstimation.from_pretrained(GOLDEN / "glpn" / "depths")
    assert depth(pixel_values=torch.zeros(1, 3, 24, 24)).predicted_depth.shape == (1, 32, 32)


def test_maps_are_counted_from_the_first_that_callers_see():
    model = opened("segformer/body")
    given, wanted = recorded("segformer/body")
    found = model(**given, output_hidden_states=[1], output_attentions=[-1])
    torch.testing.assert_close(found.hidden_states[0], wanted["hidden_states.1"])
    torch.testing.assert_close(found.attentions[0], wanted["attentions.3"])
    assert (
        opened("resnet/classes")(
            pixel_values=torch.zeros(1, 3, 24, 20), output_attentions=True
        ).attentions
        is None
    )


@torch.no_grad()
def test_blocks_are_skipped_in_training_alone():
    model = opened("convnext/classes")
    block = model.body.stages[-1].blocks[-1]
    assert block.path == pytest.approx(0.1)
    block.path = 0.5
    x = model.body.stages[-1].enter(torch.ones(64, 8, 4, 4))
    assert block(x, None).eq(block(x, None)).all()
    skipped = block.train()(x, None).eq(x).flatten(1).all(1)
    assert 16 < int(skipped.sum()) < 48
