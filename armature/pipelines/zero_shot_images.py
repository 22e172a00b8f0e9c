"""zero-shot-image-classification: labels that the caller makes up, compared with a picture."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from armature.pipelines.batching import Row
from armature.pipelines.images import WordedImagePipeline
from armature.pipelines.options import PictureOptions
from armature.pipelines.pictures import Labels
from armature.pipelines.zero_shot import labels_of, statement

_LENGTH = 64  # tokens that texts were padded to where each pair was a question of its own


@dataclass(frozen=True)
class PictureLabelOptions(PictureOptions):
    """Labels, and what is made of them."""

    candidate_labels: str | Sequence[str] = ()
    """The labels: a list, or a text with commas between them."""
    hypothesis_template: str = "This is a photo of {}."
    """Makes a statement of a label, which stands where {} is."""
    tokenizer_kwargs: dict[str, Any] | None = None
    """How the tokenizer reads the statements."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        super().check()
        statement(self.hypothesis_template, "")


class ZeroShotImageClassificationPipeline(WordedImagePipeline):
    """Sorts pictures under labels: `[{"label": "a cat", "score": 0.9}, …]`, best first."""

    default_task = "zero-shot-image-classification"
    options_type = PictureLabelOptions

    def read(self, inputs: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Find the inputs among a call's arguments; labels may stand behind the pictures."""
        given = {"image": None, **given}
        picture = given.pop("image")
        inputs = inputs if picture is None else (picture, *inputs)
        if len(inputs) == 2:
            given["candidate_labels"], inputs = inputs[1], inputs[:1]
        return super().read(inputs, given)

    def look(self, inputs: dict[str, Any]) -> Any:
        """Images (B, C, height, width) → one vector each."""
        return self.model.get_image_features(**inputs).pooler_output

    def compute(self, rows: Sequence[Row], options: PictureLabelOptions) -> list[list[float]]:
        """Return the scores of all labels for each picture."""
        import torch

        from armature.outputs.towers import SigmoidTowers, unit

        body = self.model.body
        images = torch.cat(self.forward(rows))
        read = self._statements(options, together=not isinstance(body, SigmoidTowers))
        texts = self.model.get_text_features(**read).pooler_output
        logits = body.scores(unit(texts) @ unit(images).t()).t().float()  # (B, labels)
        if isinstance(body, SigmoidTowers):
            return logits.sigmoid().tolist()
        return logits.softmax(-1).tolist()

    def _statements(self, options: PictureLabelOptions, *, together: bool) -> dict[str, Any]:
        """Return the tokens of what each label says; together, or all padded to one length."""
        texts = [
            statement(options.hypothesis_template, one)
            for one in labels_of(options.candidate_labels)
        ]
        how: dict[str, Any] = {"padding": True}
        if not together:
            length = min(_LENGTH, self.model.max_positions or _LENGTH)
            how = {"padding": "max_length", "max_length": length, "truncation": True}
        read = self.tokenizer(texts, return_tensors="pt", **how | (options.tokenizer_kwargs or {}))
        known = self.model.input_names
        return {name: x.to(self.device) for name, x in read.items() if name in known}

    def finish(
        self, item: Any, parts: Sequence[tuple[Row, Any]], options: PictureLabelOptions
    ) -> Labels:
        """Name the labels, best first."""
        pairs = zip(parts[0][1], labels_of(options.candidate_labels), strict=True)
        labels = [{"score": score, "label": label} for score, label in pairs]
        return Labels(sorted(labels, key=lambda label: -label["score"])).of(item)
