"""image-classification and image-feature-extraction: a picture gets labels, or vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from armature.pipelines.base import Pipeline
from armature.pipelines.batching import Row
from armature.pipelines.classification import (
    LabelOptions,
    best_labels,
    function_named,
    function_of,
    scores_of,
)
from armature.pipelines.options import PictureOptions
from armature.pipelines.pictures import Attention, Labels

_PATCH = 16 * 16  # pixels that cost about as much as a token of a text


class ImagePipeline(Pipeline):
    """Base of the tasks on pictures: each becomes one row of `pixel_values`."""

    def __init__(self, model: Any, processor: Any, **how: Any) -> None:
        """Join a model and its image processor; see `Pipeline` for the rest."""
        super().__init__(model, None, **how)
        self.processor = processor

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and image processor into a folder that `pipeline(model=folder)` opens."""
        self.model.save_pretrained(folder)
        self.processor.save_pretrained(folder)

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options by their names of today."""
        named = super().named(given)
        if "images" in named:  # the other name of what is read
            named["inputs"] = named.pop("images")
        return named

    def is_item(self, inputs: Any) -> bool:
        """Say whether the inputs are one picture."""
        if isinstance(inputs, str | bytes | bytearray | PathLike) or hasattr(inputs, "getbands"):
            return True
        return getattr(inputs, "ndim", 0) in (2, 3)

    def prepare(self, items: Sequence[Any], options: Any) -> list[Row]:
        """Make one row of each picture, seen as people see it."""
        from armature.inputs.image.pictures import photo

        rows = []
        for index, item in enumerate(items):
            picture = photo(item)
            made = self.processor(picture, **self.settings(options))
            inputs = {name: arrays[0] for name, arrays in made.items() if name in self.takes}
            rows.append(Row(index, inputs, facts=(picture.height, picture.width)))
        return rows

    def settings(self, options: Any) -> Mapping[str, Any]:
        """Return settings of the image processor for this call alone."""
        return {}

    @property
    def takes(self) -> tuple[str, ...]:
        """Names of what the model reads."""
        return self.model.reader.takes

    def cost(self, row: Row, options: Any) -> int:
        """Return how many tokens of a text a picture is worth."""
        height, width = row.inputs["pixel_values"].shape[-2:]
        return 1 + height * width // _PATCH

    def forward(self, rows: Sequence[Row]) -> list[Any]:
        """Return what the model says of each picture."""
        return [self.look(inputs) for inputs in self.tensors(rows)]

    def tensors(self, rows: Sequence[Row]) -> Iterator[dict[str, Any]]:
        """Yield the inputs of pictures: those of one shape go together."""
        import numpy as np
        import torch

        alike = len({row.inputs["pixel_values"].shape for row in rows}) == 1
        for group in [rows] if alike else [[row] for row in rows]:
            inputs = {}
            for name in group[0].inputs:
                array = torch.from_numpy(np.stack([row.inputs[name] for row in group]))
                dtype = self.model.dtype if name == "pixel_values" else array.dtype
                inputs[name] = array.to(self.device, dtype)
            yield inputs

    def look(self, inputs: dict[str, Any]) -> Any:
        """Return what the model says of images (B, C, height, width)."""
        return self.model(**inputs)

    def attention(
        self, picture: Any, *, layer: int = -1, head: int | None = None, token: int | None = None
    ) -> Attention:
        """Return how much the model looks at each place of a picture: it draws itself upon it.

        Args:
            picture: one of what the pipeline takes.
            layer: which layer looks; of a detector, which layer of its queries.
            head: which of its heads; None: the mean of all.
            token: which token, or which query of a detector; None: the token that stands for the
                picture, or where there is none, the mean of all.

        Raises:
            ArgumentError: there is no such layer, head or token, or the model looks at no places.
        """
        import torch

        from armature.pipelines.looks import looked

        row = self.prepare([picture], self.options)[0]
        with torch.inference_mode():
            shares = looked(self.model, next(self.tensors([row])), layer, head, token)
        window = self.processor.window(*row.facts)
        return Attention(attention=shares.cpu().clone(), window=window).of(picture)

    def processed(self, rows: Sequence[Row], method: str, **given: Any) -> list[Any]:
        """Return what the image processor makes of the model's results, one for each picture.

        Args:
            rows: The pictures.
            method: The name of the processor's method.
            **given: Its arguments beside the results and the sizes of the pictures.
        """
        sizes, made = [row.facts for row in rows], []
        for found in self.forward(rows):
            group = sizes[len(made) : len(made) + len(found[0])]
            made += getattr(self.processor, method)(found, target_sizes=group, **given)
        return made


class WordedImagePipeline(ImagePipeline):
    """Base of the tasks on pictures whose models know words, too."""

    def __init__(self, model: Any, readers: tuple[Any, Any], **how: Any) -> None:
        """Join a model, its tokenizer and its image processor; see `Pipeline` for the rest."""
        tokenizer, processor = readers
        super().__init__(model, processor, **how)
        self.tokenizer = tokenizer

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and what reads for it into a folder that `pipeline(model=folder)` opens."""
        super().save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


@dataclass(frozen=True)
class ImageLabelOptions(LabelOptions, PictureOptions):
    """What image-classification can be told."""


class ImageClassificationPipeline(ImagePipeline):
    """Labels pictures: `[{"label": "cat", "score": 0.9}, …]`, best first."""

    default_task = "image-classification"
    options_type = ImageLabelOptions

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options by their names of today."""
        return function_named(super().named(given))

    def compute(self, rows: Sequence[Row], options: LabelOptions) -> list[list[float]]:
        """Return the scores of all labels for each picture."""
        function = options.function_to_apply or function_of(self.model.config)
        found = self.forward(rows)
        return [row for one in found for row in scores_of(one.logits, function).tolist()]

    def finish(self, item: Any, parts: Sequence[tuple[Row, Any]], options: LabelOptions) -> Any:
        """Name the labels, best first."""
        return Labels(best_labels(parts[0][1], self.model.config, options)).of(item)


@dataclass(frozen=True)
class ImageFeatureOptions(PictureOptions):
    """What image-feature-extraction can be told."""

    return_tensors: bool = False
    """Return tensors instead of nested lists."""
    pool: bool = False
    """Return the one vector that the model makes of a picture."""
    image_processor_kwargs: dict[str, Any] | None = None
    """How pictures are read: settings of the image processor over its own."""


class ImageFeatureExtractionPipeline(ImagePipeline):
    """Gives the hidden states of pictures: lists `[1][patches][width]`."""

    default_task = "image-feature-extraction"
    options_type = ImageFeatureOptions

    def settings(self, options: ImageFeatureOptions) -> Mapping[str, Any]:
        """Return settings of the image processor for this call alone."""
        return options.image_processor_kwargs or {}

    def compute(self, rows: Sequence[Row], options: ImageFeatureOptions) -> list[Any]:
        """Return the states of each picture, or what is made of them."""
        from armature.errors import ArgumentError

        states = []
        for found in self.forward(rows):
            one = found.get("pooler_output") if options.pool else found[0]
            if one is None:
                raise ArgumentError(
                    "`pool=True` asks for one vector, but this model makes none.\n  → leave it out"
                )
            states += one.cpu().split(1)
        return states

    def finish(
        self, item: Any, parts: Sequence[tuple[Row, Any]], options: ImageFeatureOptions
    ) -> Any:
        """Return the states as nested lists, or as a tensor of its own."""
        states = parts[0][1]
        return states.clone() if options.return_tensors else states.tolist()
