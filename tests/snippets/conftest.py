"""Snippets run as people wrote them: in an offline hub cache, with no socket allowed."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from stand_ins import Hub, fill

_forbidden = False


def _refuse_sockets(event: str, _arguments: Any) -> None:
    """Answer the interpreter's own report of a socket or a look-up; it cannot be bypassed."""
    if _forbidden and event.startswith("socket."):
        raise AssertionError(f"the network was asked for ({event})")


sys.addaudithook(_refuse_sockets)


@pytest.fixture(scope="session")
def stand_ins(tmp_path_factory):
    """The hub cache with a small model under every name."""
    home = tmp_path_factory.mktemp("hub-home")
    hub = Hub(home)
    fill(hub)
    before = listing(home)
    yield hub
    assert listing(home) == before, "opening models must not touch the cache"
    shutil.rmtree(home)


def listing(home):
    """Every file and link below a folder, with its size and when it was written."""
    facts = ((path, path.lstat()) for path in sorted(home.rglob("*")))
    return [(str(path), fact.st_size, fact.st_mtime_ns) for path, fact in facts]


@pytest.fixture(autouse=True)
def hub(stand_ins, monkeypatch, tmp_path):
    """The same, named by the environment; offline; the working folder is empty."""
    global _forbidden
    monkeypatch.setenv("HF_HOME", str(stand_ins.home))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)
    torch.manual_seed(0)
    _forbidden = True
    yield stand_ins
    _forbidden = False


class Notebook:
    """Runs snippets one after the other, as the cells of a notebook."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {}
        self.printed = ""

    def run(self, snippet: str) -> Notebook:
        """Run a snippet with nothing but its import lines changed."""
        for module in ("transformers.utils.hub", "transformers"):
            snippet = snippet.replace(f"from {module} import", "from armature import")
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            exec(compile(snippet, "<snippet>", "exec"), self.names)
        self.printed = out.getvalue()
        return self

    def __getattr__(self, name: str) -> Any:
        if name in self.__dict__.get("names", {}):
            return self.names[name]
        raise AttributeError(name)


@pytest.fixture
def notebook():
    """An empty notebook."""
    return Notebook()


@pytest.fixture
def environment(hub):
    """The environment of a fresh process that may not touch the network."""
    return {**os.environ, "HF_HOME": str(hub.home), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let nothing here hang for long."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.timeout(60))
