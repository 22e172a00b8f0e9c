"""A crash, a kill, a full disk or a stranger's journal never costs a checkpoint."""

from __future__ import annotations

import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from saving import load, save

from armature.checkpoint import journal
from armature.checkpoint.hub import resolve
from armature.errors import CheckpointError

OLD = {f"x{i}": torch.full((30,), 1.0) for i in range(6)}
NEW = {f"x{i}": torch.full((30,), 2.0) for i in range(6)} | {"more": torch.full((9,), 2.0)}


def which(folder):
    """Load a checkpoint and say which of the two it is; all of it must be of one."""
    config, found = load(folder)
    for expected in (OLD, NEW):
        if config["of"] == sorted(expected):
            assert set(found) == set(expected)
            assert all(torch.equal(found[name], tensor) for name, tensor in expected.items())
            return "old" if expected is OLD else "new"
    raise AssertionError(config)


class Crash(BaseException):
    pass


@pytest.mark.parametrize("before", [{}, {"max_shard_size": 300}, {"format": "bin"}])
@pytest.mark.parametrize("after", [{}, {"max_shard_size": 300}, {"format": "bin"}])
def test_a_crash_after_any_step_leaves_the_old_or_the_new(before, after, tmp_path, monkeypatch):
    """Stop for good after the n-th rename or removal, for every n."""
    outcomes = []
    for stop in range(100):
        folder = tmp_path / str(stop)
        save(folder, OLD, **before)
        with monkeypatch.context() as patch:
            left = [stop]
            for name in ("replace", "unlink"):
                patch.setattr(Path, name, _stopping(getattr(Path, name), left))
            try:
                save(folder, NEW, **after)
            except Crash:
                finished = False
            else:
                finished = True
        outcomes.append(which(folder))
        save(folder, OLD, **before)
        assert which(folder) == "old"
        if finished:
            break
    assert finished
    assert outcomes == sorted(outcomes, reverse=True), "old, old, …, new, new"
    assert {"old", "new"} == set(outcomes)


def _stopping(real, left):
    def step(path, *arguments, **options):
        if left[0] == 0:
            raise Crash
        left[0] -= 1
        return real(path, *arguments, **options)

    return step


NURSERY = """
import itertools, os, sys
sys.path.insert(0, sys.argv[1])
import torch
from test_transaction import NEW, OLD, save
torch.set_num_threads(1)
for _ in sys.stdin:
    child = os.fork()
    if child == 0:
        for tensors in itertools.cycle([NEW, OLD]):
            save(sys.argv[2], tensors, max_shard_size=300)
    print(child, flush=True)
    os.waitpid(child, 0)
"""


def await_death(process):
    """Wait until a process that was killed has left the kernel, where it may end a renaming."""
    status = Path(f"/proc/{process}/stat")
    try:
        while status.read_text().rpartition(")")[2].split()[0] not in "ZX":
            time.sleep(0.001)
    except (FileNotFoundError, ProcessLookupError):
        return


def test_a_process_killed_at_any_moment_leaves_the_old_or_the_new(tmp_path):
    """kill -9 a process that saves the two in turn, 30 times; each time one of them is there."""
    folder, pauses = tmp_path / "model", random.Random(0)
    save(folder, OLD)
    command = [sys.executable, "-c", NURSERY, str(Path(__file__).parent), str(folder)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as nursery:
        for _ in range(30):
            nursery.stdin.write("go\n")
            child = int(nursery.stdout.readline())
            time.sleep(pauses.uniform(0.0, 0.05))
            os.kill(child, signal.SIGKILL)
            await_death(child)
            assert which(folder) in ("old", "new")
    save(folder, NEW)
    assert which(folder) == "new"
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_temporary_files_of_the_dead_are_swept_and_those_of_the_living_stay(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    dead = tmp_path / f".model.safetensors.tmp-{child.pid}-0"
    living = tmp_path / f".model.safetensors.tmp-{os.getppid()}-0"
    for path in (dead, living, tmp_path / ".notes.tmp-file"):
        path.write_text("")
    save(tmp_path, OLD)
    assert not dead.exists()
    assert living.exists()
    assert (tmp_path / ".notes.tmp-file").exists()


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"rename": 1, "remove": []}',
        '{"rename": {"../x": "y"}, "remove": []}',
        '{"rename": {"x": "../y"}, "remove": []}',
        '{"rename": {}, "remove": ["/etc/passwd"]}',
    ],
)
def test_a_journal_that_is_none_is_refused(content, tmp_path):
    save(tmp_path, OLD)
    (tmp_path / journal.JOURNAL).write_text(content)
    with pytest.raises(CheckpointError, match="journal"):
        resolve(tmp_path).find("config.json")
    with pytest.raises(CheckpointError, match="journal"):
        save(tmp_path, NEW)


# Full disks --------------------------------------------------------------------------------

LARGE = {f"y{i}": torch.ones(100_000) for i in range(3)}


@pytest.fixture
def small_files():
    """Let no file grow beyond 500 kB, as a full disk would."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("format", ["safetensors", "bin"])
@pytest.mark.parametrize("size", ["50GB", 800_000])
def test_a_full_disk_costs_nothing_and_says_how_much_is_needed(format, size, tmp_path, small_files):
    save(tmp_path, OLD)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(CheckpointError) as caught:
        save(tmp_path, LARGE, format=format, max_shard_size=size)
    found = re.search(r"(\d+) bytes are needed(.|\n)*unchanged", str(caught.value))
    assert int(found[1]) >= 800_000
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_too_little_space_is_known_before_anything_is_written(tmp_path, monkeypatch):
    save(tmp_path, OLD)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000}))
    monkeypatch.setattr("armature.checkpoint.write.write_safetensors", None)
    with pytest.raises(CheckpointError, match="1200000 bytes are needed and 1000 are free"):
        save(tmp_path, LARGE)
