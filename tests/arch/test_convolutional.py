"""Segmenters of segmentation_models_pytorch: their files are recognised, and named as they are."""

from __future__ import annotations

import json

import pytest
import torch

from armature import AutoConfig, auto
from armature.checkpoint.load import places
from armature.errors import ArgumentError, ConfigError

# Class → settings, and tensors that its files hold.
KINDS = {
    "Unet": (
        {"decoder_channels": [8, 8, 8, 4, 4], "decoder_attention_type": "scse"},
        {"decoder.blocks.0.conv1.0.weight", "decoder.blocks.4.attention2.attention.sSE.0.bias"},
    ),
    "PSPNet": (
        {"psp_out_channels": 8},
        {"decoder.psp.blocks.0.pool.1.0.bias", "decoder.psp.blocks.3.pool.1.1.running_var"},
    ),
    "DeepLabV3": (
        {"decoder_channels": 8},
        {"decoder.aspp.convs.3.0.weight", "decoder.aspp.convs.4.1.weight", "decoder.bn.bias"},
    ),
    "DeepLabV3Plus": (
        {"decoder_channels": 8, "encoder_name": "resnet50"},
        {"decoder.aspp.0.convs.1.0.1.weight", "decoder.block2.0.0.weight"},
    ),
    "FPN": (
        {"decoder_segmentation_channels": 32},
        {"decoder.p5.weight", "decoder.seg_blocks.0.block.2.block.1.bias"},
    ),
}


def built(kind, **settings):
    made = auto.model_class(kind)
    return made(made.config_class(**{"encoder_name": "resnet18", **settings}))


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_is_known_by_its_class(kind, tmp_path):
    settings = {"_model_class": kind, "encoder_name": "resnet18", "classes": 4}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    config = AutoConfig.from_pretrained(tmp_path)
    assert type(config).__name__ == f"{kind}Config"
    assert len(config.id2label) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_tensors_have_their_names(kind):
    settings, wanted = KINDS[kind]
    with torch.device("meta"):
        model = built(kind, classes=3, aux_params={"classes": 2}, **settings)
    known = places(model, model.disk_names(model.config))
    found = {pair.name for place in known for pair in place.pairs}
    wanted = wanted | {"encoder.conv1.weight", "encoder.layer4.1.bn2.running_mean"}
    assert wanted | {"segmentation_head.0.weight", "classification_head.3.bias"} <= found
    assert {name.partition(".")[0] for name in found} == {
        *("encoder", "decoder", "segmentation_head", "classification_head")
    }


@torch.no_grad()
def test_scores_have_the_size_of_the_image():
    pixels = torch.zeros(1, 3, 75, 68)
    model = built("Unet", classes=2, decoder_channels=[4, 4], encoder_depth=2)
    made = model(pixel_values=pixels, labels=torch.zeros(1, 75, 68).long())
    assert made.logits.shape == (1, 2, 75, 68)
    assert made.loss.shape == ()
    model = built("FPN", classes=2, decoder_segmentation_channels=32)
    assert model(pixels[..., :64, :64]).logits.shape == (1, 2, 64, 64)
    with pytest.raises(ArgumentError, match="multiples of 32"):
        model(pixels)


def test_an_encoder_that_is_not_known_is_named():
    with pytest.raises(ConfigError, match="resnet18"):
        built("Unet", encoder_name="resnet19")
