"""Results of models: boxes, classes, segments and depths, and annotations as labels."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from armature.errors import ArgumentError
from armature.inputs.image.annotations import mask
from armature.inputs.image.processor import image_processor_class


def processor(stem, **settings):
    return image_processor_class(f"{stem}ImageProcessor")(**settings)


def scores(*rows):
    return torch.tensor([rows], dtype=torch.float32)


BOX = torch.tensor([[[0.5, 0.5, 0.4, 0.2], [0.25, 0.5, 0.5, 1.0]]])


@pytest.mark.parametrize("sizes", [[(10, 20)], torch.tensor([[10, 20]])])
def test_boxes_lie_in_the_image_and_sure_ones_stay(sizes):
    found = SimpleNamespace(logits=scores([3.0, 0, 0], [0, 0, 3.0]), pred_boxes=BOX)
    (one,) = processor("Detr").post_process_object_detection(found, 0.5, sizes)
    assert one["labels"].tolist() == [0]
    torch.testing.assert_close(one["boxes"], torch.tensor([[6.0, 4, 14, 6]]))
    torch.testing.assert_close(one["scores"], torch.tensor([3.0, 0, 0]).softmax(0)[:1])


def test_every_label_of_a_query_may_count():
    found = SimpleNamespace(logits=scores([3.0, 2.0], [-3.0, 4.0]), pred_boxes=BOX)
    (one,) = processor("DeformableDetr").post_process_object_detection(found, 0.5, top_k=3)
    assert one["labels"].tolist() == [1, 0, 1]
    assert one["boxes"][0].tolist() == [0.0, 0.0, 0.5, 1.0]
    (one,) = processor("OwlViT").post_process_object_detection(found, 0.5)
    assert one["labels"].tolist() == [0, 1]


def test_sizes_are_counted():
    found = SimpleNamespace(logits=torch.zeros(2, 3, 4, 4))
    with pytest.raises(ArgumentError, match="1 target_sizes"):
        processor("Beit").post_process_semantic_segmentation(found, [(4, 4)])


def test_pixels_get_the_best_class_of_a_stretched_map():
    logits = torch.full((1, 2, 2, 2), 0.5)
    logits[0, 1] = torch.tensor([0.0, 1.1])
    found = SimpleNamespace(logits=logits)
    (one,) = processor("Segformer").post_process_semantic_segmentation(found, [(2, 4)])
    assert one.tolist() == [[0, 0, 1, 1]] * 2
    (one,) = processor("Beit").post_process_semantic_segmentation(
        found, return_segmentation_scores=True
    )
    assert one["segmentation"].tolist() == [[0, 1]] * 2
    assert torch.equal(one["segmentation_scores"], logits[0])


def test_depths_are_stretched():
    found = SimpleNamespace(predicted_depth=torch.ones(1, 2, 2))
    (one,) = processor("GLPN").post_process_depth_estimation(found, [(4, 6)])
    torch.testing.assert_close(one["predicted_depth"], torch.ones(4, 6))


def masks():
    """Two queries that see the left and the right half, and one that sees nothing."""
    pixels = torch.full((1, 3, 2, 4), -9.0)
    pixels[0, 0, :, :2] = 9
    pixels[0, 1, :, 2:] = 9
    return pixels


def test_segments_are_told_apart_or_fused():
    found = SimpleNamespace(
        logits=scores([9.0, 0, 0], [8.0, 0, 0], [0, 0, 9.0]), pred_masks=masks()
    )
    detr = processor("Detr")
    (one,) = detr.post_process_panoptic_segmentation(found)
    assert one["segmentation"].tolist() == [[1, 1, 2, 2]] * 2
    assert [info["label_id"] for info in one["segments_info"]] == [0, 0]
    (one,) = detr.post_process_panoptic_segmentation(found, label_ids_to_fuse={0})
    assert one["segmentation"].tolist() == [[1] * 4] * 2
    (one,) = detr.post_process_instance_segmentation(found, return_coco_annotation=True)
    assert one["segmentation"] == [[1, 2, 5, 2], [3, 2, 7, 2]]
    (one,) = detr.post_process_instance_segmentation(found, threshold=1.0)
    assert one["segmentation"].tolist() == [[-1.0] * 4] * 2
    (one,) = detr.post_process_semantic_segmentation(found, [(2, 2)])
    assert one.tolist() == [[0, 0]] * 2


def test_queries_of_masks_may_give_maps_of_single_things():
    found = SimpleNamespace(
        class_queries_logits=scores([9.0, 0, 0], [0, 8.0, 0], [0, 0, 9.0]),
        masks_queries_logits=masks(),
    )
    former = processor("MaskFormer")
    (one,) = former.post_process_instance_segmentation(found, return_binary_maps=True)
    assert sorted(info["label_id"] for info in one["segments_info"]) == [0, 1]
    assert one["segmentation"].sum((1, 2)).tolist() == [4.0, 4.0]
    (one,) = processor("Mask2Former").post_process_instance_segmentation(found, 0.5)
    assert one["segmentation"].shape == (384, 384)


# -------------------------------------------------------------------- annotations


THING = {"category_id": 3, "bbox": [2, 4, 10, 20], "area": 200.0, "iscrowd": 0}
THINGS = {"image_id": 7, "annotations": [THING, {**THING, "bbox": [1, 1, 0, 9]}]}


def test_annotations_become_labels_that_follow_their_picture():
    photo = Image.new("RGB", (40, 60))
    detr = processor("Detr", size={"height": 30, "width": 40})
    batch = detr(photo, annotations=THINGS, pad_size=(60, 80), return_tensors="pt")
    (labels,) = batch["labels"]
    assert labels["class_labels"].tolist() == [3]
    torch.testing.assert_close(labels["boxes"], torch.tensor([[7 / 80, 7 / 60, 10 / 80, 10 / 60]]))
    assert labels["area"].tolist() == [100.0]
    assert labels["size"].tolist() == [60, 80]
    assert labels["orig_size"].tolist() == [60, 40]
    batch = detr(photo, annotations=THINGS, do_convert_annotations=False, return_tensors="np")
    assert batch["labels"][0]["boxes"].tolist() == [[2.0, 2.0, 12.0, 12.0]]


def test_polygons_and_runs_are_drawn():
    square = mask([[1, 1, 4, 1, 4, 3, 1, 3]], (5, 6))
    assert square.sum() == 6
    assert square[1:3, 1:4].all()
    assert mask({"counts": [6, 2, 22], "size": [5, 6]}, (5, 6)).T.ravel().tolist() == [
        *[0] * 6,
        *[1] * 2,
        *[0] * 22,
    ]
    with pytest.raises(ArgumentError, match="polygons"):
        mask("0a1", (5, 6))


def test_masks_come_with_things_when_asked_for():
    thing = {**THING, "segmentation": [[2, 4, 12, 4, 12, 24, 2, 24]]}
    given = {"image_id": 1, "annotations": [thing]}
    batch = processor("Yolos", do_resize=False)(
        Image.new("RGB", (40, 60)), annotations=given, return_segmentation_masks=True
    )
    assert batch["labels"][0]["masks"].sum() == 200


def test_colours_are_segments_of_panoptic_pictures(tmp_path):
    colours = np.zeros((6, 8, 3), np.uint8)
    colours[2:4, 3:7, 1] = 1
    Image.fromarray(colours).save(tmp_path / "one.png")
    infos = [{"id": 256, "category_id": 5, "iscrowd": 0, "area": 8}]
    given = {"image_id": 1, "file_name": "one.png", "segments_info": infos}
    detr = processor("Detr", format="coco_panoptic", do_resize=False, do_convert_annotations=False)
    (labels,) = detr(Image.new("RGB", (8, 6)), annotations=[given], masks_path=tmp_path)["labels"]
    assert labels["boxes"].tolist() == [[3.0, 2.0, 6.0, 3.0]]
    assert labels["masks"].sum() == 8


@pytest.mark.parametrize(
    ("stem", "given", "words"),
    [
        ("Detr", [THINGS, THINGS], "1 pictures"),
        ("Detr", {"file_name": "x"}, "image_id and annotations"),
        ("ViT", THINGS, "reads no annotations"),
    ],
)
def test_other_annotations_are_refused(stem, given, words):
    with pytest.raises(ArgumentError, match=words):
        processor(stem)(Image.new("RGB", (40, 60)), annotations=given)
