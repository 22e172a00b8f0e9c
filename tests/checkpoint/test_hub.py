"""Names and folders: what wins, what the cache answers without a network, what errors say."""

from __future__ import annotations

import subprocess
import sys

import pytest
from fake_hub import COMMIT

import armature
from armature.checkpoint.hub import HUB_OPTIONS, cached_file, list_cached, resolve
from armature.errors import ArgumentError, CheckpointError, UnknownArgumentError

OTHER = "f" * 40


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "model"
    (made / "sub").mkdir(parents=True)
    (made / "config.json").write_text("{}")
    (made / "sub" / "config.json").write_text('{"a": 1}')
    return made


def test_a_folder_gives_its_files(folder, no_sockets):
    source = resolve(folder)
    assert source.get("config.json") == folder / "config.json"
    assert source.find("absent.json") is None
    assert source.names() == ["config.json", "sub/config.json"]
    assert source.revision is None
    assert resolve(source) is source


def test_a_missing_file_names_what_is_there(folder):
    with pytest.raises(
        CheckpointError, match=r"has no file 'confg\.json'(.|\n)*Did you mean `config\.json`"
    ):
        resolve(folder).get("confg.json")


def test_a_subfolder_of_a_folder(folder):
    assert resolve(folder, subfolder="sub").get("config.json").read_text() == '{"a": 1}'
    assert cached_file(folder, "sub/config.json") == str(folder / "sub" / "config.json")


def test_a_file_stands_for_its_folder(folder):
    (folder / "other.json").write_text('{"b": 1}')
    assert resolve(folder / "config.json").find("sub/config.json")
    assert resolve(str(folder / "other.json")).get("config.json").name == "other.json"


def test_a_folder_wins_over_a_cached_model(cached, tmp_path, monkeypatch):
    cached("org/name", {"config.json": b"cached"})
    monkeypatch.chdir(tmp_path)
    assert resolve("org/name").get("config.json").read_bytes() == b"cached"
    (tmp_path / "org" / "name").mkdir(parents=True)
    (tmp_path / "org" / "name" / "config.json").write_text("local")
    assert resolve("org/name").get("config.json").read_text() == "local"


def test_a_cached_model_needs_no_network_online_or_offline(cached, no_sockets, monkeypatch):
    folder = cached("org/name", {"config.json": b"{}", "sub/vocab.txt": b"a"})
    (folder / ".no_exist" / COMMIT).mkdir(parents=True)
    (folder / ".no_exist" / COMMIT / "absent.json").touch()
    for offline in ("1", "0"):
        monkeypatch.setenv("HF_HUB_OFFLINE", offline)
        source = resolve("org/name")
        assert source.get("config.json").read_bytes() == b"{}"
        assert source.find("absent.json") is None
        assert source.revision == COMMIT
        assert source.names() == ["config.json", "sub/vocab.txt"]
        assert resolve("org/name", subfolder="sub").get("vocab.txt").read_bytes() == b"a"
        assert resolve("org/name", subfolder="sub").names() == ["vocab.txt"]


def test_reading_the_cache_imports_neither_the_client_nor_torch(cached, cache):
    cached("org/name", {"config.json": b"{}"})
    code = (
        "import sys; from armature.checkpoint.hub import cached_file;"
        f"cached_file('org/name', 'config.json', cache_dir={str(cache)!r});"
        "assert not {'huggingface_hub', 'torch', 'numpy', 'socket'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_and_not_cached_names_the_reason_and_the_nearest(
    cached, no_sockets, monkeypatch, variable
):
    cached("bert-base-uncased", {"config.json": b"{}"})
    monkeypatch.delenv("HF_HUB_OFFLINE")
    monkeypatch.setenv(variable, "1")
    with pytest.raises(CheckpointError) as caught:
        resolve("bert-base")
    text = str(caught.value)
    assert "no model 'bert-base' in the cache" in text
    assert f"{variable}=1" in text
    assert "You have: bert-base-uncased" in text
    assert "Did you mean `bert-base-uncased`?" in text


def test_local_files_only_is_offline(cached, no_sockets, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    cached("org/name", {"config.json": b"{}"})
    source = resolve("org/name", local_files_only=True)
    with pytest.raises(
        CheckpointError, match=r"vocab\.txt(.|\n)*config\.json(.|\n)*local_files_only=True"
    ):
        source.get("vocab.txt")
    with pytest.raises(ArgumentError, match="force_download"):
        resolve("org/name", local_files_only=True, force_download=True)


def test_revisions(cached, no_sockets):
    cached("org/name", {"config.json": b"main"})
    cached("org/name", {"config.json": b"other"}, commit=OTHER, revision="refs/pr/1")
    assert resolve("org/name", revision="refs/pr/1").get("config.json").read_bytes() == b"other"
    assert resolve("org/name", revision=OTHER).revision == OTHER
    with pytest.raises(CheckpointError, match=f"'v2'(.|\n)*The cache has: {COMMIT}, {OTHER}"):
        resolve("org/name", revision="v2")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "./absent",
        "/absent/folder",
        "a/b/c",
        "../x",
        "org/..",
        "a\0b",
        "a\0/b",
        "~nobody/x",
        "C:\\models\\bert",
        "name.git",
        "a--b",
        "-x",
        "org/name/",
        "x" * 5000,
        "https://host/org/name",
    ],
)
def test_what_can_be_neither_folder_nor_name_is_said_at_once(name, cache, no_sockets, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with pytest.raises(CheckpointError):
        resolve(name)


def test_a_mistyped_path_names_its_neighbour(folder):
    with pytest.raises(CheckpointError, match="Did you mean `model`"):
        resolve(str(folder.parent / "modell"))


@pytest.mark.parametrize("revision", ["../../etc", "a b", "-x", "a//b", "a\0", "a\\b", "/x"])
def test_a_revision_cannot_leave_the_cache(revision, cached):
    cached("org/name", {"config.json": b"{}"})
    with pytest.raises(CheckpointError, match="revision"):
        resolve("org/name", revision=revision)


TRAVERSALS = [
    "../secret", "a/../../secret", "/etc/passwd", "..", ".", "./a", "a//b", "a/./b", "", "a\0b",
    "\n", "..\\secret", "C:secret", "C:/secret", "\\\\host\\share", "a/" * 600 + "b", "x" * 300,
    "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("name", TRAVERSALS)
def test_file_names_stay_inside(name, folder, cached, no_sockets):
    (folder.parent / "secret").write_text("secret")
    cached("org/name", {"config.json": b"{}"})
    for source in (resolve(folder), resolve("org/name")):
        with pytest.raises(CheckpointError):
            source.find(name)
    if name:
        with pytest.raises((CheckpointError, ArgumentError)):
            resolve("org/name", subfolder=name).get("config.json")


def test_links_may_lead_to_blobs_and_nowhere_else(folder, cached, tmp_path):
    (tmp_path / "secret").write_text("secret")
    (folder / "vocab.txt").symlink_to(tmp_path / "secret")
    with pytest.raises(CheckpointError, match="leads out"):
        resolve(folder).find("vocab.txt")
    model = cached("org/name", {"config.json": b"{}"})
    (folder / "linked.json").symlink_to(next((model / "blobs").iterdir()))
    assert resolve(folder).get("linked.json").read_bytes() == b"{}"
    shared = model.parent / "blobs" / "ab" / "cd"
    shared.parent.mkdir(parents=True)
    shared.write_bytes(b"shared")
    (model / "blobs" / "cd").symlink_to(shared)
    (model / "snapshots" / COMMIT / "shared.json").symlink_to(model / "blobs" / "cd")
    assert resolve("org/name").get("shared.json").read_bytes() == b"shared"
    snapshot = model / "snapshots" / COMMIT
    assert resolve(snapshot).get("config.json").read_bytes() == b"{}"
    (snapshot / "vocab.txt").symlink_to(tmp_path / "secret")
    for source in (resolve(snapshot), resolve("org/name")):
        with pytest.raises(CheckpointError, match="leads out"):
            source.find("vocab.txt")


def test_unknown_options_are_refused_with_the_nearest(folder):
    with pytest.raises(UnknownArgumentError, match=r"`revison`.* Did you mean `revision`"):
        resolve(folder, revison="main")
    assert {"revision", "subfolder", "cache_dir", "token", "local_files_only"} <= HUB_OPTIONS


def test_cached_file_works_in_scripts_written_on_windows(cached, no_sockets):
    cached("gpt2", {"config.json": b"{}"})
    cache_path = armature.cached_file("gpt2", "config.json", local_files_only=True)
    model_path = "\\".join(cache_path.split("\\")[:-1])
    assert isinstance(cache_path, str)
    assert cache_path.split("/")[-1] == "config.json"
    assert resolve(model_path, local_files_only=True).get("config.json").read_bytes() == b"{}"


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HF_HUB_CACHE": "{}/a", "HF_HOME": "{}/b"}, "a"),
        ({"HUGGINGFACE_HUB_CACHE": "{}/c"}, "c"),
        ({"TRANSFORMERS_CACHE": "{}/d", "HF_HOME": "{}/b"}, "d"),
        ({"HF_HOME": "{}/b"}, "b/hub"),
        ({"XDG_CACHE_HOME": "{}/e"}, "e/huggingface/hub"),
        ({"HOME": "{}"}, ".cache/huggingface/hub"),
    ],
)
def test_the_environment_names_the_cache(variables, expected, tmp_path, monkeypatch):
    for name in (
        "HF_HUB_CACHE",
        "HUGGINGFACE_HUB_CACHE",
        "TRANSFORMERS_CACHE",
        "HF_HOME",
        "XDG_CACHE_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    snapshot = tmp_path / expected / "models--m" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    assert [model.name for model in list_cached()] == ["m"]
    assert resolve("m", revision=COMMIT).get("config.json") == snapshot / "config.json"


def test_listing_the_cache(cached, cache):
    assert list_cached() == []
    cached("org/name", {"config.json": b"{}", "model.safetensors": b"12345"})
    cached("bert", {"config.json": b"{}"}, commit=OTHER, revision="refs/pr/2")
    first, second = list_cached(cache)
    assert (first.name, first.commit, first.revisions, first.size) == (
        "bert",
        OTHER,
        ("refs/pr/2",),
        2,
    )
    assert (second.name, second.size, second.revisions) == ("org/name", 7, ("main",))
    assert second.files == ("config.json", "model.safetensors")
    assert second.last_used > 0


def test_a_damaged_ref_is_named(cached):
    folder = cached("org/name", {"config.json": b"{}"})
    (folder / "refs" / "main").write_text("../../../etc")
    with pytest.raises(CheckpointError, match="refs/main"):
        resolve("org/name")
