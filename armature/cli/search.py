"""`armature search`: passages of text files that mean what a question asks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from armature.cli.terminal import accent, bold, note, shortened, show_notes

if TYPE_CHECKING:
    from armature.search import Hit


@click.command(short_help="Search your files by meaning.")
@click.argument("question")
@click.argument("paths", nargs=-1, type=click.Path(exists=True), metavar="[PATH]...")
@click.option("--top", default=5, show_default=True, type=click.IntRange(1), help="Hits to show.")
@click.option("--model", default=None, help="A text encoder: name or folder.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per hit, for machines.")
def search(
    question: str,
    paths: tuple[str, ...],
    *,
    top: int,
    model: str | None,
    as_json: bool,
) -> None:
    """Find the passages under PATH... (default: here) that come nearest to QUESTION.

    Nothing is stored: every run reads and embeds the files again.

    \b
    armature search "how do I get my money back?" docs/ README.md
    """  # noqa: D301 - \b keeps the lines as they are
    from armature.embed import DEFAULT_MODEL, Embedder
    from armature.search import Index, read_passages

    passages = list(read_passages(paths or ["."]))
    if not passages:
        raise click.UsageError(f"There is no text file in {', '.join(paths) or 'this folder'}.")
    show_notes()
    note(f"{len(passages)} passages, {model or DEFAULT_MODEL}")
    index = Index(passages, Embedder.from_pretrained(model or DEFAULT_MODEL))
    for hit in index.search(question, top):
        if as_json:
            click.echo(json.dumps(row_of(hit), ensure_ascii=False))
        else:
            show(hit)


def row_of(hit: Hit) -> dict[str, Any]:
    """Return a hit as plain values."""
    passage = {"line": hit.passage.line, "text": hit.passage.text}
    return {"file": str(hit.passage.file), "line": hit.line, "score": hit.score,
            "text": hit.text, "passage": passage}  # fmt: skip


def show(hit: Hit) -> None:
    """Print a hit: its likeness, its place, the line that is most like the question."""
    place = f"{hit.passage.file}:{hit.line}"
    click.echo(f"{accent(f'{hit.score:.2f}')}  {bold(place)}")
    click.echo(f"      {shortened(hit.text, 100)}")
