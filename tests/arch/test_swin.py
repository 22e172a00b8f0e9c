"""Swin: chosen layers, backbones, and what its windows and files may be."""

from __future__ import annotations

import socket
from pathlib import Path

import goldens
import pytest
import torch
from safetensors.torch import load_file, save_file

from armature import AutoBackbone, AutoModel, auto
from armature.errors import ArgumentError, CheckpointError, ConfigError, UnknownArgumentError

GOLDEN = Path(__file__).parent.parent / "golden" / "swin"


def opened(name, **options):
    return goldens.opened(f"swin/{name}", **options)


def recorded(name):
    return goldens.recorded(f"swin/{name}")


@torch.no_grad()
def test_chosen_layers_are_those_of_all_layers():
    model, (given, _) = opened("placed"), recorded("placed")
    every = model(**given, output_hidden_states=True, output_attentions=True)
    some = model(**given, output_hidden_states=[-1, 0], output_attentions=[-2])
    last, first = some.hidden_states
    assert last.equal(every.hidden_states[-1])
    assert first.equal(every.hidden_states[0])
    (one,) = some.attentions
    assert one.equal(every.attentions[-2])
    pairs = zip(every.hidden_states, every.reshaped_hidden_states, strict=True)
    for tokens, maps in pairs:
        assert maps.flatten(2).transpose(1, 2).equal(tokens)
        assert maps.is_contiguous()


@torch.no_grad()
def test_an_image_does_not_depend_on_its_neighbours():
    model, (given, _) = opened("classes"), recorded("classes")
    together = model(given["pixel_values"]).logits
    alone = model(given["pixel_values"][1:]).logits
    torch.testing.assert_close(together[1:], alone, atol=1e-6, rtol=1e-6)


@torch.no_grad()
def test_a_small_image_leaves_no_trace_on_the_next():
    model, (given, wanted) = opened("classes"), recorded("classes")[0:2]
    model(torch.randn(1, 3, 8, 8))  # every window shrinks
    torch.testing.assert_close(model(given["pixel_values"]).logits, wanted["logits"])


# --------------------------------------------------------------------------------- backbones


@torch.no_grad()
@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ({}, ["stage2"]),
        ({"out_indices": (0,)}, ["stem"]),
        ({"out_indices": [-3, -1]}, ["stem", "stage2"]),
        ({"out_features": ["stage1", "stage2"]}, ["stage1", "stage2"]),
    ],
)
def test_a_plain_checkpoint_serves_as_a_backbone(asked, names, monkeypatch):
    def refuse(*_args, **_kw):
        raise AssertionError("a local folder needs no network")

    monkeypatch.setattr(socket, "socket", refuse)
    model = AutoBackbone.from_pretrained(GOLDEN / "classes", **asked)
    assert type(model).__name__ == "SwinBackbone"
    assert model.out_features == names
    fresh = [f"hidden_states_norms.{name}.{end}" for name in names for end in ("weight", "bias")]
    assert model.load_report.new == fresh
    output = model(recorded("classes")[0]["pixel_values"], output_hidden_states=True)
    for index, width, found in zip(
        model.out_indices, model.channels, output.feature_maps, strict=True
    ):
        state = output.hidden_states[index]
        normed = torch.nn.functional.layer_norm(state.movedim(1, -1), (width,)).movedim(-1, 1)
        torch.testing.assert_close(found, normed)
        assert found.is_contiguous()
        assert state.is_contiguous()


def test_what_is_asked_of_a_backbone_wins_over_its_file():
    model = opened("maps-named", out_indices=[1])
    assert model.out_features == ["stage1"]
    model = opened("maps-placed", out_features=["stem", "stage2"])
    assert model.out_indices == [0, 2]


def test_a_backbone_without_the_last_norm_opens_and_saves_without_it(tmp_path):
    tensors = load_file(GOLDEN / "maps-placed" / "model.safetensors")
    older = {key: x for key, x in tensors.items() if not key.startswith("swin.layernorm")}
    assert len(older) == len(tensors) - 2
    save_file(older, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text((GOLDEN / "maps-placed" / "config.json").read_text())
    model = AutoBackbone.from_pretrained(tmp_path)
    assert not model.load_report.new
    given, wanted = recorded("maps-placed")
    found = model(**given).feature_maps[0]
    torch.testing.assert_close(found, wanted["feature_maps.0"], atol=1e-5, rtol=1e-5)
    model.save_pretrained(tmp_path / "again")
    assert load_file(tmp_path / "again" / "model.safetensors").keys() == older.keys()


def test_a_swin_v2_inside_another_body_has_no_last_norm(tmp_path):
    sizes = {"embed_dim": 4, "depths": [1, 1, 1, 1], "num_heads": [1, 1, 2, 2], "image_size": 32}
    inner = {"model_type": "swinv2", "out_features": ["stage1", "stage4"], "patch_size": 2}
    kind = auto.model_class("UperNetForSemanticSegmentation")
    config = kind.config_class(
        backbone_config=sizes | inner, hidden_size=8, use_auxiliary_head=False, pool_scales=[1]
    )
    kind(config).save_pretrained(tmp_path)
    names = load_file(tmp_path / "model.safetensors")
    assert any(name.startswith("backbone.encoder") for name in names)
    assert not any(name.startswith("backbone.layernorm") for name in names)
    assert not kind.from_pretrained(tmp_path).load_report.new


@pytest.mark.parametrize(
    "asked",
    [
        {"out_features": ["stage9"]},
        {"out_indices": [3]},
        {"out_indices": [2, 1]},
        {"out_indices": [2, -1]},
    ],
)
def test_stages_that_do_not_exist_or_come_out_of_order_are_refused(asked):
    with pytest.raises(ConfigError, match="stem, stage1, stage2"):
        AutoBackbone.from_pretrained(GOLDEN / "classes", **asked)


# ------------------------------------------------------------------------ other tasks, errors


def test_a_task_may_add_a_vector_for_hidden_patches():
    model = auto.model_class("SwinForMaskedImageModeling").from_pretrained(
        GOLDEN / "classes", encoder_stride=8
    )
    assert model.load_report.new == [
        "swin.embeddings.mask_token",
        "decoder.0.weight",
        "decoder.0.bias",
    ]
    bare = AutoModel.from_pretrained(GOLDEN / "masked", use_mask_token=True)
    given, wanted = recorded("masked")
    states = bare(**given, output_hidden_states=[0]).hidden_states[0]
    torch.testing.assert_close(states, wanted["hidden_states.0"], atol=1e-5, rtol=1e-5)


def test_a_bare_model_may_go_without_its_mean():
    model = AutoModel.from_pretrained(GOLDEN / "placed", add_pooling_layer=False)
    assert list(model(**recorded("placed")[0])) == ["last_hidden_state"]


def test_a_body_weight_that_is_missing_is_refused(tmp_path):
    tensors = load_file(GOLDEN / "classes" / "model.safetensors")
    name = "swin.encoder.layers.1.blocks.1.attention.self.relative_position_bias_table"
    del tensors[name]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    (tmp_path / "config.json").write_text((GOLDEN / "classes" / "config.json").read_text())
    with pytest.raises(CheckpointError, match="relative_position_bias_table: missing"):
        AutoBackbone.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("classes", {}, "give pixel_values"),
        ("classes", {"pixel_values": torch.zeros(3, 40, 40)}, r"give a batch of images \(B, 3"),
        ("classes", {"pixel_values": torch.zeros(1, 4, 40, 40)}, r"\(1, 4, 40, 40\)"),
        ("classes", {"pixel_values": torch.zeros(1, 3, 8, 8, dtype=torch.uint8)}, "whole numbers"),
        ("placed", {"pixel_values": torch.zeros(1, 3, 30, 24)}, "interpolate_pos_encoding=True"),
        (
            "masked",
            {"pixel_values": torch.zeros(1, 3, 32, 32), "bool_masked_pos": torch.ones(1, 63)},
            "8 × 8 patches",
        ),
        (
            "masked",
            {"pixel_values": torch.zeros(1, 3, 36, 32), "bool_masked_pos": torch.ones(1, 72)},
            "cannot be compared",
        ),
    ],
)
def test_calls_that_do_not_fit_say_why(name, given, message):
    with pytest.raises(ArgumentError, match=message):
        opened(name)(**given)


def test_arguments_of_other_inputs_are_unknown():
    model = opened("classes")
    with pytest.raises(UnknownArgumentError, match="Did you mean `pixel_values`"):
        model(pixel_valeus=torch.zeros(1, 3, 40, 40))
    for name in ("input_ids", "bool_masked_pos"):
        with pytest.raises(UnknownArgumentError, match=name):
            model(torch.zeros(1, 3, 40, 40), **{name: torch.zeros(1, 100)})
    with pytest.raises(ArgumentError, match="twice"):
        model(torch.zeros(1, 3, 40, 40), pixel_values=torch.zeros(1, 3, 40, 40))


@pytest.mark.parametrize("name", ["classes", "masked", "placed"])
def test_gradients_reach_every_weight(name):
    model, (given, _) = opened(name, drop_path_rate=0.0), recorded(name)
    output = model.train()(**given)
    loss = output.loss if "loss" in output else output.pooler_output.square().sum()
    loss.backward()
    for path, weight in model.named_parameters():
        assert weight.grad is not None, path
        assert weight.grad.isfinite().all(), path


def test_whole_branches_drop_only_while_training():
    model, (given, _) = opened("classes", drop_path_rate=0.9), recorded("classes")
    still = model(given["pixel_values"]).logits
    assert model(given["pixel_values"]).logits.equal(still)
    model.train()
    torch.manual_seed(0)
    assert len({model(given["pixel_values"]).logits.sum().item() for _ in range(8)}) > 1
