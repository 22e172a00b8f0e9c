"""The small checkpoints that ship with Armature: found by task and language, without torch.

Each is a folder in the layout of the hub, trained by us on text that we wrote; its README.md says
what it is, what it was trained on and what it scores. That card is also where this module reads
the task and the languages from, so a new folder with a card is a new starter.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent

SYNONYMS = {"sentiment-analysis": "text-classification", "ner": "token-classification"}


@dataclass(frozen=True)
class Starter:
    """A checkpoint that ships with Armature."""

    name: str
    task: str
    """The hub's name of the task, `text-classification`."""
    languages: tuple[str, ...]
    """Codes of the languages that it was trained on, `en`, `zh`; none where it reads no text."""
    path: Path
    """The folder, to be opened like any other."""
    summary: str
    """The first paragraph of its card."""


def starters() -> dict[str, Starter]:
    """Return the starters by name.

    Raises:
        ValueError: a card lacks its task.
    """
    return dict(_read(FOLDER))


def find(task: str, language: str | None = None) -> Starter | None:
    """Return the starter for a task, or None where there is none.

    Args:
        task: The hub's name of a task, or a usual synonym (`sentiment-analysis`, `ner`).
        language: A code like `zh` or `zh-CN`; None takes any.
    """
    task = SYNONYMS.get(task, task)
    code = language.lower().partition("-")[0] if language else None
    for starter in starters().values():
        if starter.task == task and (
            code is None or not starter.languages or code in starter.languages
        ):
            return starter
    return None


@cache
def _read(folder: Path) -> dict[str, Starter]:
    cards = sorted(folder.glob("*/README.md"))
    return {card.parent.name: _read_card(card) for card in cards}


def _read_card(card: Path) -> Starter:
    """Read the head of a model card: `key: value`, or `key:` and lines of `- value`."""
    _, head, body = card.read_text(encoding="utf-8").split("---\n", 2)
    values: dict[str, list[str]] = {}
    key = ""
    for line in head.splitlines():
        if line.startswith("- "):
            values[key].append(line.removeprefix("- ").strip())
        else:
            key, _, value = line.partition(":")
            values[key] = [value.strip()] if value.strip() else []
    if not values.get("pipeline_tag"):
        raise ValueError(f"{card}: the card names no pipeline_tag")
    paragraphs = [part.strip() for part in body.split("\n\n")]
    summary = next(part for part in paragraphs if part and not part.startswith("#"))
    return Starter(
        name=card.parent.name,
        task=values["pipeline_tag"][0],
        languages=tuple(values.get("language", [])),
        path=card.parent,
        summary=" ".join(summary.split()),
    )
