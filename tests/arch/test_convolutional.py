"""Segmenters of segmentation_models_pytorch: their files are recognised, and named as they are."""

from __future__ import annotations

import json

import pytest
import torch

from armature import AutoConfig, auto, pipeline
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


# Encoder → how many channels its maps have, and tensors that files hold of it.
ENCODERS = {
    "resnext50_32x4d": ([3, 64, 256, 512, 1024, 2048], {"layer1.0.conv2.weight"}),
    "se_resnet50": (
        [3, 64, 256, 512, 1024, 2048],
        {"layer0.bn1.bias", "layer1.0.se_module.fc2.bias"},
    ),
    "tu-resnet18": ([3, 64, 64, 128, 256, 512], {"model.layer2.0.downsample.1.running_var"}),
    "vgg11": ([64, 128, 256, 512, 512, 512], {"features.0.bias", "features.18.weight"}),
    "vgg13_bn": ([64, 128, 256, 512, 512, 512], {"features.1.running_mean", "features.32.bias"}),
    "mobilenet_v2": (
        [3, 16, 24, 32, 96, 1280],
        {"features.1.conv.1.weight", "features.2.conv.3.bias", "features.18.0.weight"},
    ),
    "efficientnet-b0": (
        [3, 32, 24, 40, 112, 320],
        {"_bn0.bias", "_blocks.15._se_expand.bias", "_conv_head.weight", "_bn1.weight"},
    ),
    "timm-efficientnet-b0": (
        [3, 32, 24, 40, 112, 320],
        {"blocks.0.0.conv_pw.weight", "blocks.1.1.conv_pwl.weight", "bn2.running_var"},
    ),
    "timm-tf_efficientnet_lite0": ([3, 32, 24, 40, 112, 320], {"blocks.6.0.bn3.bias"}),
    "densenet121": (
        [3, 64, 256, 512, 1024, 1024],
        {"features.denseblock4.denselayer16.conv2.weight", "features.norm5.bias"},
    ),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_encoders_have_their_maps_and_names(name):
    channels, wanted = ENCODERS[name]
    with torch.device("meta"):
        model = built("Unet", encoder_name=name)
        maps = model.body.encoder(torch.zeros(1, 3, 64, 96), 5)
        assert model(torch.zeros(1, 3, 50, 37)).logits.shape == (1, 1, 50, 37)
    assert [x.shape[1] for x in maps] == channels == model.body.encoder.channels
    assert [x.shape[2] for x in maps] == [64, 32, 16, 8, 4, 2]
    known = places(model, model.disk_names(model.config))
    found = {pair.name for place in known for pair in place.pairs}
    assert {f"encoder.{one}" for one in wanted} <= found
    assert ("decoder.center.1.1.bias" in found) == name.startswith("vgg")


def test_maps_of_a_size_that_an_encoder_was_made_for_are_padded():
    with torch.device("meta"):
        model = built("DeepLabV3Plus", encoder_name="efficientnet-b2")
        fine = model(torch.zeros(1, 3, 64, 64)).feature_maps
        body = built("Unet", encoder_name="efficientnet-b2").body.encoder
    assert [x.shape[2] for x in fine] == [32, 16, 8, 4, 4]
    assert [body.steps[i].steps[1].pads for i in (3, 6, 9)] == [(0, 1), (2, 2), (1, 1)]


def test_a_pipeline_needs_no_file_about_pictures(tmp_path):
    from PIL import Image

    built("Unet", classes=3).save_pretrained(tmp_path)
    pipe = pipeline("image-segmentation", model=str(tmp_path))
    taken = pipe.processor(Image.new("RGB", (70, 50), "white"), return_tensors="pt")["pixel_values"]
    assert taken.shape == (1, 3, 32, 64)
    assert taken[0, :, 0, 0].tolist() == pytest.approx([2.2489, 2.4286, 2.64], abs=1e-4)
    assert all(part["mask"].size == (70, 50) for part in pipe(Image.new("RGB", (70, 50))))


def test_norms_of_a_decoder_are_chosen():
    with torch.device("meta"):
        plain = built("PSPNet", decoder_use_norm="batchnorm", psp_use_batchnorm=False)
        norm = {"type": "instancenorm", "affine": True}
        other = built("Unet", decoder_use_norm=norm).body.decoder
        assert plain.body.decoder.conv[0].bias is not None  # the older name counts for more
    assert isinstance(other.blocks[0].conv1[1], torch.nn.InstanceNorm2d)
    with pytest.raises(ConfigError, match="layernorm"):
        built("Unet", decoder_use_norm="layernorm")


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        ("FPN", {"encoder_depth": 2}),
        ("FPN", {"decoder_merge_policy": "mul"}),
        ("Unet", {"decoder_channels": [8]}),
        ("DeepLabV3", {"encoder_name": "vgg11"}),
    ],
)
def test_what_no_decoder_can_do_is_told(kind, wrong):
    with pytest.raises(ConfigError, match=r"(en|de)coder_"):
        built(kind, **wrong)


def test_an_encoder_that_is_not_known_is_named():
    with pytest.raises(ConfigError, match="resnet18"):
        built("Unet", encoder_name="resnet19")
