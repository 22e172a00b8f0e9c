"""What every test may rely on: no network, the same random numbers, no colour."""

from __future__ import annotations

import os

os.environ["HF_HUB_OFFLINE"] = "1"
# Side by side, each worker has one core; alone, two show what several threads may break.
if "PYTEST_XDIST_WORKER" in os.environ:  # whose environment is the controller's, as set below
    os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "2")
os.environ.pop("HF_ENDPOINT", None)
os.environ.pop("HF_TOKEN", None)

import pytest


@pytest.fixture(autouse=True)
def _home(tmp_path_factory, monkeypatch):
    """Give every test an empty hub cache of its own."""
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.getbasetemp() / "hf-home"))
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_OFFLINE", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
