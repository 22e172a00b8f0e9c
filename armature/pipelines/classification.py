"""text-classification: a text, or two that belong together, gets a label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from armature.errors import ArgumentError, refuse_unknown
from armature.pipelines.base import Pipeline
from armature.pipelines.batching import Row
from armature.pipelines.options import Options, ReadingOptions, one_of, positive

FUNCTIONS = ("sigmoid", "softmax", "none")


@dataclass(frozen=True)
class ClassificationOptions(ReadingOptions):
    """What text-classification can be told."""

    top_k: int | Literal["best", "all"] | None = "best"
    """How many labels, best first; None: all; "best": only the best one, not in a list; "all":
    all, in the order of the model's labels."""
    function_to_apply: str | None = None
    """What makes scores of the model's numbers: "softmax", "sigmoid", "none"; None: what the
    model was trained with."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        super().check()
        if self.top_k not in ("best", "all", None):
            positive("top_k", self.top_k)
        if self.function_to_apply is not None:
            one_of("function_to_apply", self.function_to_apply, FUNCTIONS)


@dataclass(frozen=True)
class LabelOptions(Options):
    """What tasks that label pictures or sounds can be told."""

    top_k: int | None = 5
    """How many labels, best first; None: all."""
    function_to_apply: str | None = None
    """What makes scores of the model's numbers: "softmax", "sigmoid", "none"; None: what the
    model was trained with."""

    def check(self) -> None:
        """Raise ArgumentError for a value that makes no sense."""
        if self.top_k is not None:
            positive("top_k", self.top_k)
        if self.function_to_apply is not None:
            one_of("function_to_apply", self.function_to_apply, FUNCTIONS)


class TextClassificationPipeline(Pipeline):
    """Labels texts: `[{"label": "POSITIVE", "score": 0.99}]`."""

    default_task = "text-classification"
    options_type = ClassificationOptions

    @classmethod
    def named(cls, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return options by their names of today."""
        named = function_named(super().named(given))
        if "return_all_scores" in named:  # the older spelling of top_k
            named.setdefault("top_k", "all" if named.pop("return_all_scores") else "best")
        return named

    def is_item(self, inputs: Any) -> bool:
        """Say whether the inputs are one text, or one pair."""
        return isinstance(inputs, str | Mapping)

    def prepare(self, items: Sequence[Any], options: ClassificationOptions) -> list[Row]:
        """Make one row of each text or pair."""
        texts, pairs = zip(*(_pair(item) for item in items), strict=True)
        columns = self.reader.read(texts, pairs, options=options)
        return [self.row(i, each) for i, each in enumerate(columns)]

    def compute(self, rows: Sequence[Row], options: ClassificationOptions) -> list[list[float]]:
        """Return the scores of all labels for each row."""
        function = options.function_to_apply or function_of(self.model.config)
        return scores_of(self.forward(rows).logits, function).tolist()

    def finish(
        self, item: Any, parts: Sequence[tuple[Row, Any]], options: ClassificationOptions
    ) -> Any:
        """Name the labels, best first."""
        scores: list[float] = parts[0][1]
        names = self.model.config.id2label
        labels = [{"label": names[i], "score": score} for i, score in enumerate(scores)]
        ranked = sorted(labels, key=lambda label: -label["score"])
        match options.top_k:
            case "all":
                return labels
            case "best":
                return ranked[0]
            case most:
                return ranked[:most]

    def single(self, result: Any, item: Any, given: Mapping[str, Any]) -> Any:
        """Return a text's result in a list, unless the call itself says how many labels."""
        # HF: what answers one text stands in a list; a pair's, or a call's with top_k, does not.
        ranked = given.get("top_k", "best") not in ("best", "all")
        return [result] if isinstance(item, str) and not ranked else result


def function_named(options: dict[str, Any]) -> dict[str, Any]:
    """Return options with the function by its name in small letters."""
    if isinstance(named := options.get("function_to_apply"), str):
        options["function_to_apply"] = named.lower()
    return options


def function_of(config: Any) -> str:
    """Return what makes scores of the numbers of a model that labels."""
    problem, labels = config.problem_type, len(config.id2label)
    if problem == "regression":
        return "none"
    if problem == "multi_label_classification" or labels == 1:
        return "sigmoid"
    return "softmax"


def best_labels(scores: Sequence[float], config: Any, options: LabelOptions) -> list[dict]:
    """Return labels by their names in the config, best first."""
    names = config.id2label
    labels = [{"label": names[i], "score": score} for i, score in enumerate(scores)]
    return sorted(labels, key=lambda label: -label["score"])[: options.top_k]


def scores_of(logits: Any, function: str) -> Any:
    """Return scores (B, labels) of a model's numbers."""
    logits = logits.float()
    match function:
        case "softmax":
            return logits.softmax(-1)
        case "sigmoid":
            return logits.sigmoid()
    return logits


def _pair(item: Any) -> tuple[str, str | None]:
    """Read a text, {"text": …, "text_pair": …}, or the older [text, pair] and [[text, pair]].

    Raises:
        ArgumentError: the item is none of these.
    """
    if isinstance(item, Mapping):
        refuse_unknown("a pair of texts", item, ("text", "text_pair"))
        pair = (item.get("text"), item.get("text_pair"))
    elif isinstance(item, str):
        pair = (item, None)
    else:
        inner = item[0] if isinstance(item, list | tuple) and len(item) == 1 else item
        pair = tuple(inner) if isinstance(inner, list | tuple) else ()
    match pair:
        case (str(text), str() | None as other):
            return text, other
    raise ArgumentError(
        "text-classification takes a text, or a pair as "
        f'{{"text": "…", "text_pair": "…"}}, not {item!r:.80}'
    )
