"""Detectors that read photos: published names, losses of labels, and learning what is drawn."""

from __future__ import annotations

import json
import struct
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from armature import auto, pipeline
from armature.checkpoint.load import places
from armature.errors import ArgumentError, CheckpointError, ConfigError
from armature.model.darknet import fit, pooled
from armature.model.photos import Photos
from bench.drawn_shapes import CLASSES, SMALL, pictures, precision, train

NAMES = sorted(SMALL)
PUBLISHED = {  # some of the tensors that published files hold
    "efficientdet": (
        "backbone.blocks.1.0.se.conv_reduce.weight",
        "fpn.cell.0.fnode.0.combine.edge_weights",
        "class_net.bn_rep.1.2.bn.running_var",
        "box_net.predict.conv_pw.bias",
    ),
    "faster_rcnn": (
        "backbone.body.layer1.0.conv1.weight",
        "backbone.body.bn1.running_var",
        "backbone.fpn.inner_blocks.3.0.bias",
        "rpn.head.conv.0.0.weight",
        "roi_heads.box_head.fc6.weight",
        "roi_heads.box_predictor.bbox_pred.bias",
    ),
    "mask_rcnn": ("roi_heads.mask_head.1.0.weight", "roi_heads.mask_predictor.conv5_mask.weight"),
    "retinanet": (
        "backbone.fpn.extra_blocks.p7.weight",
        "head.classification_head.conv.3.0.bias",
        "head.regression_head.bbox_reg.weight",
    ),
    "yolov3": ("module_list.0.batch_norm_0.running_mean", "module_list.3.conv_3.weight"),
}


def fresh(name):
    torch.manual_seed(0)
    kind = auto.model_class(CLASSES[name])
    return kind(kind.config_class(**SMALL[name]))


@pytest.mark.parametrize("name", NAMES)
def test_files_have_the_published_names(name, tmp_path):
    model = fresh(name)
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert set(PUBLISHED[name]) <= set(stored)
    (tmp_path / "model.safetensors").unlink()
    torch.save(stored, tmp_path / "checkpoint.pth")
    again = type(model).from_pretrained(tmp_path)
    assert not again.load_report.new
    assert not again.load_report.unexpected
    images, _ = pictures(2)
    with torch.no_grad():
        one, two = model(pixel_values=images), again(pixel_values=list(images))
    for key in ("scores", "labels", "boxes"):
        assert all(map(torch.equal, one[key], two[key]))


@pytest.mark.parametrize("name", NAMES)
def test_gradients_reach_every_weight(name):
    model = fresh(name).train()
    images, things = pictures(2)
    result = model(pixel_values=images, labels=things)
    assert torch.isfinite(result.loss)
    torch.testing.assert_close(result.loss, torch.stack(list(result.loss_dict.values())).sum())
    result.loss.backward()
    assert [key for key, weight in model.named_parameters() if weight.grad is None] == []


@pytest.mark.parametrize("name", NAMES)
def test_images_without_things_cost_something_too(name):
    model = fresh(name).train()
    images, _ = pictures(2)
    none = {"boxes": torch.zeros(0, 4), "class_labels": torch.zeros(0).long()}
    none["masks"] = torch.zeros(0, 64, 64)
    assert torch.isfinite(model(pixel_values=images, labels=[none, none]).loss)


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_an_image_does_not_depend_on_its_padding(name):
    model = fresh(name)
    images, _ = pictures(1)
    cut = images[:, :, :50, :40]
    mask = torch.zeros(1, 64, 64)
    mask[:, :50, :40] = 1
    one, two = model(pixel_values=cut), model(pixel_values=images, pixel_mask=mask)
    assert torch.equal(one.boxes[0], two.boxes[0])


_CONVS = {"rpn_conv_depth": 2, "box_conv_layers": [8, 8], "norm_layer": "batch"}
# Second versions → what their configs say, and tensors that files hold.
SECOND = {
    "faster_rcnn": (
        _CONVS,
        {
            "backbone.fpn.inner_blocks.3.1.running_var",
            "rpn.head.conv.1.0.bias",
            "roi_heads.box_head.1.1.weight",
            "roi_heads.box_head.3.bias",  # a map, behind two convolutions and what flattens them
        },
    ),
    "mask_rcnn": (_CONVS, {"roi_heads.mask_head.1.1.running_mean"}),
    "retinanet": (
        {"norm_layer": "group", "extra_channels": 64, "box_loss": "giou"},
        {"head.regression_head.conv.3.1.bias", "backbone.fpn.layer_blocks.0.0.bias"},
    ),
}


@pytest.mark.parametrize("name", SECOND)
def test_second_versions_have_more_norms(name, tmp_path):
    told, wanted = SECOND[name]
    kind = auto.model_class(CLASSES[name])
    model = kind(kind.config_class(**(SMALL[name] | told))).train()
    images, things = pictures(2)
    loss = model(pixel_values=images, labels=things).loss
    loss.backward()
    assert [key for key, weight in model.named_parameters() if weight.grad is None] == []
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    assert wanted <= set(stored)
    assert "roi_heads.box_head.fc6.weight" not in stored
    again = kind.from_pretrained(tmp_path)
    assert not again.load_report.new
    assert not again.load_report.unexpected


def test_a_mobile_backbone_has_its_names():
    kind, slim = auto.model_class(CLASSES["faster_rcnn"]), {"backbone_name": "mobilenet_v3_large"}
    with torch.device("meta"):
        model = kind(kind.config_class(**slim, anchor_sizes=[[8]] * 3, aspect_ratios=[[1.0]] * 3))
        maps = model.body.pyramid(torch.zeros(1, 3, 64, 64), 6)
    assert [x.shape[1] for x in maps] == [3, 16, 24, 40, 80, 160, 960]
    known = places(model, model.disk_names(model.config))
    assert {pair.name for place in known for pair in place.pairs} >= {
        "backbone.body.1.block.1.0.weight",
        "backbone.body.13.block.2.fc2.bias",
        "backbone.body.15.block.3.1.running_var",
        "backbone.body.16.1.bias",
    }
    with pytest.raises(ConfigError, match="3 rows"):
        kind(kind.config_class(**slim))


def test_darknets_own_files_are_read(tmp_path):
    model = fresh("yolov3")
    model.save_pretrained(tmp_path)
    stored = load_file(tmp_path / "model.safetensors")
    (tmp_path / "model.safetensors").unlink()
    numbers = []
    for index in sorted({int(name.split(".")[1]) for name in stored}):
        at = f"module_list.{index}"
        norm = [f"{at}.batch_norm_{index}.{end}" for end in ("bias", "weight")]
        norm += [f"{at}.batch_norm_{index}.running_{end}" for end in ("mean", "var")]
        names = norm if norm[0] in stored else [f"{at}.conv_{index}.bias"]
        numbers += [stored[name].flatten() for name in (*names, f"{at}.conv_{index}.weight")]
    bare = torch.cat(numbers).numpy().tobytes()
    file = tmp_path / "yolov3.weights"
    file.write_bytes(struct.pack("<iiiq", 0, 2, 0, 32013312) + bare)
    again = type(model).from_pretrained(tmp_path)
    assert not again.load_report.new
    images, _ = pictures(1)
    with torch.no_grad():
        assert torch.equal(model(pixel_values=images).boxes[0], again(images).boxes[0])
    file.write_bytes(struct.pack("<iiii", 0, 1, 0, 7) + bare)
    assert not type(model).from_pretrained(tmp_path).load_report.new
    file.write_bytes(struct.pack("<iiiq", 0, 2, 0, 7) + bare[:-4])
    with pytest.raises(CheckpointError, match="numbers, but the model"):
        type(model).from_pretrained(tmp_path)
    file.write_bytes(b"PK")
    with pytest.raises(CheckpointError, match="too short"):
        type(model).from_pretrained(tmp_path)


_TINY = {
    "tiny": True,
    "widths": [16, 32, 64, 128, 256, 512, 1024],
    "anchors": [[10, 14], [23, 27], [37, 58], [81, 82], [135, 169], [344, 319]],
}


@pytest.mark.parametrize(
    ("settings", "numbers", "found"),
    [({}, 62001757, 82), ({"pool_sizes": [5, 9, 13]}, 63052381, 89), (_TINY, 8858734, 16)],
)
def test_darknets_are_as_large_as_the_published_files(settings, numbers, found):
    kind = auto.model_class(CLASSES["yolov3"])
    with torch.device("meta"):
        body = kind(kind.config_class(**settings)).body
    held = dict(body.named_parameters()) | dict(body.named_buffers())
    assert sum(held[name].numel() for name in body.order()) == numbers
    assert [step for step, _ in body.steps].index("boxes") == found


def test_darknets_of_other_shapes_learn():
    images, things = pictures(2)
    kind = auto.model_class(CLASSES["yolov3"])
    tiny = {"widths": [8, 8, 8, 8, 8, 16, 32], "anchors": SMALL["yolov3"]["anchors"][:6]}
    for settings in ({"pool_sizes": [3, 5]}, {**tiny, "tiny": True}):
        model = kind(kind.config_class(**(SMALL["yolov3"] | settings))).train()
        model(pixel_values=images, labels=things).loss.backward()
        assert all(weight.grad is not None for weight in model.parameters())
        assert len(model.eval()(pixel_values=images).boxes) == 2


def test_squares_that_leave_a_map_have_fewer_numbers():
    x = -torch.arange(16.0).view(1, 1, 4, 4) - 1
    assert pooled(x, 2, 1)[0, 0, 3].tolist() == [-13, -14, -15, -16]
    assert pooled(x, 5, 1)[0, 0, 3].tolist() == [-5, -5, -5, -6]
    assert pooled(x, 2, 2).shape == (1, 1, 2, 2)


def test_images_are_fitted_as_darknet_does():
    image = torch.arange(101.0).expand(3, 40, 101)
    square, (shares, shift) = fit(image, 64)
    assert square[0, 32, 0] == 0
    assert square[0, 32, -1] == 100  # corners stay corners
    assert (square[:, :19] == 0.5).all()
    assert (square[:, 44:] == 0.5).all()
    assert shares.tolist() == pytest.approx([64 / 101, 25 / 40] * 2)
    assert shift.tolist() == [0, 19.5, 0, 19.5]


def test_bad_images_and_labels_are_refused():
    model = fresh("retinanet")
    images, things = pictures(1)
    for given, words in (
        ({}, "pixel_values"),
        ({"pixel_values": images.byte()}, "from 0 to 1"),
        ({"pixel_values": images, "labels": []}, "one for each image"),
        ({"pixel_values": images, "labels": [{"boxes": torch.ones(1, 4)}]}, "class_labels"),
        (
            {
                "pixel_values": images,
                "labels": [{"boxes": torch.ones(1, 4), "class_labels": torch.ones(1).long()}],
            },
            "ends before it begins",
        ),
    ):
        with pytest.raises(ArgumentError, match=words):
            model(**given)
    assert len(things) == 1


def test_a_pipeline_needs_no_file_about_pictures(tmp_path):
    from PIL import Image

    fresh("mask_rcnn").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    config |= {"box_score_thresh": 0.0, "id2label": {"0": "none", "1": "square", "2": "bar"}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    pipe = pipeline("object-detection", model=str(tmp_path))
    found = pipe(Image.new("RGB", (50, 70), "grey"), threshold=0.0)
    assert {thing["label"] for thing in found} <= {"square", "bar"}
    assert all(thing["box"]["xmax"] <= 50 and thing["box"]["ymax"] <= 70 for thing in found)


def test_the_shorter_side_gets_exactly_as_long_as_asked_for():
    photos = Photos([0.5] * 3, [0.5] * 3, 64, 96)
    batch, sizes = photos([torch.rand(3, 140, 101), torch.rand(3, 90, 130), torch.rand(3, 50, 200)])
    assert sizes == [(88, 64), (64, 92), (24, 96)]
    assert batch.shape == (3, 3, 96, 96)
    assert not batch[1, :, 64:].any()


def test_precision_is_one_where_all_is_found():
    _, things = pictures(3)

    found = SimpleNamespace(
        boxes=[one["boxes"] for one in things],
        labels=[one["class_labels"] for one in things],
        scores=[torch.ones(len(one["boxes"])) for one in things],
    )
    assert precision(found, things) == pytest.approx(1.0)
    found.labels = [3 - one["class_labels"] for one in things]
    assert precision(found, things) == 0.0


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_small_detector_learns_what_is_drawn(name):
    assert train(name, 400) > 0.95
