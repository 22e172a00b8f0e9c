"""Interleaved rounds: every contestant in turn, again and again; a busy machine hits all alike.

A contestant is a process of its own that answers the word `go` with one line of JSON: each library
has its own threads and memory, and only one of them works at a time.
"""

from __future__ import annotations

import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

FOLDER = Path("build/bench")


class Contestant:
    """A process that runs `python -m module *arguments` and measures itself when told to."""

    def __init__(self, module: str, *arguments: str) -> None:
        command = [sys.executable, "-u", "-W", "ignore", "-m", module, *arguments]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.hello = self._read()

    def go(self) -> dict[str, Any]:
        """Run one round and return what the process measured."""
        assert self.process.stdin
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(30)

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        sys.exit(f"{' '.join(map(str, self.process.args))} ended early")


def interleaved(players: Mapping[str, Contestant], count: int) -> dict[str, list[dict[str, Any]]]:
    """Let contestants take turns, and end them; return what each measured, round by round."""
    rounds: dict[str, list[dict[str, Any]]] = {name: [] for name in players}
    for number in range(count):
        for name, player in players.items():
            found = player.go()
            rounds[name].append(found)
            took = f": {found['seconds']:.1f} s" if "seconds" in found else ""
            print(f"· round {number + 1}, {name}{took}", file=sys.stderr)
    for player in players.values():
        player.close()
    return rounds


def answer(run: Callable[[], dict[str, Any]], **hello: Any) -> None:
    """Be a contestant: say `hello`, then run once for every line on stdin."""
    print(json.dumps(hello))
    for _ in sys.stdin:
        print(json.dumps(run()))


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a call took, and its result."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def command_seconds(command: Sequence[str]) -> float:
    """Return the seconds from the start of a process to its end."""
    return timed(lambda: subprocess.run(command, check=True, capture_output=True))[0]


def report(name: str, title: str, rows: list[dict[str, Any]], **facts: Any) -> None:
    """Print rows as a table and keep them, with the machine they were measured on, as JSON."""
    import torch

    machine = {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{name}.json"
    file.write_text(json.dumps({"machine": machine, **facts, "rows": rows}, indent=1) + "\n")
    print(f"\n{title}\n{machine['processor']}, {machine['threads']} threads\n")
    keys = list(dict.fromkeys(key for row in rows for key in row))
    cells = [keys, *([_cell(row.get(key)) for key in keys] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(keys))]
    for line in cells:
        print(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        )
    print(f"\n→ {file}", flush=True)


def median(values: Sequence[float]) -> float:
    """Return the median, the figure that one slow round does not move."""
    return statistics.median(values)


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)


def _processor() -> str:
    for line in (
        Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else ()
    ):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
