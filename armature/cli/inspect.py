"""`armature inspect`: what is in a checkpoint, without loading it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from armature.cli.terminal import accent, bold, dim, number, size, table, title

if TYPE_CHECKING:
    from armature.inspection import Head, Inspection

COLOURS = {"error": "red", "warning": "yellow", "note": "blue"}


@click.command(short_help="What is in a checkpoint, without loading it.")
@click.argument("model")
@click.option("--revision", help="A branch, a tag or a commit of a model on the hub.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
@click.pass_context
def inspect(ctx: click.Context, model: str, revision: str | None, *, as_json: bool) -> None:
    """Show what is in MODEL (a folder or a hub name): only settings and headers are read.

    Ends with status 1 if something is wrong with the checkpoint.
    """
    from armature.inspection import inspect as look

    found = look(model, **({"revision": revision} if revision else {}))
    if as_json:
        click.echo(json.dumps(found.to_dict(), ensure_ascii=False, indent=1))
    else:
        show(found)
    ctx.exit(any(finding.weight == "error" for finding in found.findings))


def show(found: Inspection) -> None:
    """Print an inspection for people."""
    place = "" if found.place == found.name else dim(f"  {found.place}")
    click.echo(bold(found.name) + place)
    classes = ", ".join(found.architectures) or "no class named"
    dtypes = ", ".join(f"{name} {number(count)}" for name, count in found.dtypes.items())
    memory = " · ".join(f"{name} {size(count)}" for name, count in found.memory.items())
    rows = [["architecture", f"{found.model_type or 'unknown'} · {classes}"]]
    if found.tensors:
        rows += [
            ["parameters", f"{number(found.parameters)} in {found.tensors} tensors ({dtypes})"]
        ]
        rows += [["memory", memory]]
    rows += [["tokenizer", found.tokenizer or "none"]]
    table([[dim(key), value] for key, value in rows])
    if found.heads:
        title("Heads found")
        table([_head_row(head) for head in found.heads])
    title("Files")
    table(
        [[f.name, "not here" if f.size is None else size(f.size), dim(f.kind)] for f in found.files]
    )
    if found.findings:
        title("Findings")
    for finding in found.findings:
        mark = click.style(finding.weight, fg=COLOURS[finding.weight])
        click.echo(f"  {mark} {bold(finding.file)} {finding.what}")
        if finding.remedy:
            click.echo(dim(f"      → {finding.remedy}"))


def _head_row(head: Head) -> list[str]:
    declared = dim("named by config.json" if head.declared else "")
    return [accent(head.class_name), ", ".join(head.auto), declared]
