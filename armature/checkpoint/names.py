"""Names: templates over modules that turn our names into the disk's, and back.

A template is matched on whole dotted segments, the longest first; what follows it (`.weight`,
`.bias`) is carried along. Three tables, because only the first works both ways: the current
spelling, older spellings that are only read, and buffers that mean nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property

from armature.checkpoint.views import Pair, Target, View, as_view

_FIELD = re.compile(r"\\\{(\w+)\\\}")


def _numbered(template: str) -> str:
    """Return a template as an expression; each {i} matches one number."""
    return _FIELD.sub(r"(?P<\1>\\d+)", re.escape(template))


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """Compile a template."""
    return re.compile(rf"^{_numbered(template)}(?:\.(?P<suffix>[\w.]+))?$")


@dataclass(frozen=True)
class Names:
    """The three tables of one class: how its parameters are called on disk."""

    rows: Mapping[str, str | View]  # our template → theirs; names of the body, without its prefix
    head: Mapping[str, str | View] = field(default_factory=dict)  # of the head, as they stand
    prefix: str = ""  # what this class writes before the body's names
    prefixes: tuple[str, ...] = ()  # what may stand before the body's names when reading
    aliases: Mapping[str, str] = field(default_factory=dict)  # old segments → current ones
    ignored: tuple[str, ...] = ()  # ends of names that mean nothing
    copies: Mapping[str, str] = field(default_factory=dict)  # disk name → where it is written again

    def pairs(self, ours: str, target: Target) -> list[Pair]:
        """Return the views of our parameter `ours` (without `body.`), as this class writes them.

        Raises:
            KeyError: no template covers `ours`: the architecture's file has a gap.
        """
        view, fields, suffix, prefix = self._find(ours)

        def fill(template: str) -> str:
            for key, value in fields.items():
                template = template.replace("{" + key + "}", value)
            return prefix + template

        part, dot, rest = suffix.partition(".")
        if part in target.parts and dot:  # one map of a packed one: "q.weight"
            suffix = rest
        else:
            part = ""
        target = replace(target, suffix=suffix, part=part)
        return list(view.pairs(target, fill))

    def _find(self, ours: str) -> tuple[View, dict[str, str], str, str]:
        for pattern, row, prefix in self._compiled:
            match = pattern.match(ours)
            if match:
                fields = match.groupdict()
                return as_view(row), fields, fields.pop("suffix") or "", prefix
        raise KeyError(f"no row of NAMES covers {ours!r}")

    @cached_property
    def _compiled(self) -> list[tuple[re.Pattern[str], str | View, str]]:
        """Patterns of our names, the longest template first; theirs; what stands before theirs."""
        dotted = self.prefix + "." if self.prefix else ""
        rows = [(ours, row, "") for ours, row in self.head.items()]
        rows += [(ours, row, dotted) for ours, row in self.rows.items()]
        rows.sort(key=lambda row: -len(row[0]))
        return [(_pattern(ours), row, prefix) for ours, row, prefix in rows]

    def canonical(self, name: str) -> str:
        """Return how a disk's name is spelled today, without any prefix of the body."""
        for pattern, today in self._old_templates:
            name = pattern.sub(today, name)
        if self.aliases:
            name = self._old_spellings.sub(lambda found: self.aliases[found[0]], name)
        return self.bare(name)

    @cached_property
    def _old_spellings(self) -> re.Pattern[str]:
        """Match any alias where it stands as whole dotted segments, the longest first."""
        longest_first = sorted(self.aliases, key=len, reverse=True)
        return re.compile(rf"(?<![^.])(?:{'|'.join(map(re.escape, longest_first))})(?![^.])")

    @cached_property
    def _old_templates(self) -> list[tuple[re.Pattern[str], str]]:
        """Patterns of the aliases that have numbers in them, and what they are today."""
        return [
            (
                re.compile(rf"(?<![^.]){_numbered(old)}(?![^.])"),
                re.sub(r"\{(\w+)\}", r"\\g<\1>", today),
            )
            for old, today in self.aliases.items()
            if "{" in old
        ]

    def bare(self, name: str) -> str:
        """Return a disk's name as it is spelled, without any prefix of the body."""
        for prefix in self.prefixes:
            if prefix and name.startswith(prefix + "."):
                return name[len(prefix) + 1 :]
        return name

    def find(self, name: str, lookup: Mapping[str, str]) -> str | None:
        """Return the name in the file of what this class calls `name`: its own spelling first."""
        return lookup.get(self.bare(name)) or lookup.get(self.canonical(name))

    def lookup(self, names: Iterable[str]) -> dict[str, str]:
        """Return today's spelling and the file's, without prefixes, → the name in the file.

        What means nothing is left out.
        """
        kept = [name for name in names if not self.means_nothing(name)]
        current = {self.canonical(name): name for name in kept}
        return {self.bare(name): name for name in kept if self.bare(name) not in current} | current

    def means_nothing(self, name: str) -> bool:
        """Return whether a tensor is a buffer that is computed, not trained."""
        return any(f".{name}".endswith(f".{end}") for end in self.ignored)
