"""Image processors: preprocessor_config.json → a list of transforms → what a model reads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from armature.errors import ArgumentError, CheckpointError
from armature.inputs.encoding import BatchEncoding
from armature.inputs.image import annotations as annotated
from armature.inputs.image import pictures, sizes
from armature.inputs.image.kinds import (
    ANSWERS,
    KINDS,
    NEAREST,
    OF_TYPES,
    UNWRITTEN,
    Kind,
    class_names,
)
from armature.inputs.image.pictures import Picture
from armature.inputs.image.steps import MAP_STEPS, STEPS
from armature.inputs.image.transforms import pad, reduce_labels
from armature.inputs.preprocessor import (
    FILE,
    IMAGES,
    WHOLE,
    Preprocessor,
    model_type_of,
    read_settings,
)
from armature.inputs.tensors import stacked

if TYPE_CHECKING:
    from armature.checkpoint.hub import Source

# Older names of settings.
_OLDER = {
    "reduce_labels": "do_reduce_labels",
    "size_divisibility": "size_divisor",
    "pad_and_return_pixel_mask": "do_pad",
}


class ImageProcessor(Preprocessor):
    """Makes of pictures what a model reads: `pixel_values` (B, C, height, width)."""

    kind: ClassVar[Kind]
    part = IMAGES
    older = _OLDER
    derived = ("max_size",)

    def _checked(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Return settings with sizes as mappings."""
        found = {key: value for key, value in settings.items() if key in self.kind.settings}
        for key, square in (("size", self.kind.square), ("crop_size", True), ("pad_size", True)):
            if found.get(key) is not None:
                if key == "size" and self.kind.wide_first and isinstance(found[key], list | tuple):
                    found[key] = found[key][::-1]
                longest = settings.get("max_size")
                found[key] = sizes.size_of(found[key], key, square=square, longest=longest)
        return found

    @property
    def model_input_names(self) -> list[str]:
        """Return the names of what it makes."""
        return ["pixel_values", *(["pixel_mask"] if "pad_batch" in self.kind.steps else [])]

    # ------------------------------------------------------------------ use

    def __call__(  # noqa: PLR0913 - the known signature
        self,
        images: Picture | list[Picture],
        segmentation_maps: Picture | list[Picture] | None = None,
        return_tensors: str | None = None,
        *,
        input_data_format: str | None = None,
        annotations: Any = None,
        return_segmentation_masks: bool | None = None,
        masks_path: str | Path | None = None,
        **overrides: Any,
    ) -> BatchEncoding:
        """Make of one or several pictures what a model reads.

        Args:
            images: paths, bytes, data URLs, PIL images, arrays or tensors.
            segmentation_maps: for each, the classes of its pixels, (height, width).
            return_tensors: "pt", "np", or None for a list of arrays (C, height, width).
            input_data_format: "channels_first" or "channels_last", where an array's shape does not
                say it.
            annotations: for each, what people marked in it, as COCO writes it.
            return_segmentation_masks: keep the masks of annotations.
            masks_path: the folder of panoptic annotations' pictures.
            overrides: settings of this call alone.

        Returns:
            pixel_values (B, C, height, width); pixel_mask (B, height, width), 0 where pictures were
            padded; labels (B, height, width) of the maps, or one mapping for each annotation.

        Raises:
            ArgumentError: a picture cannot be read, or the sizes of the results differ, so that
                they make no tensor.
            UnknownArgumentError: there is no such setting.
        """
        settings = self._with(overrides)
        first = None if input_data_format is None else input_data_format == "channels_first"
        rgb = bool(settings["do_convert_rgb"])
        read = [pictures.pixels(one, rgb=rgb, first=first) for one in pictures.many(images)]
        made = [self._made(image, settings) for image in read]
        found: dict[str, Any] = {"pixel_values": made}
        if settings["do_pad"] and "pad_batch" in self.kind.steps:
            found = _padded(made, settings.get("pad_size"))
        if annotations is not None:
            sizes = [
                [one.shape[1:] for one in some] for some in (read, made, found["pixel_values"])
            ]
            how = {"masks": return_segmentation_masks, "folder": masks_path}
            found["labels"] = self._labels(annotations, sizes, settings, how, return_tensors)
        if segmentation_maps is not None:
            found["labels"] = self._maps(segmentation_maps, settings, len(found["pixel_values"]))
        if return_tensors is not None:
            found = {
                key: arrays
                if isinstance(arrays[0], BatchEncoding)
                else _stacked(key, arrays, return_tensors)
                for key, arrays in found.items()
            }
        if settings.get("apply_ocr"):
            found |= self._words(images, settings)
        return BatchEncoding(found)

    preprocess = __call__

    def window(self, height: int, width: int) -> tuple[float, float, float, float]:
        """Return what a model sees of a picture: top, left, bottom, right in shares of its sides.

        Less than all of it is seen where it is cropped, more where it is padded.
        """
        settings, blank = self._with({}), np.zeros((3, height, width), np.uint8)
        inner = self._made(blank, settings | {"do_center_crop": False, "do_pad": False}).shape[1:]
        outer, share = self._made(blank, settings).shape[1:], 0.5
        if settings["do_pad"] and "pad_batch" in self.kind.steps:
            size = settings.get("pad_size")
            outer, share = outer if size is None else (size["height"], size["width"]), 0.0
        before = [share * (old - new) / old for old, new in zip(inner, outer, strict=True)]
        after = [at + new / old for at, old, new in zip(before, inner, outer, strict=True)]
        return before[0], before[1], after[0], after[1]

    def _words(self, images: Any, settings: dict[str, Any]) -> dict[str, Any]:
        """Return the words of pictures of pages, and their boxes."""
        from armature.inputs.image.ocr import words_of

        how = settings["ocr_lang"], settings["tesseract_config"]
        read = [words_of(pictures.pixels(p, rgb=True), *how) for p in pictures.many(images)]
        return {"words": [words for words, _ in read], "boxes": [boxes for _, boxes in read]}

    def _made(self, image: np.ndarray, settings: dict[str, Any]) -> np.ndarray:
        for step in self.kind.steps:
            asked, do = STEPS.get(step, ("", None))
            if do is not None and (not asked or settings[asked]):
                image = do(image, settings)
        return np.ascontiguousarray(image)

    def _labels(
        self,
        given: Any,
        sizes: list[list[Any]],
        settings: dict[str, Any],
        how: dict[str, Any],
        tensors: str | None,
    ) -> list[BatchEncoding]:
        """Return the labels of annotated pictures that were so large, were resized, and padded."""
        if not self.kind.reads_boxes:
            raise ArgumentError(f"{type(self).__name__} reads no annotations")
        shares = settings["do_convert_annotations"]
        resized = settings["do_resize"]
        labels = annotated.read(given, sizes[0], settings["format"], **how)
        found = []
        for one, *size in zip(labels, *sizes, strict=True):
            one = annotated.fitted(one, size[0], size[1], resized=resized, shares=shares)
            one = annotated.padded(one, size[1], size[2], shares=shares)
            kinds = (
                {key: _stacked(key, [x], tensors)[0] for key, x in one.items()} if tensors else one
            )
            found.append(BatchEncoding(kinds))
        return found

    def _maps(self, maps: Any, settings: dict[str, Any], count: int) -> list[np.ndarray]:
        if not self.kind.reads_maps:
            raise ArgumentError(f"{type(self).__name__} reads no segmentation_maps")
        found = []
        settings = settings | {"resample": NEAREST}
        for one in pictures.many(maps):
            classes = pictures.pixels(one, rgb=False, first=True)
            if len(classes) != 1:
                raise ArgumentError(
                    f"a segmentation map has {len(classes)} channels: give one class for each "
                    "pixel, (height, width)"
                )
            classes = reduce_labels(classes) if settings["do_reduce_labels"] else classes
            for step in self.kind.steps:
                if step in MAP_STEPS and settings[STEPS[step][0]]:
                    classes = STEPS[step][1](classes, settings)
            found.append(classes[0].astype(np.int64))
        if len(found) != count:
            raise ArgumentError(f"there are {count} pictures, but {len(found)} segmentation_maps")
        return found


# -------------------------------------------------------------------- classes and files


@cache
def image_processor_class(name: str) -> type[ImageProcessor] | None:
    """Return the class of a name, as any year spelt it ("ViTFeatureExtractor"); or None."""
    stem = name
    for ending in ("Pil", "Fast", "ImageProcessor", "FeatureExtractor"):
        stem = stem.removesuffix(ending)
    if stem == name or stem not in KINDS:
        return None
    kind = KINDS[stem]
    body = {"kind": kind, "__module__": "armature", "__doc__": ImageProcessor.__doc__}
    return type(f"{stem}ImageProcessor", (*_answers(stem), ImageProcessor), body)


def _answers(stem: str) -> tuple[type, ...]:
    """Return what a class makes results of a model's answers with."""
    if stem not in ANSWERS:
        return ()
    file, name = ANSWERS[stem]
    return (getattr(import_module(f"armature.inputs.image.{file}"), name),)


def load_image_processor(source: Source, **options: Any) -> ImageProcessor:
    """Open the image processor of a checkpoint; options override its settings.

    Raises:
        CheckpointError: there is none, or its class is not known here.
    """
    if source.find(FILE) is None and source.find(WHOLE) is None:
        stem = UNWRITTEN.get(model_type_of(source))
        if stem is not None:
            kind = image_processor_class(f"{stem}ImageProcessor")
            assert kind is not None
            return kind(**options)
    stored, path = read_settings(source, IMAGES)
    said = [stored.get("image_processor_type"), stored.get("feature_extractor_type")]
    for name in said:
        found = image_processor_class(name) if isinstance(name, str) else None
        if found is not None:
            return found.of_file(stored, options)
    model_type = model_type_of(source)
    if any(said) or model_type not in OF_TYPES:
        what = next(filter(None, said), f"an image processor for {model_type!r}")
        raise CheckpointError(
            path, f"{what} is not known here", f"known: {', '.join(class_names())}"
        )
    found = image_processor_class(f"{OF_TYPES[model_type]}ImageProcessor")
    assert found is not None
    return found.of_file(stored, options)


# -------------------------------------------------------------------- batches


def _padded(images: list[np.ndarray], asked: sizes.Size | None) -> dict[str, Any]:
    """Pad pictures to the largest height and width, or what is asked, and say what is picture."""
    size = (max(image.shape[1] for image in images), max(image.shape[2] for image in images))
    size = size if asked is None else (asked["height"], asked["width"])
    masks = []
    for image in images:
        mask = np.zeros(size, np.int64)
        mask[: image.shape[1], : image.shape[2]] = 1
        masks.append(mask)
    return {"pixel_values": [pad(image, size) for image in images], "pixel_mask": masks}


def _stacked(name: str, arrays: list[np.ndarray], kind: str) -> Any:
    remedy = "do_resize=True and a size with height and width"
    return stacked(name, arrays, kind, remedy)
