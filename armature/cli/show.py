"""Results of tasks as people read them: bars for scores, marked spans, plain text for text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import click

from armature.cli.terminal import accent, bar, bold, columns_of, dim, marked, pad

AROUND = 60  # characters of a passage that are shown on both sides of an answer


def show(task: str, given: Any, result: Any, indent: str = "  ") -> None:
    """Print the result of one input of a task."""
    family = task.split("_")[0]  # translation_en_to_fr
    for line in SHOWN.get(family, _plain)(given, result):
        click.echo(indent + line)


def scores(rows: list[tuple[str, float]]) -> Iterator[str]:
    """Draw labels with their scores as bars."""
    width = max(columns_of(label) for label, _ in rows)
    for label, score in rows:
        yield f"{pad(label, width)}  {bar(score)}  {score:.3f}"


def _labels(_given: Any, result: Any) -> Iterator[str]:
    rows = result if isinstance(result, list) else [result]
    yield from scores([(row["label"], row["score"]) for row in rows])


def _zero_shot(_given: Any, result: Any) -> Iterator[str]:
    yield from scores(list(zip(result["labels"], result["scores"], strict=True)))


def _fills(_given: Any, result: Any) -> Iterator[str]:
    masks = result if result and isinstance(result[0], list) else [result]
    for fills in masks:
        yield from scores([(fill["token_str"], fill["score"]) for fill in fills])
        yield dim(fills[0]["sequence"])


def _spans(given: Any, result: Any) -> Iterator[str]:
    """Draw the text with its entities marked, then a line for each."""
    text, drawn, end = str(given), "", 0
    for entity in sorted(result, key=lambda entity: entity["start"] or 0):
        start = entity["start"]
        if start is None or start < end:
            continue
        drawn += text[end:start] + marked(text[start : entity["end"]], _kind(entity))
        end = entity["end"]
    yield drawn + text[end:]
    if result:
        yield from scores([(f"{one['word']}  {_kind(one)}", one["score"]) for one in result])


def _kind(entity: dict[str, Any]) -> str:
    return entity.get("entity_group") or entity["entity"]


def _answer(given: Any, result: Any) -> Iterator[str]:
    for answer in result if isinstance(result, list) else [result]:
        score = f"{answer['score']:.3f}"
        if not answer["answer"]:
            yield f"{dim('no answer in this text')}  {score}"
            continue
        yield f"{bold(answer['answer'])}  {accent(score)}"
        context = given["context"] if isinstance(given, dict) else ""
        yield "  " + _passage(context, answer["start"], answer["end"])


def _passage(context: str, start: int, end: int) -> str:
    """Return what stands around an answer, the answer marked."""
    first, last = max(0, start - AROUND), min(len(context), end + AROUND)
    text = context[first:start] + marked(context[start:end]) + context[end:last]
    before, after = "…" * (first > 0), "…" * (last < len(context))
    return before + " ".join(text.split()) + after


def _text(_given: Any, result: Any) -> Iterator[str]:
    rows = result if isinstance(result, list) else [result]
    for row in rows:
        text = next(value for key, value in row.items() if key.endswith("_text"))
        yield from str(text).splitlines() or [""]


def _vectors(_given: Any, result: Any) -> Iterator[str]:
    rows = result
    while rows and isinstance(rows[0], list) and isinstance(rows[0][0], list):
        rows = rows[0]
    for row in rows[:3]:
        yield "[" + ", ".join(f"{x: .3f}" for x in row[:6]) + ", …]"
    more = f", {len(rows) - 3} more" if len(rows) > 3 else ""
    yield dim(f"{len(rows)} tokens × {len(rows[0])}{more}; --json has every number")


def _said(_given: Any, result: Any) -> Iterator[str]:
    for part in result.get("chunks") or ():
        start, end = ("…" if second is None else f"{second:.2f} s" for second in part["timestamp"])
        yield dim(f"{start:>10} – {end:>10}  ") + part["text"].strip()
    if not result.get("chunks"):
        yield result["text"].strip()


def _things(_given: Any, result: Any) -> Iterator[str]:
    """Draw a line for each mask: its label, its score if it has one, its share of the picture."""
    width = max((columns_of(one["label"]) for one in result), default=0)
    for one in result:
        pixels = one["mask"].histogram()
        share = 1 - pixels[0] / sum(pixels)
        score = "" if one["score"] is None else f"  {one['score']:.3f}"
        yield f"{pad(one['label'], width)}  {bar(share)}  {share:4.0%} of the picture{score}"
    if not result:
        yield dim("nothing was found")


def _boxes(_given: Any, result: Any) -> Iterator[str]:
    """Draw a line for each box: its label, its score, its corners."""
    width = max((columns_of(one["label"]) for one in result), default=0)
    for one in result:
        corners = ", ".join(f"{side} {value}" for side, value in one["box"].items())
        yield f"{pad(one['label'], width)}  {bar(one['score'])}  {one['score']:.3f}  {corners}"
    if not result:
        yield dim("nothing was found")


def _depths(_given: Any, result: Any) -> Iterator[str]:
    depth = result["predicted_depth"]
    height, width = depth.shape
    low, high = float(depth.min()), float(depth.max())
    yield f"{width} × {height} depths from {low:.3f} to {high:.3f}; --save draws them"


def _plain(_given: Any, result: Any) -> Iterator[str]:
    yield str(result)


SHOWN: dict[str, Callable[[Any, Any], Iterator[str]]] = {
    "text-classification": _labels,
    "sentiment-analysis": _labels,
    "image-classification": _labels,
    "audio-classification": _labels,
    "automatic-speech-recognition": _said,
    "zero-shot-image-classification": _labels,
    "image-segmentation": _things,
    "object-detection": _boxes,
    "depth-estimation": _depths,
    "zero-shot-classification": _zero_shot,
    "fill-mask": _fills,
    "token-classification": _spans,
    "ner": _spans,
    "question-answering": _answer,
    "feature-extraction": _vectors,
    "image-feature-extraction": _vectors,
    "summarization": _text,
    "translation": _text,
    "text-generation": _text,
    "text2text-generation": _text,
}
