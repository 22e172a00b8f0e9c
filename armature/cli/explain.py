"""`armature explain`: the resolved anatomy of a checkpoint as a tree."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from armature.cli.terminal import accent, bold, dim, number, table

if TYPE_CHECKING:
    from armature.anatomy import Organ


@click.command(short_help="A checkpoint's anatomy as a tree.")
@click.argument("model")
@click.option("--revision", help="A branch, a tag or a commit of a model on the hub.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def explain(model: str, revision: str | None, *, as_json: bool) -> None:
    """Show the anatomy of MODEL: our name, variant, shape, and the checkpoint's name of it.

    The whole model on one screen, read off the model itself. No weights are read.
    """
    from armature.anatomy import explain as look

    organ = look(model, **({"revision": revision} if revision else {}))
    if as_json:
        click.echo(json.dumps(organ.to_dict(), ensure_ascii=False, indent=1))
        return
    click.echo(f"{bold(organ.variant)}  {number(organ.parameters)} parameters\n")
    table(list(rows(organ)), indent="")


def rows(organ: Organ, stem: str = "") -> Iterator[list[str]]:
    """Yield a row for everything inside an organ, drawn as a tree."""
    for index, inner in enumerate(organ.inside):
        last = index == len(organ.inside) - 1
        slot = f"{dim(stem + ('└─ ' if last else '├─ '))}{inner.slot}"
        variant = f"{inner.count} × {inner.variant}" if inner.count > 1 else inner.variant
        shape = " × ".join(str(length) for length in inner.shape)
        yield [slot, accent(variant), shape, dim(", ".join(inner.facts)), inner.theirs]
        yield from rows(inner, stem + ("   " if last else "│  "))
