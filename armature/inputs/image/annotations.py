"""Annotations: what people marked in a picture, as COCO writes it → a detector's labels.

(Lin et al., 2014): boxes are (left, top, width, height) in pixels, masks are polygons, or the runs
of ones and zeros down the columns; of panoptic pictures each colour is the number of a segment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from armature.errors import ArgumentError
from armature.inputs.image.kinds import NEAREST
from armature.inputs.image.transforms import resize

Labels = dict[str, np.ndarray]
Size = tuple[int, int]  # height, width

FORMATS = ("coco_detection", "coco_panoptic")


def read(
    given: Any, sizes: Sequence[Size], how: str, *, masks: bool | None, folder: str | Path | None
) -> list[Labels]:
    """Return the labels of pictures, their boxes as corners in pixels.

    Args:
        given: one annotation, or one for each picture.
        sizes: of the pictures.
        how: one of FORMATS.
        masks: whether to keep masks; None: those of panoptic pictures alone.
        folder: where panoptic pictures lie.

    Raises:
        ArgumentError: they are not what the format asks for.
    """
    given = [given] if isinstance(given, Mapping) else list(given)
    if how not in FORMATS:
        raise ArgumentError(f"`format` is {how!r}, but should be one of {', '.join(FORMATS)}")
    if len(given) != len(sizes):
        raise ArgumentError(f"there are {len(sizes)} pictures, but {len(given)} annotations")
    panoptic = how == "coco_panoptic"
    needed = ("file_name", "segments_info") if panoptic else ("image_id", "annotations")
    for one in given:
        if not isinstance(one, Mapping) or not {*needed} <= {*one}:
            raise ArgumentError(
                f"an annotation of the format {how!r} is a mapping with {' and '.join(needed)}"
            )
    if not panoptic:
        return [
            _things(one, size, masks=bool(masks)) for one, size in zip(given, sizes, strict=True)
        ]
    if folder is None:
        raise ArgumentError("panoptic annotations need masks_path, the folder of their pictures")
    keep = masks is None or masks
    return [
        _segments(one, size, Path(folder), masks=keep)
        for one, size in zip(given, sizes, strict=True)
    ]


def _things(given: Mapping[str, Any], size: Size, *, masks: bool) -> Labels:
    """Read the things of one picture, without crowds and empty boxes."""
    things = [one for one in given["annotations"] if not one.get("iscrowd", 0)]
    boxes = np.asarray([one["bbox"] for one in things], np.float32).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    boxes[:, 0::2] = boxes[:, 0::2].clip(0, size[1])
    boxes[:, 1::2] = boxes[:, 1::2].clip(0, size[0])
    kept = (boxes[:, 3] > boxes[:, 1]) & (boxes[:, 2] > boxes[:, 0])
    found = {
        "image_id": np.asarray([given["image_id"]], np.int64),
        "class_labels": np.asarray([one["category_id"] for one in things], np.int64)[kept],
        "boxes": boxes[kept],
        "area": np.asarray([one["area"] for one in things], np.float32)[kept],
        "iscrowd": np.asarray([one.get("iscrowd", 0) for one in things], np.int64)[kept],
        "orig_size": np.asarray(size, np.int64),
    }
    if things and "keypoints" in things[0]:
        points = np.asarray([one["keypoints"] for one in things], np.float32)[kept]
        found["keypoints"] = points.reshape(-1, 3) if len(points) else points
    if masks:
        drawn = [mask(one["segmentation"], size).astype(bool) for one in things]
        found["masks"] = np.stack(drawn)[kept] if drawn else np.zeros((0, *size), bool)
    return found


def _segments(given: Mapping[str, Any], size: Size, folder: Path, *, masks: bool) -> Labels:
    """Read the segments of one picture."""
    from PIL import Image

    infos = given["segments_info"]
    with Image.open(folder / given["file_name"]) as picture:
        colours = np.asarray(picture, np.uint32)
    numbers = colours[..., 0] + 256 * colours[..., 1] + 65536 * colours[..., 2]
    ids = np.asarray([one["id"] for one in infos])
    drawn = (numbers == ids[:, None, None]).astype(np.uint8)
    found = {
        "image_id": np.asarray([given.get("image_id", given.get("id"))], np.int64),
        "size": np.asarray(size, np.int64),
        "orig_size": np.asarray(size, np.int64),
        "boxes": _around(drawn),
        "class_labels": np.asarray([one["category_id"] for one in infos], np.int64),
        "iscrowd": np.asarray([one["iscrowd"] for one in infos], np.int64),
        "area": np.asarray([one["area"] for one in infos], np.float32),
    }
    return found | ({"masks": drawn} if masks else {})


def _around(masks: np.ndarray) -> np.ndarray:
    """Masks (n, height, width) → (n, 4) corners of the first and last pixels of each."""
    boxes = np.zeros((len(masks), 4), np.float32)
    for box, one in zip(boxes, masks, strict=True):
        rows, columns = np.nonzero(one.any(1))[0], np.nonzero(one.any(0))[0]
        # HF: an empty mask ends before it begins.
        box[:] = (columns[0], rows[0], columns[-1], rows[-1]) if len(rows) else (1e8, 1e8, 0.0, 0.0)
    return boxes


def mask(segmentation: Any, size: Size) -> np.ndarray:
    """Return (height, width) of ones and zeros that polygons, or runs, draw.

    Raises:
        ArgumentError: it is none of both.
    """
    runs = segmentation.get("counts") if isinstance(segmentation, Mapping) else None
    if isinstance(runs, list):
        line = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
        return line.reshape(size[1], size[0]).T
    if not isinstance(segmentation, list):
        raise ArgumentError(
            "a segmentation should be a list of polygons [x, y, x, y, …], or a mapping whose "
            "`counts` are a list of runs"
        )
    found = np.zeros(size, np.uint8)
    for polygon in segmentation:
        found |= _polygon(np.asarray(polygon, np.float64), size)
    return found


_FINE = 5  # steps of a pixel in which an outline is followed


def _polygon(corners: np.ndarray, size: Size) -> np.ndarray:
    """Fill a polygon (2 · n,) as COCO's tools do: exactly their pixels."""
    height, width = size
    fine = (_FINE * corners.reshape(-1, 2) + 0.5).astype(np.int64)
    edges = zip(fine, np.roll(fine, -1, 0), strict=True)
    outline = np.concatenate([_line(first, last) for first, last in edges])
    before, after = outline[:-1], outline[1:]
    steps = before[:, 0] != after[:, 0]  # where the outline leaves a column
    low = np.minimum(before[steps], after[steps])
    rising = after[steps, 0] < before[steps, 0]
    columns = (np.where(rising, after[steps, 0], after[steps, 0] - 1) + 0.5) / _FINE - 0.5
    rows = np.ceil(((low[:, 1] + 0.5) / _FINE - 0.5).clip(0, height))
    whole = (np.floor(columns) == columns) & (columns >= 0) & (columns <= width - 1)
    starts = (columns[whole] * height + rows[whole]).astype(np.int64)
    flips = np.bincount(starts, minlength=height * width + 1)[: height * width]
    return (flips.cumsum() % 2).reshape(width, height).T.astype(np.uint8)


def _line(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Return the points (n, 2) from one corner to the next, all of them in one axis."""
    way = np.abs(last - first)
    axis = 0 if way[0] >= way[1] else 1
    back = first[axis] > last[axis]
    start, end = (last, first) if back else (first, last)
    count = np.arange(way[axis] + 1)
    count = count[::-1] if back else count
    slope = (end[1 - axis] - start[1 - axis]) / way[axis] if way[axis] else 0.0
    points = np.empty((len(count), 2), np.int64)
    points[:, axis] = count + start[axis]
    points[:, 1 - axis] = (start[1 - axis] + slope * count + 0.5).astype(np.int64)
    return points


def fitted(labels: Labels, old: Size, new: Size, *, resized: bool, shares: bool) -> Labels:
    """Bring labels to the size that their picture got.

    Args:
        labels: as `read` returns them.
        old: the picture's size before.
        new: its size now.
        resized: whether it was resized at all.
        shares: make boxes (x, y, width, height) around the centre, in shares of the sides.
    """
    found = dict(labels)
    tall, wide = new[0] / old[0], new[1] / old[1]
    if resized:
        sides = np.asarray([wide, tall, wide, tall], np.float32)
        found |= {
            "size": np.asarray(new, np.int64),
            "boxes": found["boxes"] * sides,
            "area": (found["area"] * (wide * tall)).astype(np.float32),
        }
        if "masks" in found:
            drawn = [resize(one[None], new, NEAREST)[0] > 0.5 for one in found["masks"]]
            found["masks"] = np.stack(drawn) if drawn else np.zeros((0, *new), bool)
    if shares:
        left, top, right, bottom = found["boxes"].T
        centred = np.stack(((left + right) / 2, (top + bottom) / 2, right - left, bottom - top), -1)
        found["boxes"] = centred / np.asarray([new[1], new[0]] * 2, np.float32)
    return found


def padded(labels: Labels, old: Size, new: Size, *, shares: bool) -> Labels:
    """Bring labels to the size that their picture was padded to, below and at the right."""
    if old == new:
        return labels
    found = labels | {"size": np.asarray(new, np.int64)}
    if shares:
        ratio = np.asarray([old[1] / new[1], old[0] / new[0]] * 2)
        found["boxes"] = (found["boxes"] * ratio).astype(found["boxes"].dtype)
    if "masks" in found:
        room = ((0, 0), (0, new[0] - old[0]), (0, new[1] - old[1]))
        found["masks"] = np.pad(found["masks"], room)
    return found


def divided(
    numbers: np.ndarray, classes: Mapping[int, int] | None, ignored: int | None, *, reduce: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return a mask (n, height, width) for each number of a map, and the class (n,) of each.

    Args:
        numbers: (height, width).
        classes: of each number; None: numbers are classes.
        ignored: the number of pixels that count for nothing.
        reduce: 0 counts for nothing, and classes are one less.

    Raises:
        ArgumentError: nothing counts for nothing, or a number has no class.
    """
    if reduce:
        if ignored is None:
            raise ArgumentError("do_reduce_labels=True needs ignore_index: what becomes of 0")
        numbers = np.where(numbers == 0, ignored, numbers - 1)
    known = np.unique(numbers)
    known = known[known != ignored] if ignored is not None else known
    masks = (numbers == known[:, None, None]).astype(np.float32)
    if classes is None:
        return masks, known.astype(np.int64)
    less = int(reduce)
    try:
        return masks, np.array([classes[int(x) + less] - less for x in known], np.int64)
    except KeyError as error:
        raise ArgumentError(
            f"a segmentation map has {error.args[0]}, which instance_id_to_semantic_id lacks"
        ) from error
