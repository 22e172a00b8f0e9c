"""Results of pictures: plain lists and dicts that draw themselves; masks, depths, the CLI."""

from __future__ import annotations

import copy
import json
import pickle

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from armature import auto, pipeline
from armature.cli.run import run
from armature.errors import ArgumentError
from armature.pipelines import pictures

PHOTO = Image.fromarray(np.arange(40 * 30 * 3, dtype=np.uint8).reshape(30, 40, 3))
MASK = Image.fromarray(np.uint8(np.indices((30, 40))[1] < 10) * 255)
BOX = {"xmin": 4, "ymin": 5, "xmax": 20, "ymax": 25}
RESULTS = [
    pictures.Labels([{"label": "cat", "score": 0.9}, {"label": "猫", "score": -0.2}]),
    pictures.Boxes([{"label": "cat", "score": 0.9, "box": BOX}]),
    pictures.Masks([{"label": "sky", "score": None, "mask": MASK}]),
    pictures.Depths(predicted_depth=torch.rand(30, 40), depth=MASK),
    pictures.Attention.seen(torch.rand(1, 2, 13, 13), None, head=1),
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
    assert type(pipeline(model=segmenter)) is type(pipe)
    with pytest.raises(ArgumentError, match="semantic"):
        pipe(photo, subtask="panoptic")
    with pytest.raises(ArgumentError, match="threshold"):
        pipe(photo, threshold="much")


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
