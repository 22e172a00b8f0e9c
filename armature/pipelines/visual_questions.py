"""visual-question-answering: what a picture answers, among known answers or in own words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from armature.errors import ArgumentError
from armature.pipelines.base import Pipeline
from armature.pipelines.options import PictureOptions, positive


class PicturedPipeline(Pipeline):
    """Base of the tasks that read a question and a picture."""

    input_name = "image"

    def __init__(self, model: Any, readers: tuple[Any, Any], **how: Any) -> None:
        """Join a model, its tokenizer and its image processor; see `Pipeline` for the rest."""
        tokenizer, self.processor = readers
        super().__init__(model, tokenizer, **how)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write model and what reads for it into a folder that `pipeline(model=folder)` opens."""
        super().save_pretrained(folder)
        if self.processor is not None:
            self.processor.save_pretrained(folder)

    def read(self, inputs: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Find pictures and questions in any of their spellings."""
        names = ("image", "question", "word_boxes")
        parts = {name: given[name] for name in names if name in given}
        rest = {name: value for name, value in given.items() if name not in names}
        parts |= dict(zip(names, inputs, strict=False)) if parts or len(inputs) > 1 else {}
        if not parts:
            return super().read(inputs, rest)
        if "question" not in parts:
            return super().read((parts["image"],), rest)
        return _crossed(parts), rest

    def is_item(self, inputs: Any) -> bool:
        """Say whether the inputs are one question with its picture."""
        return isinstance(inputs, Mapping)

    def pixels(self, picture: Any) -> dict[str, Any]:
        """Return what the image processor makes of a picture, as tensors of one row."""
        from armature.inputs.image.pictures import photo

        if self.processor is None:
            raise ArgumentError(
                f"{self.task}: the checkpoint says nothing of how its model reads pictures.\n"
                "  → pass image_processor=…"
            )
        made = self.processor(photo(picture), return_tensors="pt")
        pixels = {name: value.to(self.device) for name, value in made.items()}
        pixels["pixel_values"] = pixels["pixel_values"].to(self.model.dtype)
        return pixels


def _crossed(parts: Mapping[str, Any]) -> Any:
    """Return an item, or for several pictures, or questions, one item for each pair."""
    images, questions = parts.get("image"), parts["question"]
    several = [one if isinstance(one, list) else None for one in (images, questions)]
    if several == [None, None]:
        return dict(parts)
    images, questions = (
        [one] if some is None else some
        for one, some in zip((images, questions), several, strict=True)
    )
    return [{"image": image, "question": question} for image in images for question in questions]


@dataclass(frozen=True)
class VisualAnswerOptions(PictureOptions):
    """What visual-question-answering can be told."""

    top_k: int = 5
    """How many of the known answers, best first."""
    padding: bool | str | None = None
    """Taken for old scripts' sake: padding never changes a result."""
    truncation: bool | str | None = None
    """Whether a question that is too long is cut; None: it is."""
    max_new_tokens: int | None = None
    """Tokens of an answer in own words at most."""
    generate_kwargs: dict[str, Any] | None = None
    """How an answer in own words is written."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        positive("top_k", self.top_k)


class VisualQuestionAnsweringPipeline(PicturedPipeline):
    """Answers a question about a picture: `[{"score": 0.9, "answer": "two"}, …]`, best first."""

    default_task = "visual-question-answering"
    options_type = VisualAnswerOptions

    def run(
        self, items: Sequence[Any], options: VisualAnswerOptions, rows: int | None = None
    ) -> list[Any]:
        """Return the answers to one window of questions, in order."""
        import torch

        with torch.inference_mode():
            return [self._answered(item, options) for item in items]

    def _answered(self, item: Mapping[str, Any], options: VisualAnswerOptions) -> Any:
        cut = options.truncation is not False
        read = self.tokenizer(item["question"], return_tensors="pt", truncation=cut)
        known = self.model.input_names
        texts = {name: x.to(self.device) for name, x in read.items() if name in known}
        given = texts | {k: v for k, v in self.pixels(item["image"]).items() if k in known}
        if hasattr(self.model, "writer"):
            more = {"max_new_tokens": options.max_new_tokens} if options.max_new_tokens else {}
            written = self.model.generate(**given, **more, **(options.generate_kwargs or {}))
            answers = self.tokenizer.batch_decode(written, skip_special_tokens=True)
            return [{"answer": answer.strip()} for answer in answers]
        scores = self.model(**given).logits[0].float().sigmoid()
        best = scores.topk(min(options.top_k, len(scores)))
        names = self.model.config.id2label
        pairs = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [{"score": score, "answer": names[index]} for score, index in pairs]
