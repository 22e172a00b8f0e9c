"""Image processors beside the reference's recorded pixels, their files, and what they refuse."""

from __future__ import annotations

import base64
import io
import json
import shutil
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from armature import AutoImageProcessor
from armature.errors import ArgumentError, CheckpointError, ConfigError, UnknownArgumentError
from armature.inputs.image import pictures, sizes
from armature.inputs.image.kinds import KINDS, OF_TYPES
from armature.inputs.image.processor import image_processor_class

GOLDEN = Path(__file__).parents[2] / "golden" / "images"
SETTINGS = json.loads((GOLDEN / "settings.json").read_text())
PHOTO = GOLDEN / "img0.png"


def checkpoint(folder, **settings):
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def vit(tmp_path):
    return AutoImageProcessor.from_pretrained(checkpoint(tmp_path, **SETTINGS["vit"]))


@pytest.mark.parametrize("name", SETTINGS)
def test_pixels_are_those_of_the_reference(tmp_path, name):
    processor = AutoImageProcessor.from_pretrained(checkpoint(tmp_path, **SETTINGS[name]))
    with np.load(GOLDEN / "expected.npz") as expected:
        keys = [key for key in expected if key.startswith(f"{name}/")]
        assert keys
        for key in keys:
            _, picture, field = key.split("/")
            found = processor(pictures.photo(GOLDEN / picture), return_tensors="np")[field]
            assert found.shape == expected[key].shape
            assert np.abs(found - expected[key].astype(found.dtype)).max() < 1e-6


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_what_it_is_and_comes_back(tmp_path, name):
    processor = image_processor_class(f"{name}ImageProcessor")()
    processor.save_pretrained(tmp_path)
    again = AutoImageProcessor.from_pretrained(tmp_path)
    assert type(again) is type(processor)
    assert again.settings == {**processor.settings, **again.settings}
    assert again.to_dict() == processor.to_dict()
    assert name in repr(again)


def test_a_picture_may_come_in_many_ways(vit):
    image = Image.open(PHOTO).convert("RGB")
    expected = vit(image, return_tensors="pt").pixel_values
    array = np.array(image)
    data = PHOTO.read_bytes()
    ways = [PHOTO, str(PHOTO), data, io.BytesIO(data), array, np.moveaxis(array, -1, 0)]
    ways += [torch.from_numpy(array), base64.b64encode(data).decode()]
    ways += [f"data:image/png;base64,{base64.b64encode(data).decode()}"]
    for way in ways:
        assert torch.equal(vit(way, return_tensors="pt").pixel_values, expected)
    batch = vit([PHOTO, image], return_tensors="pt").pixel_values
    assert torch.equal(batch, expected.repeat(2, 1, 1, 1))
    several = vit(np.stack([array, array]), return_tensors="pt").pixel_values
    assert torch.equal(several, batch)


def test_a_photo_is_turned_and_becomes_rgb(tmp_path):
    wide = Image.new("RGB", (8, 4), "red")
    wide.putpixel((0, 0), (0, 0, 255))
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held upright
    wide.save(tmp_path / "held.png", exif=exif)
    found = pictures.photo(tmp_path / "held.png")
    assert found.size == (4, 8)
    assert found.getpixel((3, 0)) == (0, 0, 255)
    for mode in ("L", "RGBA", "CMYK", "P", "1", "I;16", "LA"):
        file = tmp_path / f"{mode.replace(';', '')}.tiff"
        Image.new(mode, (5, 3)).save(file)
        assert pictures.photo(file).mode == "RGB"


def test_what_shines_through_is_white():
    clear = Image.new("RGBA", (2, 2), (10, 20, 30, 0))
    assert (pictures.pixels(clear, rgb=True) == 255).all()
    half = np.array([10, 20, 30, 128], np.uint8)[:, None, None]
    assert pictures.pixels(half, rgb=True).ravel().tolist() == [132, 137, 142]
    gray = np.full((4, 4), 7, np.uint8)
    assert pictures.pixels(gray, rgb=True).shape == (3, 4, 4)


def test_numbers_from_zero_to_one_are_resized_as_brightness(vit):
    array = np.array(Image.open(PHOTO).convert("RGB"))
    whole = vit(array, do_rescale=False, do_normalize=False, return_tensors="np").pixel_values
    small = vit(array / 255, do_rescale=False, do_normalize=False, return_tensors="np").pixel_values
    assert np.abs(small - whole / 255).max() < 1 / 255  # cut off, not rounded, on the way


def test_maps_of_classes_go_the_same_way(tmp_path):
    processor = AutoImageProcessor.from_pretrained(checkpoint(tmp_path, **SETTINGS["segformer"]))
    classes = np.array([[0, 1], [2, 255]], np.uint8)
    picture = np.zeros((2, 2, 3), np.uint8)
    how = {"size": 4, "do_reduce_labels": True, "return_tensors": "pt"}
    labels = processor(picture, classes, **how).labels
    assert labels.dtype == torch.int64
    assert labels[0, ::2, ::2].tolist() == [[255, 0], [1, 254]] or labels[0, 3, 3] == 255
    with pytest.raises(ArgumentError, match="1 pictures, but 2"):
        processor(picture, [classes, classes])
    vit = image_processor_class("ViTImageProcessor")()
    with pytest.raises(ArgumentError, match="no segmentation_maps"):
        vit(picture, classes)


def test_pictures_of_all_shapes_are_padded_and_masked(tmp_path):
    processor = AutoImageProcessor.from_pretrained(checkpoint(tmp_path, **SETTINGS["detr"]))
    shapes = [np.zeros((40, 60, 3), np.uint8), np.zeros((60, 40, 3), np.uint8)]
    batch = processor(shapes, return_tensors="pt")
    assert batch.pixel_values.shape == (2, 3, 96, 96)
    assert batch.pixel_mask.sum((1, 2)).tolist() == [64 * 96, 96 * 64]
    vit = image_processor_class("ViTImageProcessor")(do_resize=False)
    with pytest.raises(ArgumentError, match="make no tensor"):
        vit(shapes, return_tensors="pt")


# -------------------------------------------------------------------- files


@pytest.mark.parametrize(
    "settings",
    [
        {"image_processor_type": "ViTImageProcessor", "size": {"height": 9, "width": 9}},
        {"image_processor_type": "ViTImageProcessorFast", "size": [9, 9], "use_fast": True},
        {"feature_extractor_type": "ViTFeatureExtractor", "size": 9},
        {"size": 9, "do_resize": True},
    ],
)
def test_files_of_all_years_are_read(tmp_path, settings):
    (tmp_path / "config.json").write_text('{"model_type": "swin"}')
    processor = AutoImageProcessor.from_pretrained(checkpoint(tmp_path, **settings))
    assert type(processor).__name__ == "ViTImageProcessor"
    assert processor.size == {"height": 9, "width": 9}


def test_a_number_is_the_shorter_side_where_the_class_means_it(tmp_path):
    settings = {"feature_extractor_type": "DetrFeatureExtractor", "size": 80, "max_size": 133}
    processor = AutoImageProcessor.from_pretrained(checkpoint(tmp_path, **settings))
    assert processor.size == {"shortest_edge": 80, "longest_edge": 133}


def test_the_newest_layout_is_read(tmp_path):
    table = {"image_processor": SETTINGS["vit"], "processor_class": "AnyProcessor"}
    (tmp_path / "processor_config.json").write_text(json.dumps(table))
    processor = AutoImageProcessor.from_pretrained(tmp_path, size=12)
    assert processor.size == {"height": 12, "width": 12}
    processor.size = 10
    assert processor(PHOTO, return_tensors="pt").pixel_values.shape[-2:] == (10, 10)


def test_every_type_has_its_kind():
    assert set(OF_TYPES.values()) <= set(KINDS)


# -------------------------------------------------------------------- what is refused


def png(width, height):
    """Return a picture that says it is so large, and holds nothing."""

    def chunk(kind, body):
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (png(60_000, 60_000), "pixels"),
        (PHOTO.read_bytes()[:600], "cut short"),
        (b"no picture", "no picture"),
        ("nowhere.png", "no such file"),
        ("https://example.org/a.png", "download"),
        ("data:image/png;base64,!!", "no such file"),
        (np.zeros((0, 4, 3), np.uint8), "shape"),
        (np.zeros((5, 5, 7), np.uint8), "shape"),
        (np.full((4, 4, 3), np.nan), "NaN"),
        (np.full((4, 4, 3), 300.0), "from 300 to 300"),
        (np.zeros((4, 4), np.uint8), "1 channels"),
        (7, "no picture"),
        ([], "no picture"),
        ([["a"]], "list"),
        (io.BytesIO(b"%!PS-Adobe-3.0 EPSF-3.0"), "no picture"),
    ],
)
def test_bad_pictures_are_refused(vit, picture, words):
    with pytest.raises(ArgumentError, match=words):
        vit(picture)


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"sise": 3}, UnknownArgumentError, "size"),
        ({"size": -1}, ConfigError, "size"),
        ({"size": {"heigth": 3}}, ConfigError, "size"),
        ({"size": "large"}, ConfigError, "size"),
        ({"size": {"height": 10**9, "width": 3}}, ConfigError, "32768"),
        ({"return_tensors": "tf"}, ArgumentError, "tf"),
    ],
)
def test_bad_settings_are_refused(vit, settings, error, words):
    with pytest.raises(error, match=words):
        vit(PHOTO, **settings)


def test_a_checkpoint_without_pictures_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"no preprocessor_config\.json"):
        AutoImageProcessor.from_pretrained(tmp_path)
    checkpoint(tmp_path, image_processor_type="NoneImageProcessor")
    with pytest.raises(CheckpointError, match="NoneImageProcessor"):
        AutoImageProcessor.from_pretrained(tmp_path)
    checkpoint(tmp_path, size=3)
    shutil.copy(Path(__file__), tmp_path / "model.py")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match="bert"):
        AutoImageProcessor.from_pretrained(tmp_path)


def test_too_narrow_pictures_are_refused(tmp_path):
    processor = AutoImageProcessor.from_pretrained(checkpoint(tmp_path, **SETTINGS["glpn"]))
    with pytest.raises(ArgumentError, match="too small"):
        processor(np.zeros((20, 40, 3), np.uint8))


# -------------------------------------------------------------------- sizes


def test_poolformer_reads_the_shorter_side_alone():
    processor = image_processor_class("PoolFormerImageProcessor")(crop_pct=0.5, crop_size=12)
    longest = processor(PHOTO, size={"shortest_edge": 10, "longest_edge": 11}).pixel_values
    np.testing.assert_array_equal(longest, processor(PHOTO, size=10).pixel_values)
    with pytest.raises(ConfigError, match="shortest_edge"):
        processor(PHOTO, size={"max_height": 10, "max_width": 10})


def test_segformer_crops_nothing():
    processor = image_processor_class("SegformerImageProcessor")(size=10)
    crop = {"do_center_crop": True, "crop_size": 4}
    assert processor(PHOTO, **crop, return_tensors="pt").pixel_values.shape[-2:] == (10, 10)
    vit = image_processor_class("ViTImageProcessor")()
    with pytest.raises(ConfigError, match="crop_size"):
        vit(PHOTO, do_center_crop=True)


@pytest.mark.parametrize(
    ("size", "height", "width", "expected"),
    [
        ({"shortest_edge": 10}, 20, 45, (10, 22)),
        ({"shortest_edge": 10}, 45, 20, (22, 10)),
        ({"shortest_edge": 10, "longest_edge": 15}, 20, 45, (7, 15)),
        ({"shortest_edge": 20, "longest_edge": 90}, 20, 45, (20, 45)),
        ({"max_height": 10, "max_width": 10}, 20, 45, (4, 10)),
        ({"height": 3, "width": 4}, 20, 45, (3, 4)),
    ],
)
def test_sizes_are_what_their_words_say(size, height, width, expected):
    assert sizes.target(height, width, size) == expected
