"""Stacks on patches: feature maps by their names, images of any size, what is refused."""

from __future__ import annotations

import pytest
import torch
from goldens import GOLDEN, opened, recorded

from armature import (
    AutoBackbone,
    AutoModel,
    AutoModelForPreTraining,
    BeitBackbone,
    ViTConfig,
    ViTModel,
    auto,
)
from armature.errors import ArgumentError, ConfigError

SMALL = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
SMALL |= {"intermediate_size": 8, "image_size": 12, "patch_size": 6}


@torch.no_grad()
def test_each_layer_of_a_stack_is_a_stage():
    model = AutoBackbone.from_pretrained(GOLDEN / "dinov2" / "classes", out_indices=[0, -1])
    assert model.out_features == ["stem", "stage2"]
    assert model.channels == [16, 16]
    assert model.num_features == [16, 16, 16]
    assert list(model.out_feature_channels) == model.stage_names == ["stem", "stage1", "stage2"]
    maps = model(pixel_values=torch.randn(1, 3, 12, 20)).feature_maps
    assert [tuple(x.shape) for x in maps] == [(1, 16, 2, 5)] * 2


def test_a_pyramid_is_made_of_four_maps():
    with pytest.raises(ConfigError, match="four"):
        BeitBackbone.from_pretrained(GOLDEN / "beit" / "maps", out_indices=[1, 2])


def test_classes_of_pixels_need_four_layers():
    from armature import BeitForSemanticSegmentation

    with pytest.raises(ConfigError, match="out_indices"):
        BeitForSemanticSegmentation.from_pretrained(GOLDEN / "beit" / "pixels", out_indices=[1])


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("audio-spectrogram-transformer/body", {}, "input_values"),
        ("audio-spectrogram-transformer/body", {"input_values": (1, 9, 14)}, "26, 14"),
        ("audio-spectrogram-transformer/body", {"input_values": (1, 26)}, "26, 14"),
        ("timesformer/classes", {"pixel_values": (1, 3, 12, 12)}, "frames"),
        ("videomae/classes", {"pixel_values": (1, 3, 12, 12)}, "2, 3, 12, 12"),
        ("videomae/restored", {"pixel_values": (1, 4, 1, 12, 12)}, "bool_masked_pos"),
        (
            "videomae/restored",
            {"pixel_values": (1, 4, 1, 12, 12), "bool_masked_pos": (1, 3)},
            "each of 8 blocks",
        ),
    ],
)
def test_inputs_of_another_shape_are_refused(name, given, words):
    with pytest.raises(ArgumentError, match=words):
        opened(name)(**{key: torch.ones(shape) for key, shape in given.items()})


@torch.no_grad()
def test_without_noise_other_patches_are_seen_each_time():
    model, (given, _) = opened("vit_mae/body"), recorded("vit_mae/body")
    pixels = given["pixel_values"]
    torch.manual_seed(1)
    first, second = model(pixel_values=pixels), model(pixel_values=pixels)
    assert first.mask.sum(1).tolist() == second.mask.sum(1).tolist() == [7, 7]
    assert not first.ids_restore.equal(second.ids_restore)


def test_computed_positions_are_not_random_where_a_file_lacks_them():
    model = AutoModelForPreTraining.from_pretrained(GOLDEN / "vit_mae" / "body")
    position = model.head.decoder.embed.position
    assert not position[:, 0].any()
    assert position.abs().max() <= 1


def test_branches_are_skipped_only_while_training():
    model, (given, _) = opened("dinov2/classes"), recorded("dinov2/classes")
    pixels = {"pixel_values": given["pixel_values"]}
    usual = model(**pixels).logits
    for block in model.body.blocks:
        block.skips = 0.999999
    assert model(**pixels).logits.equal(usual)
    model.train()
    assert not model(**pixels).logits.equal(usual)


def test_things_of_images_are_learned_by_matching():
    model, (given, _) = opened("yolos/boxes"), recorded("yolos/boxes")
    things = [
        {"class_labels": torch.tensor([1, 0]), "boxes": torch.rand(2, 4) / 2 + 0.2},
        {"class_labels": torch.tensor([], dtype=torch.long), "boxes": torch.zeros(0, 4)},
    ]
    found = model(**given, labels=things)
    found.loss.backward()
    assert set(found.loss_dict) >= {"loss_ce", "loss_bbox", "loss_giou"}
    assert all(weight.grad is not None for weight in model.parameters())


@torch.no_grad()
def test_bodies_open_by_their_auto_class():
    for name in ("beit/classes", "yolos/boxes", "videomae/classes", "timesformer/classes"):
        assert AutoModel.from_pretrained(GOLDEN / name).load_report.new == []


def test_the_pooled_state_may_be_narrower():
    config = ViTConfig(**SMALL, pooler_output_size=5)
    assert ViTModel(config)(pixel_values=torch.zeros(1, 3, 12, 12)).pooler_output.shape == (1, 5)


def test_one_class_alone_cannot_be_learned():
    model = opened("beit/pixels")
    labels = torch.zeros(1, 24, 24, dtype=torch.long)
    with pytest.raises(ArgumentError, match="B, height, width"):
        model(pixel_values=torch.zeros(1, 3, 24, 24), labels=labels[0])
    config = model.config.copy()
    config.num_labels = 1
    with pytest.raises(ArgumentError, match="num_labels"):
        type(model)(config)(pixel_values=torch.zeros(1, 3, 24, 24), labels=labels)


@torch.no_grad()
def test_a_hybrid_tells_the_finer_maps_of_its_backbone():
    kind = auto.model_class("DPTModel")
    inner = {"layer_type": "bottleneck", "depths": [1, 1, 1], "hidden_sizes": [4, 8, 16]}
    inner |= {"num_groups": 2, "embedding_size": 4, "out_features": ["stage1", "stage2", "stage3"]}
    inner |= {"model_type": "bit", "global_padding": "same", "embedding_dynamic_padding": True}
    config = kind.config_class(
        **{**SMALL, "image_size": 32, "patch_size": 16},
        is_hybrid=True,
        backbone_config=inner,
        backbone_featmap_shape=[1, 16, 2, 2],
    )
    found = kind(config)(pixel_values=torch.randn(1, 3, 32, 32))
    assert [*found][-1] == "intermediate_activations"
    shapes = [tuple(one.shape) for one in found.intermediate_activations]
    assert shapes == [(1, 8, 8, 8), (1, 8, 4, 4)]
