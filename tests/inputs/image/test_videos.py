"""Videos: frames laid after each other, of one video or of several."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from armature import AutoImageProcessor, VideoMAEImageProcessor
from armature.errors import ArgumentError

SMALL = {"size": {"shortest_edge": 12}, "crop_size": {"height": 8, "width": 8}}
FRAMES = [np.full((20, 30, 3), 50 * index, np.uint8) for index in range(4)]


def test_the_frames_of_a_video_stay_in_their_order():
    found = VideoMAEImageProcessor(**SMALL)(FRAMES, return_tensors="pt")["pixel_values"]
    assert found.shape == (1, 4, 3, 8, 8)
    means = found.mean((2, 3, 4))[0].tolist()
    assert means == pytest.approx([50 * index / 255 * 2 - 1 for index in range(4)], abs=1e-5)


def test_a_picture_is_a_video_of_one_frame():
    processor = VideoMAEImageProcessor(**SMALL)
    frames = processor(images=FRAMES, return_tensors="np")["pixel_values"]
    for one in (FRAMES[3], Image.fromarray(FRAMES[3])):
        assert np.array_equal(processor(one, return_tensors="np")["pixel_values"][0], frames[0, 3:])


def test_several_videos_make_a_batch():
    processor = VideoMAEImageProcessor(**SMALL)
    alone = processor(np.stack(FRAMES), return_tensors="np")["pixel_values"]
    found = processor([FRAMES, FRAMES[::-1]], return_tensors="np")["pixel_values"]
    assert np.array_equal(found[0], alone[0])
    assert np.array_equal(found[1], alone[0, ::-1])
    assert [one.shape for one in processor([FRAMES, FRAMES[:2]])["pixel_values"]] == [
        (4, 3, 8, 8),
        (2, 3, 8, 8),
    ]


def test_videos_of_different_lengths_make_no_tensor():
    processor = VideoMAEImageProcessor(**SMALL)
    with pytest.raises(ArgumentError, match="as many frames"):
        processor([FRAMES, FRAMES[:2]], return_tensors="pt")
    with pytest.raises(ArgumentError, match="no frame"):
        processor([])


def test_a_saved_one_opens_again(tmp_path):
    VideoMAEImageProcessor(**SMALL).save_pretrained(tmp_path)
    assert AutoImageProcessor.from_pretrained(tmp_path).crop_size == SMALL["crop_size"]
