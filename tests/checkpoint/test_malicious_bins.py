"""pytorch_model.bin from people who mean harm: nothing runs or is imported, each is refused."""

from __future__ import annotations

import copyreg
import io
import pickle
import pickletools  # noqa: F401 (loaded before the reader, which names opcodes with it)
import resource
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import pytest
import torch
from bin_archives import DATA, HONEST, archive, state, tensor
from payloads import HIDDEN, OTHERS, RUNNING, pickled

from armature.checkpoint.files import open_weight_files
from armature.checkpoint.formats import pickle_file  # noqa: F401
from armature.errors import CheckpointError


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    copyreg.add_extension("posix", "system", 0xF0)
    yield
    copyreg.remove_extension("posix", "system", 0xF0)
    copyreg.clear_extension_cache()


class Lenient(pickle.Unpickler):
    """Python's own machine, as torch.load(weights_only=False) sets it up."""

    def persistent_load(self, identity):
        return torch.storage.TypedStorage(6, dtype=torch.float32, _internal=True)


def refused(content, cause=None):
    """Open a file; it must be refused, and nothing else may have happened."""
    Path("x.bin").write_bytes(content)
    before = set(sys.modules)
    started = time.process_time()
    with pytest.raises(CheckpointError, match=cause) as caught:
        weights = open_weight_files(["x.bin"])
        for name in weights:
            weights.read(name)
    assert time.process_time() - started < 10
    assert set(sys.modules) == before
    assert not Path("CANARY").exists()
    assert "x.bin" in str(caught.value)


@pytest.mark.parametrize("name", RUNNING)
def test_what_python_would_run_is_refused(name):
    refused(archive(RUNNING[name]))


@pytest.mark.parametrize("name", RUNNING)
def test_python_does_run_it(name):
    """The payloads above are real."""
    try:
        made = Lenient(io.BytesIO(RUNNING[name])).load()
        if isinstance(made, subprocess.Popen):
            made.wait()
    except (TypeError, RuntimeError, AttributeError):  # after the command ran
        pass
    assert Path("CANARY").exists()


@pytest.mark.parametrize("place", range(5))
def test_the_pickles_of_an_older_file_are_not_run_either(place):
    parts = [
        pickled(0x1950A86A20F9469CFC6C, 2),
        pickled(1001, 2),
        pickled({"protocol_version": 1001, "little_endian": True, "type_sizes": {}}, 2),
        state(("x", tensor())),
        pickled(["0"], 2),
    ]
    honest = b"".join(parts) + (6).to_bytes(8, "little") + DATA
    Path("x.bin").write_bytes(honest)
    assert open_weight_files(["x.bin"]).read("x").tolist() == [[0, 1, 2], [3, 4, 5]]
    parts[place] = HIDDEN
    refused(b"".join(parts) + (6).to_bytes(8, "little") + DATA)


@pytest.mark.parametrize("name", OTHERS)
def test_pickles_that_break_the_rules_are_refused(name):
    content, cause = OTHERS[name]
    refused(archive(content), cause)


def test_the_machine_stays_small():
    """The worst pickles above take no more memory than a budget of 512 MB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for name in ("endless constants", "the same text encoded again and again", "deep lists"):
        refused(archive(OTHERS[name][0]))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 * 1024


# Zip files that lie -----------------------------------------------------------------------------

GOOD = state(("x", tensor()))


def central(content, name):
    """Where an entry of the directory at the end begins."""
    at = content.rindex(name)
    return content.rindex(b"PK\1\2", 0, at)


def patched(content, at, data):
    return content[:at] + data + content[at + len(data) :]


def lying():
    """Yield (name, content, cause)."""
    pickle_header = HONEST.index(b"PK\3\4")
    pickle_entry = central(HONEST, b"archive/data.pkl")
    data_header = HONEST.index(b"PK\3\4", HONEST.index(b"archive/byteorder"))
    data_entry = central(HONEST, b"archive/data/0")
    end = HONEST.rindex(b"PK\5\6")
    yield (
        "a wrong checksum of the pickle",
        patched(HONEST, pickle_entry + 16, b"\0\0\0\0"),
        "checksum",
    )
    yield "a changed pickle", patched(HONEST, HONEST.index(b"_rebuild"), b"_Rebuild"), "checksum"
    yield "a wrong checksum of the data", patched(HONEST, data_entry + 16, b"\0\0\0\0"), "checksum"
    yield "changed data", patched(HONEST, HONEST.index(DATA), b"\xff"), "checksum"
    renamed = HONEST.replace(b"archive/data.pkl", b"archive/data.pkX", 1)
    yield "another name in the entry's own header", renamed, "own header"
    yield (
        "another name in the directory",
        HONEST[:pickle_entry] + HONEST[pickle_entry:].replace(b"data.pkl", b"data.pkX"),
        "own header",
    )
    yield "compressed", archive(GOOD, method=zipfile.ZIP_DEFLATED), "compressed"
    bomb = archive(GOOD, {"0": DATA, "1": bytes(50_000_000)}, method=zipfile.ZIP_DEFLATED)
    yield "a zip bomb", bomb, "compressed"
    yield (
        "compressed, says its own header only",
        patched(HONEST, pickle_header + 8, b"\x08\0"),
        "own header",
    )
    yield "encrypted", patched(HONEST, pickle_entry + 8, b"\1\0"), "encrypted"
    yield (
        "a size larger than the file",
        patched(HONEST, data_entry + 20, struct.pack("<2L", 10**9, 10**9)),
        "own header",
    )
    yield "two sizes", patched(HONEST, data_entry + 20, struct.pack("<2L", 24, 10**9)), "compressed"
    yield (
        "an entry at another's place",
        patched(HONEST, data_entry + 42, struct.pack("<L", pickle_header)),
        "own header",
    )
    yield (
        "an entry behind the end",
        patched(HONEST, data_entry + 42, struct.pack("<L", 10**9)),
        "outside",
    )
    grown = patched(HONEST, pickle_entry + 20, struct.pack("<2L", len(GOOD) + 40, len(GOOD) + 40))
    grown = patched(grown, pickle_header + 18, struct.pack("<2L", len(GOOD) + 40, len(GOOD) + 40))
    yield "an entry that overlaps the next", grown, "overlaps"
    last = HONEST.rindex(b"PK\3\4")
    grown = patched(HONEST, central(HONEST, b"archive/version") + 20, struct.pack("<2L", 50, 50))
    grown = patched(grown, last + 18, struct.pack("<2L", 50, 50))
    yield "an entry that reaches into the directory", grown, "reaches into the directory"
    yield "two pickles", archive(GOOD, extra=[("other/data.pkl", GOOD)]), "without data.pkl"
    yield "a pickle too deep", archive(GOOD, top="a/b"), "without data.pkl"
    yield "no pickle", archive(GOOD).replace(b"data.pkl", b"data.pkX"), "without data.pkl"
    yield "a path upwards", archive(GOOD, extra=[("../evil", b"")]), "does not stay inside"
    yield "an absolute path", archive(GOOD, extra=[("/evil", b"")]), "absolute"
    twice = archive(GOOD, extra=[("archive/data/1", DATA)]).replace(
        b"archive/data/1", b"archive/data/0"
    )
    yield "one name twice", twice, "two entries"
    yield "no directory", HONEST[:pickle_entry], "no directory"
    yield "an end that is cut off", HONEST[:-5], "no directory|cut off|follows"
    yield "something behind the end", HONEST + b"x", "follows"
    yield (
        "a directory of another length",
        patched(HONEST, end + 12, struct.pack("<L", 10)),
        "damaged",
    )
    yield "a directory somewhere else", patched(HONEST, end + 16, struct.pack("<L", 3)), "damaged"
    yield (
        "another size in the entry's own header",
        patched(HONEST, data_header + 18, struct.pack("<L", 7)),
        "own header",
    )
    yield "one part of several", patched(HONEST, end + 4, b"\1\0"), "one part"
    yield (
        "more entries than there are",
        patched(HONEST, end + 8, struct.pack("<2H", 40, 40)),
        "cut off|broken",
    )
    yield (
        "a 64-bit directory that is not there",
        patched(HONEST, end + 16, b"\xff" * 4),
        "cannot be found",
    )
    yield "the machine's pickle elsewhere", patched(HONEST, data_header, b"PK\0\0"), "own header"


LYING = {name: (content, cause) for name, content, cause in lying()}


@pytest.mark.parametrize("name", LYING)
def test_zip_files_that_contradict_themselves_are_refused(name):
    refused(*LYING[name])


def test_the_honest_file_is_read():
    Path("x.bin").write_bytes(HONEST)
    assert open_weight_files(["x.bin"]).read("x").tolist() == [[0, 1, 2], [3, 4, 5]]
