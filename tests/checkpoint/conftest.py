"""Places and hubs for the tests of checkpoints."""

from __future__ import annotations

import socket

import pytest
from fake_hub import COMMIT, FakeHub


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache, named by the environment."""
    folder = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def cached(cache):
    """A function that puts a model into the cache as the hub's client does."""

    def put(name, files, *, commit=COMMIT, revision="main"):
        folder = cache / f"models--{name.replace('/', '--')}"
        for file, content in files.items():
            blob = folder / "blobs" / f"{commit[:8]}{abs(hash((file, content))):x}"
            link = folder / "snapshots" / commit / file
            blob.parent.mkdir(parents=True, exist_ok=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(content)
            depth = "../" * (2 + file.count("/"))
            link.symlink_to(f"{depth}blobs/{blob.name}")
        ref = folder / "refs" / revision
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(commit)
        return folder

    return put


@pytest.fixture
def no_sockets(monkeypatch):
    """Make every attempt to open a socket fail."""

    def refuse(*_, **__):
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def hub(cache, monkeypatch):
    """A hub that the client asks; the cache is empty and the network is allowed."""
    from huggingface_hub import constants

    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN_PATH", str(cache / "no-token"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with FakeHub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        yield running
