"""Image processors: preprocessor_config.json → a list of transforms → what a model reads."""

from __future__ import annotations

import json
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from armature.errors import ArgumentError, CheckpointError, nearest, refuse_unknown
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
from armature.inputs.text.encoding import BatchEncoding
from armature.inputs.text.reading import read_json

if TYPE_CHECKING:
    from armature.checkpoint.hub import Source

FILE, WHOLE = "preprocessor_config.json", "processor_config.json"
# Older names of settings.
_OLDER = {
    "reduce_labels": "do_reduce_labels",
    "size_divisibility": "size_divisor",
    "pad_and_return_pixel_mask": "do_pad",
}
_MEANINGLESS = ("feature_extractor_type", "image_processor_type", "processor_class", "use_fast",
                "_valid_processor_keys", "_valid_kwargs_names", "auto_map", "max_size")  # fmt: skip


class ImageProcessor:
    """Makes of pictures what a model reads: `pixel_values` (B, C, height, width)."""

    kind: ClassVar[Kind]

    def __init__(self, **settings: Any) -> None:
        """Take settings over those of the class.

        Raises:
            UnknownArgumentError: there is no such setting.
            ConfigError: a size is none.
        """
        known = self.kind.settings
        settings = {_OLDER.get(key, key): value for key, value in settings.items()}
        refuse_unknown(type(self).__name__, settings, [*known, *_MEANINGLESS])
        longest = settings.get("max_size")
        kept = {key: value for key, value in settings.items() if key in known}
        self.__dict__["settings"] = known | self._read(kept, longest)

    def _read(self, given: dict[str, Any], longest: int | None = None) -> dict[str, Any]:
        """Return settings with sizes as mappings."""
        found = dict(given)
        for key, square in (("size", self.kind.square), ("crop_size", True), ("pad_size", True)):
            if found.get(key) is not None:
                found[key] = sizes.size_of(found[key], key, square=square, longest=longest)
        return found

    def __getattr__(self, name: str) -> Any:
        settings = self.__dict__.get("settings", {})
        if name in settings:
            return settings[name]
        known = nearest(name, settings)
        raise AttributeError(f"{type(self).__name__} has no setting `{name}`.{known}")

    def __setattr__(self, name: str, value: Any) -> None:
        refuse_unknown(type(self).__name__, [name], self.settings)
        self.settings.update(self._read({name: value}))

    def __repr__(self) -> str:
        return f"{type(self).__name__} {json.dumps(self.to_dict(), indent=2, sort_keys=True)}"

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
        overrides = {_OLDER.get(key, key): value for key, value in overrides.items()}
        refuse_unknown(type(self).__name__, overrides, self.settings)
        settings = self.settings | self._read(overrides)
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
                else _joined(key, arrays, return_tensors)
                for key, arrays in found.items()
            }
        if settings.get("apply_ocr"):
            found |= self._words(images, settings)
        return BatchEncoding(found)

    preprocess = __call__

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
                {key: _joined(key, [x], tensors)[0] for key, x in one.items()} if tensors else one
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

    # ------------------------------------------------------------------ files

    @classmethod
    def from_pretrained(cls, name: str | Path, **options: Any) -> ImageProcessor:
        """Open the processor of a folder or a hub name; other options override its settings."""
        from armature.checkpoint.hub import resolve_with

        stored, _ = read_settings(resolve_with(name, options))
        return cls.of_file(stored, options)

    @classmethod
    def of_file(cls, stored: dict[str, Any], options: dict[str, Any]) -> ImageProcessor:
        """Build it of what a file says, and options over it."""
        known = {*cls.kind.settings, *_OLDER, "max_size"}
        return cls(**{**{key: stored[key] for key in stored if key in known}, **options})

    def to_dict(self) -> dict[str, Any]:
        """Return what its file holds."""
        kept = {key: value for key, value in self.settings.items() if value is not None}
        return {**kept, "image_processor_type": type(self).__name__}

    def save_pretrained(self, folder: str | Path) -> list[str]:
        """Write preprocessor_config.json into a folder, and return its path."""
        from armature.checkpoint.write import Transaction

        text = json.dumps(self.to_dict(), indent=2, sort_keys=True, ensure_ascii=False)
        with Transaction(folder) as files:
            files.write(FILE, text + "\n")
        return [str(Path(folder) / FILE)]


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


def read_settings(source: Source) -> tuple[dict[str, Any], Path]:
    """Return what a checkpoint says of its pictures, and the file that does.

    Raises:
        CheckpointError: no file does, or it is damaged.
    """
    path = source.find(FILE)
    if path is not None:
        return read_json(path), path
    path = source.find(WHOLE)
    table = read_json(path).get("image_processor") if path is not None else None
    if path is None or not isinstance(table, dict):
        raise CheckpointError(
            source.name, f"there is no {FILE}", "is it a checkpoint of a model that reads images?"
        )
    return table, path


def load_image_processor(source: Source, **options: Any) -> ImageProcessor:
    """Open the image processor of a checkpoint; options override its settings.

    Raises:
        CheckpointError: there is none, or its class is not known here.
    """
    if source.find(FILE) is None and source.find(WHOLE) is None:
        stem = UNWRITTEN.get(_model_type(source) or "")
        if stem is not None:
            kind = image_processor_class(f"{stem}ImageProcessor")
            assert kind is not None
            return kind(**options)
    stored, path = read_settings(source)
    said = [stored.get("image_processor_type"), stored.get("feature_extractor_type")]
    for name in said:
        found = image_processor_class(name) if isinstance(name, str) else None
        if found is not None:
            return found.of_file(stored, options)
    model_type = _model_type(source)
    if any(said) or model_type not in OF_TYPES:
        what = next(filter(None, said), f"an image processor for {model_type!r}")
        raise CheckpointError(
            path, f"{what} is not known here", f"known: {', '.join(class_names())}"
        )
    found = image_processor_class(f"{OF_TYPES[model_type]}ImageProcessor")
    assert found is not None
    return found.of_file(stored, options)


def _model_type(source: Source) -> str | None:
    config = source.find("config.json")
    return None if config is None else read_json(config).get("model_type")


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


def _joined(name: str, arrays: list[np.ndarray], kind: str) -> Any:
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise ArgumentError(
            f"`{name}` has the shapes {', '.join(map(str, sorted(shapes)))}, which make no tensor."
            "\n  → pass do_resize=True and a size with height and width"
        )
    whole = np.stack(arrays)
    if kind == "np":
        return whole
    if kind != "pt":
        raise ArgumentError(f"return_tensors={kind!r} is not known here: use 'pt', 'np' or None.")
    import torch

    return torch.from_numpy(whole)
