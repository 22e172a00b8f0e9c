"""What commands draw with: columns, bars and sizes, as plain text with a little colour.

Colour is left to `click.echo`, which drops it where the output is not a terminal.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

import click

BLOCKS = " ▏▎▍▌▋▊▉█"


def bold(text: str) -> str:
    """Return `text` in bold."""
    return click.style(text, bold=True)


def dim(text: str) -> str:
    """Return `text` in a quiet grey."""
    return click.style(text, dim=True)


def accent(text: str) -> str:
    """Return `text` in the colour of results."""
    return click.style(text, fg="cyan")


def marked(text: str, name: str = "") -> str:
    """Return `text` as a highlighted span, with its label where it has one."""
    span = click.style(text, bold=True, underline=True)
    return f"{span}{accent(f'[{name}]')}" if name else span


def note(text: str) -> None:
    """Say something that is not a result: on stderr, in a quiet grey."""
    click.echo(dim(f"· {text}"), err=True)


def show_notes() -> None:
    """Let the library's own notes (which checkpoint it takes, what it cuts) come out as ours do."""
    import logging

    class Notes(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            note(record.getMessage())

    log = logging.getLogger("armature")
    log.handlers, log.propagate = [Notes()], False


def title(text: str) -> None:
    """Begin a section."""
    click.echo(f"\n{bold(text)}")


def bar(share: float, width: int = 24) -> str:
    """Draw a share between 0 and 1 as a bar of eighths of a character."""
    eighths = round(max(0.0, min(1.0, share)) * width * 8)
    drawn = BLOCKS[8] * (eighths // 8) + (BLOCKS[eighths % 8] if eighths % 8 else "")
    return accent(drawn) + " " * (width - len(drawn))


def columns_of(text: str) -> int:
    """Count the columns that a text fills on a terminal: Chinese characters fill two."""
    plain = click.unstyle(text)
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in plain)
    return len(plain) + wide - sum(unicodedata.combining(letter) > 0 for letter in plain)


def pad(text: str, width: int) -> str:
    """Fill `text` with spaces up to `width` columns."""
    return text + " " * max(0, width - columns_of(text))


def shortened(text: str, width: int) -> str:
    """Return the beginning of `text` within `width` columns."""
    if columns_of(text) <= width:
        return text
    while columns_of(text) >= width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def table(rows: Iterable[Sequence[str]], indent: str = "  ") -> None:
    """Print rows in aligned columns."""
    rows = [list(row) for row in rows]
    widths = [max(columns_of(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        while row and not columns_of(row[-1]):
            row.pop()
        cells = [pad(cell, width) for cell, width in zip(row[:-1], widths, strict=False)]
        click.echo(indent + "  ".join([*cells, *row[-1:]]))


def size(count: int) -> str:
    """Write a number of bytes as people do: 438 MB."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.{1 if count < 10 * factor else 0}f} {unit}"
    return f"{count} bytes"


def number(count: int) -> str:
    """Write a large count as people do: 109.5 M."""
    for unit, factor in (("B", 1e9), ("M", 1e6), ("k", 1e3)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return str(count)
