"""zero-shot-classification: labels that the caller makes up, tested as statements about a text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from armature.errors import ArgumentError
from armature.pipelines.base import Pipeline
from armature.pipelines.batching import Row
from armature.pipelines.options import Options, ReadingOptions
from armature.pipelines.reading import note

# What sentence encoders multiply likeness with when they learn to tell right from wrong.
SHARPNESS = 20.0


@dataclass(frozen=True)
class LabelOptions(Options):
    """Labels, and what is made of them."""

    candidate_labels: str | Sequence[str] = ()
    """The labels: a list, or a text with commas between them."""
    hypothesis_template: str = "This example is {}."
    """Makes a statement of a label, which stands where {} is."""
    multi_label: bool = False
    """Each label is judged by itself, so that several may hold; else all scores add up to 1."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        super().check()
        statement(self.hypothesis_template, "")

    def labels(self) -> list[str]:
        """Return the labels as a list.

        Raises:
            ArgumentError: there are none.
        """
        return labels_of(self.candidate_labels)

    def statements(self) -> list[str]:
        """Return what each label says of a text."""
        return [statement(self.hypothesis_template, label) for label in self.labels()]


def statement(template: Any, label: str) -> str:
    """Return what a label says, by a text with {} in it.

    Raises:
        ArgumentError: there is no {} in it.
    """
    if not isinstance(template, str) or "{}" not in template:
        raise ArgumentError(
            f"`hypothesis_template` should hold {{}} where the label belongs, not {template!r}"
        )
    return template.replace("{}", label)


def labels_of(given: str | Sequence[str]) -> list[str]:
    """Return labels as a list, also of a text with commas.

    Raises:
        ArgumentError: there are none.
    """
    labels = given.split(",") if isinstance(given, str) else list(given)
    if isinstance(given, str):
        labels = [label.strip() for label in labels if label.strip()]
    if not labels or not all(isinstance(label, str) for label in labels):
        raise ArgumentError("give `candidate_labels`: a list of texts, or one with commas")
    return labels


@dataclass(frozen=True)
class StatementOptions(LabelOptions, ReadingOptions):
    """What zero-shot-classification can be told."""


class _ZeroShot(Pipeline):
    """What both ways of sorting texts under labels have in common."""

    default_task = "zero-shot-classification"
    input_name = "sequences"
    heeds_tokenizer = True

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options by their names of today."""
        named = super().named(given)
        if "multi_class" in named:  # the older spelling
            named.setdefault("multi_label", named.pop("multi_class"))
        return named

    def read(self, inputs: tuple[Any, ...], given: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        """Find texts and labels, which may also stand in second place."""
        if len(inputs) == 2:
            given = {"candidate_labels": inputs[1], **given}
            inputs = inputs[:1]
        return super().read(inputs, given)


class ZeroShotClassificationPipeline(_ZeroShot):
    """Sorts texts under labels: `{"sequence": "…", "labels": ["sport", …], "scores": [0.9, …]}`.

    The model was trained to say whether a text entails a statement.
    """

    options_type = StatementOptions

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        """Join a model of entailment and its tokenizer; see `Pipeline`."""
        super().__init__(model, tokenizer, **options)
        labels = dict(model.config.label2id)
        entails = [i for label, i in labels.items() if label.lower().startswith("entail")]
        if not entails:
            note(
                f"{self.task}: none of the model's labels ({', '.join(labels)}) is called "
                "entailment; the last one is taken for it"
            )
        self.entailment_id: int = entails[0] if entails else -1

    def prepare(self, items: Sequence[str], options: StatementOptions) -> list[Row]:
        """Make a row of each text with each statement; of a long text the end is cut off."""
        statements = options.statements()
        texts = [text for text in items for _ in statements]
        read = self.reader.read(texts, statements * len(items), options=options, cut="only_first")
        return [self.row(i // len(statements), each) for i, each in enumerate(read)]

    def compute(self, rows: Sequence[Row], options: StatementOptions) -> list[list[float]]:
        """Return the model's numbers for each row."""
        return self.forward(rows).logits.float().tolist()

    def finish(
        self, item: str, parts: Sequence[tuple[Row, Any]], options: StatementOptions
    ) -> dict[str, Any]:
        """Score the labels."""
        entails = self.entailment_id
        if options.multi_label or len(parts) == 1:
            contradicts = -1 if entails == 0 else 0
            pairs = [_softmax([row[contradicts], row[entails]]) for _, row in parts]
            return _ranked(item, options.labels(), [pair[1] for pair in pairs])
        return _ranked(item, options.labels(), _softmax([row[entails] for _, row in parts]))


@dataclass(frozen=True)
class LikenessOptions(LabelOptions):
    """What zero-shot-classification by likeness can be told."""

    hypothesis_template: str = "{}"
    """Makes of a label what texts are compared with."""


class SimilarityPipeline(_ZeroShot):
    """Sorts texts under labels by likeness of meaning, with a sentence encoder.

    Quick, and good where labels are topics; it knows nothing of entailment. Scores of
    `multi_label=True` are the likeness itself.
    """

    options_type = LikenessOptions

    def __init__(self, model: Any, tokenizer: Any, **options: Any) -> None:
        """Join a sentence encoder and its tokenizer; see `Pipeline`."""
        super().__init__(model, tokenizer, **options)
        from armature.checkpoint.hub import resolve
        from armature.embed import Embedder, read_settings

        settings = read_settings(resolve(model.name_or_path), model.config)
        self.embedder = Embedder(model, tokenizer, settings)

    def run(
        self, items: Sequence[str], options: LabelOptions, rows: int | None = None
    ) -> list[dict[str, Any]]:
        """Return the results of one window of texts, in order."""
        vectors = self.embedder.encode([*options.statements(), *items])
        labels = options.labels()
        likeness = (vectors[len(labels) :] @ vectors[: len(labels)].T).tolist()
        return [
            _ranked(item, labels, _likeness(row, several=options.multi_label))
            for item, row in zip(items, likeness, strict=True)
        ]


def _likeness(cosines: list[float], *, several: bool) -> list[float]:
    if several:
        return [min(max(cosine, 0.0), 1.0) for cosine in cosines]
    return _softmax([cosine * SHARPNESS for cosine in cosines])


def _softmax(numbers: Sequence[float]) -> list[float]:
    highest = max(numbers)
    powers = [math.exp(number - highest) for number in numbers]
    total = sum(powers)
    return [power / total for power in powers]


def _ranked(text: str, labels: Sequence[str], scores: Sequence[float]) -> dict[str, Any]:
    # HF: of labels with equal scores the last given comes first.
    order = sorted(range(len(labels)), key=scores.__getitem__)[::-1]
    return {
        "sequence": text,
        "labels": [labels[i] for i in order],
        "scores": [scores[i] for i in order],
    }
