"""Semantic search over text files: passages that mean what a question asks, with file and line."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from armature.embed import Embedder

WORDS = 60  # of a passage, about: one idea, within what sentence encoders read
LARGEST = 2_000_000  # bytes of a file; beyond this it is data rather than prose
MARKUP = re.compile(r"[|*`#>_=~-]{2,}|[|*`#>]")
SKIPPED = frozenset({"node_modules", "__pycache__", "build", "dist", "site-packages"})


@dataclass(frozen=True)
class Passage:
    """A stretch of a text file."""

    file: Path
    line: int  # of its first line, counted from 1
    text: str


@dataclass(frozen=True)
class Hit:
    """A passage, its likeness to the question (at most 1), and the line that is most like it."""

    passage: Passage
    score: float
    line: int
    text: str


class Index:
    """Passages with their vectors: embedded once, asked any number of times."""

    def __init__(self, passages: Sequence[Passage], embedder: Embedder) -> None:
        self.passages, self.embedder = passages, embedder
        self.vectors = embedder.encode([plain(passage.text) for passage in passages])

    def search(self, question: str, top: int = 5) -> list[Hit]:
        """Return the `top` passages that come nearest to `question`, best first."""
        asked = self.embedder.encode([question])[0]
        scores, order = (self.vectors @ asked).topk(min(top, len(self.passages)))
        found = zip(order.tolist(), scores.tolist(), strict=True)
        return [self._hit(self.passages[i], score, asked) for i, score in found]

    def _hit(self, passage: Passage, score: float, asked: Tensor) -> Hit:
        lines = list(enumerate(passage.text.splitlines(), passage.line))
        told = [(number, line) for number, line in lines if len(plain(line).split()) > 2] or lines
        best = (self.embedder.encode([plain(line) for _, line in told]) @ asked).argmax()
        return Hit(passage, score, told[int(best)][0], plain(told[int(best)][1]))


def plain(text: str) -> str:
    """Return a text without the marks of Markdown."""
    return " ".join(MARKUP.sub(" ", text).split())


def read_passages(paths: Iterable[str | Path]) -> Iterator[Passage]:
    """Cut the text files under `paths` (files and folders) into passages."""
    for path in paths:
        for file in _files(Path(path)):
            text = _text(file)
            if text is not None:
                yield from cut(text, file)


def cut(text: str, file: Path) -> Iterator[Passage]:
    """Cut a text at headings and blank lines into passages of about `WORDS` words."""
    first, lines, words = 1, [], 0
    for number, line in enumerate(text.splitlines(), 1):
        if words and _ends(line, words):
            yield Passage(file, first, "\n".join(lines).strip())
            lines, words = [], 0
        if not lines and not line.strip():
            continue
        first = first if lines else number
        lines.append(line.rstrip())
        words += _words(line)
    if words:
        yield Passage(file, first, "\n".join(lines).strip())


def _ends(line: str, words: int) -> bool:
    """Say whether a passage of so many words ends before this line."""
    if line.startswith("|"):  # a row of a table is a thing of its own
        return words >= WORDS // 3
    return line.startswith("#") or words >= (2 * WORDS if line.strip() else WORDS)


def _words(line: str) -> int:
    """Count words; two Chinese characters make one, on average."""
    wide = sum("\u3000" < letter < "\ufb00" for letter in line)
    return len(line.split()) + wide // 2


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    for folder, names, files in os.walk(path):
        names[:] = sorted(n for n in names if n not in SKIPPED and not n.startswith("."))
        yield from (Path(folder, name) for name in sorted(files) if not name.startswith("."))


def _text(file: Path) -> str | None:
    """Read a file, or return None where it is not text."""
    if file.stat().st_size > LARGEST:
        return None
    data = file.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None
