"""Architectures of images, sounds and tables against the reference: each state, score and loss."""

from __future__ import annotations

import pytest
import torch
from goldens import GOLDEN, opened, recorded, relative_error, save_and_compare, told

from armature.inspection import inspect

MAPS = (
    *("resnet", "regnet", "convnext", "convnextv2", "mobilenet_v2", "efficientnet", "poolformer"),
    *("mobilevit", "segformer", "glpn", "mobilenet_v1", "bit", "levit"),
)  # of architectures whose states are maps
PATCHES = (
    *("beit", "data2vec-vision", "dinov2", "dinov2_with_registers", "ijepa", "vit_mae", "yolos"),
)
SERIES = ("audio-spectrogram-transformer", "timesformer", "videomae")  # of videos and sounds
DETECTORS = ("detr", "table_transformer", "conditional_detr", "deformable_detr")
DENSE = ("depth_anything", "dpt", "mask2former", "maskformer", "upernet")  # of every pixel
IMAGES = sorted(
    f"{kind}/{folder.name}"
    for kind in ("swin", "swinv2", "vit", "deit", *MAPS, *PATCHES, *SERIES, *DETECTORS, *DENSE)
    for folder in (GOLDEN / kind).iterdir()
)
SOUNDS = sorted(f"sounds/{folder.name}" for folder in (GOLDEN / "sounds").iterdir())
TABLES = sorted(f"tables/{folder.name}" for folder in (GOLDEN / "tables").iterdir())
NAMES = [*IMAGES, *SOUNDS, *TABLES]
TOLERANCE = 1e-5  # × max(1, |value|)


@pytest.mark.parametrize("name", [*IMAGES, *SOUNDS])
@torch.no_grad()
def test_outputs_equal_the_reference(name):
    model = opened(name)
    assert not model.load_report.new
    assert not model.load_report.unexpected
    for call in told(name)["calls"]:
        given, wanted = recorded(name, call["name"])
        output = model(**given, **call["flags"])
        assert wanted
        for key, value in wanted.items():  # at padding, too
            assert float(relative_error(output, key, value).max()) < TOLERANCE, key


@pytest.mark.parametrize("name", NAMES)
def test_a_saved_model_has_the_same_bytes(name, tmp_path):
    save_and_compare(name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_read_or_known_to_have_no_effect(name):
    model = opened(name)
    model(**recorded(name, told(name)["calls"][-1]["name"] if name in TABLES else "0")[0])
    known = {"id2label", "label2id", "tie_word_embeddings"}  # also where no head reads them
    assert not set(model.config.unread()) - set(model.arch.UNUSED) - known


@pytest.mark.parametrize("name", NAMES)
def test_what_looks_into_a_checkpoint_finds_its_head(name):
    found = inspect(GOLDEN / name)
    assert [head.class_name for head in found.heads if head.declared] == [told(name)["class"]]
    assert not [one for one in found.findings if "head" in one.what]
