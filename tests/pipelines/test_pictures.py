"""Results of pictures: plain lists and dicts that draw themselves; masks, depths, the CLI."""

from __future__ import annotations

import copy
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from armature import auto, pipeline
from armature.cli.run import run
from armature.errors import ArgumentError
from armature.pipelines import pictures
from armature.pipelines.detection import ObjectDetectionPipeline

GOLDEN = Path(__file__).parent.parent / "golden"

PHOTO = Image.fromarray(np.arange(40 * 30 * 3, dtype=np.uint8).reshape(30, 40, 3))
MASK = Image.fromarray(np.uint8(np.indices((30, 40))[1] < 10) * 255)
BOX = {"xmin": 4, "ymin": 5, "xmax": 20, "ymax": 25}
RESULTS = [
    pictures.Labels([{"label": "cat", "score": 0.9}, {"label": "猫", "score": -0.2}]),
    pictures.Boxes([{"label": "cat", "score": 0.9, "box": BOX}]),
    pictures.Masks([{"label": "sky", "score": None, "mask": MASK}]),
    pictures.Depths(predicted_depth=torch.rand(30, 40), depth=MASK),
    pictures.Attention(attention=torch.rand(3, 5)),
]


@pytest.fixture
def photo(tmp_path):
    PHOTO.save(tmp_path / "photo.png")
    return str(tmp_path / "photo.png")


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_a_result_draws_itself(result, photo, tmp_path):
    result = copy.copy(result).of(photo)
    result.save(tmp_path / "out.png")
    drawn = np.asarray(Image.open(tmp_path / "out.png").convert("RGB"))
    assert max(drawn.shape[:2]) >= 320
    plain = np.asarray(PHOTO.resize(drawn.shape[1::-1], 0))
    assert (drawn != plain).any()
    assert result._repr_html_().startswith('<img src="data:image/png;base64,')


def test_a_mask_covers_its_own_pixels_alone():
    result = pictures.Masks([{"label": "", "score": None, "mask": MASK}]).of(PHOTO)
    scale = 8
    drawn = np.asarray(result.image())[scale // 2 :: scale, scale // 2 :: scale]
    assert (drawn[:, 10:] == np.asarray(PHOTO)[:, 10:]).all()
    assert (drawn[:2, :10] != np.asarray(PHOTO)[:2, :10]).any()


def test_results_stay_lists_and_dicts():
    rows = [{"label": "cat", "score": 0.9}]
    result = pictures.Labels(rows)
    assert result == rows
    assert json.loads(json.dumps(result)) == rows
    assert pickle.loads(pickle.dumps(result)) == rows
    assert result._repr_html_().startswith("<pre>")
    with pytest.raises(ArgumentError, match="name it"):
        result.image()


@pytest.fixture(scope="module")
def segmenter(tmp_path_factory):
    folder = tmp_path_factory.mktemp("segmenter")
    kind = auto.model_class("DPTForSemanticSegmentation")
    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 16}
    sizes |= {"intermediate_size": 8, "patch_size": 4, "neck_hidden_sizes": [4, 4]}
    sizes |= {"reassemble_factors": [2, 1], "backbone_out_indices": [0, 1], "fusion_hidden_size": 4}
    torch.manual_seed(0)
    kind(kind.config_class(**sizes, num_labels=3)).save_pretrained(folder)
    settings = {"image_processor_type": "DPTImageProcessor", "size": {"height": 16, "width": 16}}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return str(folder)


def test_every_pixel_gets_one_class(segmenter, photo):
    pipe = pipeline("image-segmentation", model=segmenter)
    found = pipe(photo)
    assert type(found) is pictures.Masks
    assert sum(np.asarray(one["mask"], int) for one in found).tolist() == [[255] * 40] * 30
    assert {one["score"] for one in found} == {None}
    assert pipe([photo, photo], subtask="semantic")[1][0]["label"] == found[0]["label"]
    assert len(pipe(photo, timeout=3.0)) == len(found)
    assert type(pipeline(model=segmenter)) is type(pipe)
    with pytest.raises(ArgumentError, match="semantic"):
        pipe(photo, subtask="panoptic")
    with pytest.raises(ArgumentError, match="threshold"):
        pipe(photo, threshold="much")


@pytest.fixture(scope="module")
def seer():
    return pipeline("image-classification", model="starter/digits")


def test_attention_lies_where_patches_do(seer):
    photo = Image.new("RGB", (56, 40))
    inputs = seer.processor(photo, return_tensors="pt")
    shares = seer.model(**inputs, output_attentions=True).attentions[0][0]
    found = seer.attention(photo, layer=0, head=1, token=5)
    assert found["window"] == (0, 0, 1, 1)
    torch.testing.assert_close(found["attention"], shares[1, 5, 1:].unflatten(0, (7, 7)))
    mean = seer.attention(photo, layer=0)["attention"]
    torch.testing.assert_close(mean, shares.mean(0)[0, 1:].unflatten(0, (7, 7)))
    with pytest.raises(ArgumentError, match="`token` is 50, but there are 50"):
        seer.attention(photo, token=50)


def test_queries_look_at_maps_of_any_shape():
    from armature.inputs.image.processor import image_processor_class

    name = GOLDEN / "detr" / "masks"
    model = auto.model_class("DetrForSegmentation").from_pretrained(name)
    kind = image_processor_class("DetrImageProcessor")
    processor = kind(size={"height": 40, "width": 70}, pad_size={"height": 80, "width": 100})
    pipe = ObjectDetectionPipeline(model, processor)
    found = pipe.attention(PHOTO, token=-1)
    assert found["window"] == pytest.approx((0, 0, 2, 10 / 7))
    assert found["attention"].shape == (3, 4)
    assert found.of(PHOTO).image().size == (320, 240)


@pytest.mark.parametrize("name", ["swin/classes", "resnet/classes", "maskformer/things"])
def test_what_looks_at_no_places_says_so(name):
    from armature.pipelines.looks import looked

    model = auto.model_class(json.loads((GOLDEN / name / "golden.json").read_text())["class"])
    inputs = {"pixel_values": torch.zeros(1, 3, 32, 32)}
    with pytest.raises(ArgumentError, match="look"):
        looked(model.from_pretrained(GOLDEN / name), inputs, -1, None, None)


def test_a_window_is_what_the_model_sees():
    from armature.inputs.image.processor import image_processor_class

    kind = image_processor_class("DeiTImageProcessor")
    sizes = {"size": {"height": 50, "width": 100}, "crop_size": {"height": 40, "width": 120}}
    assert kind(**sizes).window(7, 9) == pytest.approx((0.1, -0.1, 0.9, 1.1))
    assert kind(**sizes, do_center_crop=False).window(7, 9) == (0, 0, 1, 1)
    kind = image_processor_class("DPTImageProcessor")
    fitted = kind(size={"height": 48, "width": 62}, do_pad=True, size_divisor=16)
    assert fitted.window(9, 9) == pytest.approx((0, -1 / 62, 1, 63 / 62))


def test_the_command_line_draws_where_a_model_looked(photo, tmp_path):
    out = str(tmp_path / "looks.png")
    asked = ["label", photo, "--model", "starter/digits", "--attention", out]
    told = CliRunner().invoke(run, asked)
    assert told.exit_code == 0, told.output
    assert Image.open(out).size == (320, 240)
    told = CliRunner().invoke(run, ["sentiment", "Fine.", "--attention", out])
    assert told.exit_code == 2
    assert "--attention" in told.output


def test_the_command_line_draws(segmenter, photo, tmp_path):
    out = str(tmp_path / "out.png")
    told = CliRunner().invoke(run, ["segment", photo, "--model", segmenter, "--save", out])
    assert told.exit_code == 0, told.output
    assert "of the picture" in told.output
    assert Image.open(out).size == (320, 240)
    told = CliRunner().invoke(run, ["segment", photo, "--model", segmenter, "--json"])
    assert "data:image/png;base64," in told.output
    bad = CliRunner().invoke(run, ["segment", photo, "-m", segmenter, "--save", f"{out}.what"])
    assert bad.exit_code == 2
    assert "--save" in bad.output
