"""`armature run`: do a task on texts or pictures from the command line, files or a pipe."""

from __future__ import annotations

import base64
import collections
import io
import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click

from armature.cli.terminal import bold, note, show_notes

SHORT = {
    "sentiment": "sentiment-analysis",
    "classify": "text-classification",
    "qa": "question-answering",
    "zero-shot": "zero-shot-classification",
    "fill": "fill-mask",
    "features": "feature-extraction",
    "summarize": "summarization",
    "translate": "translation",
    "generate": "text-generation",
    "transcribe": "automatic-speech-recognition",
    "label": "image-classification",
    "detect": "object-detection",
    "segment": "image-segmentation",
    "depth": "depth-estimation",
}

OPTIONS = [
    click.option("--model", "-m", help="A checkpoint, folder or hub name; else one for the task."),
    click.option("--language", help="Of the texts (en, zh), where a checkpoint is to be chosen."),
    click.option("--file", "-f", "files", multiple=True, help="Read inputs from a text file.",
                 type=click.Path(exists=True, dir_okay=False, path_type=Path)),
    click.option("--whole", is_flag=True, help="A file or stdin is one input, not one per line."),
    click.option("--question", "-q", help="question-answering: what to ask of each text."),
    click.option("--pair", help="text-classification: a second text to go with each text."),
    click.option("--labels", help="zero-shot-classification: the labels, with commas between."),
    click.option("--set", "-s", "settings", multiple=True, metavar="NAME=VALUE",
                 help="Any option of the task: top_k=3, num_beams=4, seed=7, stride=16…"),
    click.option("--device", help="Where to compute: cpu, cuda, cuda:1, mps."),
    click.option("--dtype", help="Numbers to compute with: float32, bfloat16, float16."),
    click.option("--allow-untrained-head", is_flag=True,
                 help="Answer even if the checkpoint holds no trained head for the task."),
    click.option("--save", metavar="PICTURE", type=click.Path(dir_okay=False, path_type=Path),
                 help="Draw what is found in a picture into a file: out.png, out-2.png…"),
    click.option("--attention", metavar="PICTURE",
                 type=click.Path(dir_okay=False, path_type=Path),
                 help="Draw where the model looked in a picture into a file."),
    click.option("--json", "as_json", is_flag=True, help="One JSON value per input, for machines."),
]  # fmt: skip


def with_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[Any], Any]:
    """Return what adds options to a command, in their order."""

    def add(command: Any) -> Any:
        for option in reversed(options):
            command = option(command)
        return command

    return add


@click.command(short_help="Do a task on texts, pictures, files or a pipe.")
@click.argument("task")
@click.argument("texts", nargs=-1, metavar="[TEXT|-]...")
@with_options(OPTIONS)
def run(task: str, texts: tuple[str, ...], **given: Any) -> None:
    """Do TASK on each TEXT; `-` (or no TEXT and a pipe) reads lines from stdin.

    For tasks on pictures, a TEXT is the path of one.

    TASK is a pipeline's name (sentiment-analysis, ner, question-answering, fill-mask,
    zero-shot-classification, summarization, translation, text-generation, feature-extraction…) or
    `auto`: what the checkpoint was made for.

    \b
    armature run sentiment "I enjoyed every minute of it."
    armature run qa --question "Who left?" --file story.txt
    armature run fill-mask "Paris is the [MASK] of France." --set top_k=3
    cat reviews.txt | armature run sentiment - --json > scores.jsonl
    armature run label photo.jpg --model starter/digits --save labels.png
    """  # noqa: D301 - \b keeps the lines as they are
    task = SHORT.get(task, task)
    _check(task)
    options = dict(setting(text) for text in given["settings"])
    if given["labels"]:
        options["candidate_labels"] = [label.strip() for label in given["labels"].split(",")]
    inputs = (_input(task, text, given) for text in _texts(task, texts, given))
    first = next(inputs, None)
    if first is None:
        raise click.UsageError("There is no text: give TEXT, --file, or `-` for stdin.")

    from armature.pipelines import pipeline

    show_notes()
    start = time.perf_counter()
    pipe = pipeline(None if task == "auto" else task, **_model_options(given))
    which = f"{pipe.task}: {pipe.model_note}, " if given["model"] else ""  # else it was said
    note(f"{which}ready after {time.perf_counter() - start:.1f} s")
    headed = len(texts) != 1 or bool(given["files"]) or texts == ("-",)
    answers = _answers(pipe, itertools.chain([first], inputs), options)
    for number, (one, result) in enumerate(answers, 1):
        if given["save"]:
            _draw(result, given["save"], number)
        if given["attention"]:
            _draw(_looked(pipe, one), given["attention"], number)
        if given["as_json"]:
            click.echo(json.dumps(result, ensure_ascii=False, default=plain))
        else:
            _show(pipe.task, one, result, headed=headed)


def _draw(result: Any, path: Path, number: int) -> None:
    """Draw what was found in a picture into a file; a number goes before its ending."""
    if not hasattr(result, "save"):
        raise click.UsageError("--save: only what is found in pictures can be drawn.")
    path = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
    try:
        result.save(path)
    except (OSError, ValueError) as error:
        raise click.UsageError(f"--save {path}: {error}") from error
    note(f"wrote {path}")


def _looked(pipe: Any, picture: Any) -> Any:
    """Return where the model looked in a picture."""
    if not hasattr(pipe, "attention"):
        raise click.UsageError("--attention: only tasks on pictures tell where the model looked.")
    return pipe.attention(picture)


def plain(value: Any) -> Any:
    """Return what JSON has no word for: numbers of tensors as lists, images as data URLs."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if not hasattr(value, "getbands"):
        return str(value)
    file = io.BytesIO()
    value.save(file, "PNG")
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _check(task: str) -> None:
    from armature.errors import ArgumentError
    from armature.pipelines import find

    try:
        if task != "auto":
            find(task)
    except ArgumentError as error:
        raise click.UsageError(str(error)) from error


def _answers(pipe: Any, inputs: Iterator[Any], options: dict[str, Any]) -> Iterator[Any]:
    """Yield each input with its result, as soon as it is there."""
    waiting: collections.deque[Any] = collections.deque()

    def remembered() -> Iterator[Any]:
        for one in inputs:
            waiting.append(one)
            yield one

    for result in pipe.stream(remembered(), **options):
        yield waiting.popleft(), result


def _show(task: str, given: Any, result: Any, *, headed: bool) -> None:
    from armature.cli.show import show

    if headed:
        click.echo(bold(given if isinstance(given, str) else next(iter(given.values()))))
    show(task, given, result)


def _model_options(given: dict[str, Any]) -> dict[str, Any]:
    names = ("model", "language", "device", "dtype", "allow_untrained_head")
    return {name: given[name] for name in names if given[name]}


def setting(text: str) -> tuple[str, Any]:
    """Read NAME=VALUE; the value is JSON where it is JSON, and a text otherwise."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise click.UsageError(f"--set {text}: write NAME=VALUE")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, {"True": True, "False": False, "None": None}.get(value, value)


def _texts(task: str, texts: tuple[str, ...], given: dict[str, Any]) -> Iterator[str]:
    """Yield every text: arguments, then files, then stdin."""
    whole = given["whole"] or task in ("question-answering", "summarization")
    piped = "-" in texts or not (texts or given["files"] or sys.stdin.isatty())
    for text in texts:
        if text != "-":  # bytes of the command line that are not UTF-8 become question marks
            yield text.encode("utf-8", "replace").decode("utf-8")
    for file in given["files"]:
        with file.open("rb") as lines:
            yield from _inputs_of(lines, str(file), whole=whole)
    if piped:
        yield from _inputs_of(sys.stdin.buffer, "stdin", whole=whole)


def _inputs_of(lines: BinaryIO, name: str, *, whole: bool) -> Iterator[str]:
    """Yield the lines that are not blank, or all of them as one text."""
    for number, line in enumerate([lines.read()] if whole else lines, 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError as error:
            raise click.UsageError(f"{name}, line {number}: this is not UTF-8 text") from error
        if text:
            yield text


def _input(task: str, text: str, given: dict[str, Any]) -> Any:
    """Make of a text what the task takes: the text itself, a pair, or a question and a context."""
    if task == "question-answering":
        if not given["question"]:
            raise click.UsageError("question-answering needs --question.")
        return {"question": given["question"], "context": text}
    return {"text": text, "text_pair": given["pair"]} if given["pair"] else text
