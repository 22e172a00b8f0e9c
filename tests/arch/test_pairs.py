"""Texts with images against the reference: every state, score, box, loss and written text."""

from __future__ import annotations

import json

import pytest
import torch
from goldens import GOLDEN, opened, recorded, relative_error, save_and_compare, told
from safetensors.torch import load_file

import armature
from armature.errors import ArgumentError

PAIRS = GOLDEN / "pairs"
NAMES = sorted(f"pairs/{folder.name}" for folder in PAIRS.iterdir())
TOLERANCE = 1e-5  # × max(1, |value|)


def seen(error, key, real):
    """The places of a comparison that padding has no part in."""
    if real is None or error.dim() < 2 or error.shape[0] != real.shape[0]:
        return error
    if "attentions" in key and error.dim() == 4 and error.shape[2] == real.shape[1]:
        return error.transpose(1, 2)[real]
    return error[real] if error.shape[:2] == real.shape else error


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_outputs_equal_the_reference(name, tmp_path):
    model, record = opened(name), told(name)
    given, wanted = recorded(name)
    assert not model.load_report.new
    assert not model.load_report.unexpected
    real = given["attention_mask"].bool() if "attention_mask" in given else None
    output = model(**given, **record["calls"][0]["flags"])
    for key, value in wanted.items():
        error = relative_error(output, key, value)
        assert float(seen(error, key, real).max()) < TOLERANCE, key
    if "generate" in record:
        reads = {key: given[key] for key in record["reads"]}
        written = load_file(GOLDEN / name / "golden.safetensors")["generated"]
        assert model.generate(**reads, **record["generate"]).equal(written)
    unread = set(model.config.unread()) - set(model.arch.UNUSED)
    assert not unread - {"id2label", "label2id"}
    save_and_compare(name, tmp_path)


def test_nested_settings_answer_and_can_be_set():
    config = armature.AutoConfig.from_pretrained(PAIRS / "clip")
    assert config.vision_config.hidden_size == 20
    assert config.text_config.eos_token_id == 39
    config.vision_config.hidden_act = "relu"
    assert config.to_dict()["vision_config"]["hidden_act"] == "relu"
    assert armature.CLIPConfig().vision_config.patch_size == 32
    built = armature.CLIPConfig(text_config=armature.CLIPTextConfig(hidden_size=8))
    assert built.text_config.hidden_size == 8


@torch.no_grad()
def test_older_files_say_the_settings_of_towers_a_second_time(tmp_path):
    config = json.loads((PAIRS / "clip" / "config.json").read_text())
    for key in ("text_config", "vision_config"):
        config[f"{key}_dict"], config[key] = config[key], {"hidden_size": 77}
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.safetensors").write_bytes(
        (PAIRS / "clip" / "model.safetensors").read_bytes()
    )
    (given, wanted), model = recorded("pairs/clip"), armature.CLIPModel.from_pretrained(tmp_path)
    torch.testing.assert_close(
        model(**given).logits_per_image, wanted["logits_per_image"], atol=1e-5, rtol=1e-5
    )


@torch.no_grad()
def test_a_tower_opens_the_checkpoint_of_both():
    given, wanted = recorded("pairs/clip")
    vision = armature.CLIPVisionModelWithProjection.from_pretrained(PAIRS / "clip-vision")
    assert vision.untrained
    text = armature.CLIPTextModel.from_pretrained(PAIRS / "clip")
    both = armature.CLIPModel.from_pretrained(PAIRS / "clip")
    ids = {key: given[key] for key in ("input_ids", "attention_mask")}
    last = text(**ids).last_hidden_state
    torch.testing.assert_close(
        last, both(**given).text_model_output.last_hidden_state, atol=1e-6, rtol=1e-6
    )
    features = both.get_text_features(**ids).pooler_output
    unit = features / features.norm(dim=-1, keepdim=True)
    torch.testing.assert_close(unit, wanted["text_embeds"], atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_two_checkpoints_are_joined(tmp_path):
    model = armature.VisionTextDualEncoderModel.from_vision_text_pretrained(
        PAIRS / "clip", PAIRS / "clip-text", projection_dim=5
    )
    assert model.config.vision_config.hidden_size == 20
    given, _ = recorded("pairs/clip")
    model.save_pretrained(tmp_path)
    again = armature.VisionTextDualEncoderModel.from_pretrained(tmp_path)
    torch.testing.assert_close(again(**given).logits_per_text, model(**given).logits_per_text)


@torch.no_grad()
def test_a_tower_may_be_a_pyramid():
    model = armature.VisionTextDualEncoderModel.from_vision_text_pretrained(
        PAIRS.parent / "swin" / "placed", PAIRS / "clip-text", projection_dim=5
    )
    given = {
        "input_ids": recorded("pairs/clip")[0]["input_ids"],
        "pixel_values": torch.randn(1, 3, 24, 24),
    }
    assert model(**given).vision_model_output.reshaped_hidden_states is None
    seen = model(**given, output_hidden_states=True).vision_model_output
    for rows, map in zip(seen.hidden_states, seen.reshaped_hidden_states, strict=True):
        torch.testing.assert_close(rows, map.flatten(2).transpose(1, 2))


@torch.no_grad()
def test_a_result_may_be_a_tuple_of_tuples():
    given, _ = recorded("pairs/clip")
    model = armature.CLIPModel.from_pretrained(PAIRS / "clip")
    whole, flat = model(**given), model(**given, return_dict=False)
    assert len(flat) == 6
    assert flat[-1][0].equal(whole.vision_model_output.last_hidden_state)


def test_auto_classes_find_what_reads_both():
    for words, name, kind in (
        ("ZeroShotImageClassification", "siglip", "SiglipModel"),
        ("VisualQuestionAnswering", "vilt", "ViltForQuestionAnswering"),
        ("VisualQuestionAnswering", "blip-answers", "BlipForQuestionAnswering"),
        ("DocumentQuestionAnswering", "page", "LayoutLMv3ForQuestionAnswering"),
        ("ZeroShotObjectDetection", "owlvit", "OwlViTForObjectDetection"),
        ("ImageTextToText", "blip", "BlipForConditionalGeneration"),
    ):
        opener = getattr(armature, f"AutoModelFor{words}")
        assert type(opener.from_pretrained(PAIRS / name)).__name__ == kind


def test_pages_without_images_or_with_bad_boxes_are_refused():
    model = armature.LayoutLMv2Model(
        armature.LayoutLMv2Config(
            vocab_size=9, hidden_size=24, num_hidden_layers=1, num_attention_heads=2,
            intermediate_size=8, coordinate_size=4, shape_size=4,
            image_feature_pool_shape=[2, 2, 8],
            detectron2_config_args={
                "MODEL.RESNETS.RES2_OUT_CHANNELS": 4, "MODEL.FPN.OUT_CHANNELS": 8,
                "MODEL.RESNETS.WIDTH_PER_GROUP": 2, "MODEL.RESNETS.STEM_OUT_CHANNELS": 4,
            },
        )
    )  # fmt: skip
    ids, boxes = torch.ones(1, 3).long(), torch.zeros(1, 3, 4).long()
    image = torch.zeros(1, 3, 64, 64)
    found = model(input_ids=ids, bbox=boxes, image=image)
    assert found.last_hidden_state.shape == (1, 7, 24)
    names = [key for key in model.disk_names(model.config).rows if "pyramid" in key]
    assert len(names) == 8
    with pytest.raises(ArgumentError, match="image"):
        model(input_ids=ids, bbox=boxes)
    with pytest.raises(ArgumentError, match="four numbers"):
        model(input_ids=ids, bbox=boxes[:, :2], image=image)
    with pytest.raises(ArgumentError, match="thousandths"):
        model(input_ids=ids, bbox=boxes + 2000, image=image)


def test_what_is_missing_is_said():
    model = opened("pairs/vilt")
    with pytest.raises(ArgumentError, match="pixel_values"):
        model(input_ids=torch.ones(1, 3).long())
    with pytest.raises(ArgumentError, match="2 texts and 1 images"):
        model(input_ids=torch.ones(2, 3).long(), pixel_values=torch.zeros(1, 3, 18, 18))
    model = opened("pairs/vilt-two-images")
    with pytest.raises(ArgumentError, match="compares 2 images"):
        model(input_ids=torch.ones(1, 3).long(), pixel_values=torch.zeros(1, 3, 18, 18))
    model = opened("pairs/blip")
    with pytest.raises(ArgumentError, match="generate"):
        model(pixel_values=torch.zeros(1, 3, 18, 18))
