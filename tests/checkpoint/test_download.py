"""Downloads from a hub that behaves, and from one that does not."""

from __future__ import annotations

import hashlib
import random

import pytest
from fake_hub import COMMIT

from armature.checkpoint.files import open_weights
from armature.checkpoint.hub import cached_file, resolve
from armature.checkpoint.write import write_safetensors
from armature.errors import CheckpointError

LARGE = random.Random(0).randbytes(3_000_000)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    """Do not wait between retries: nothing gets better in these tests by waiting."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def requests(hub, method):
    return [path.rsplit("/", 1)[-1] for kind, path, _ in hub.log if kind == method]


def test_a_model_is_downloaded_once_and_then_opens_without_a_network(
    hub, cache, monkeypatch, request
):
    import torch

    weights = cache.parent / "w"
    write_safetensors(weights, {"a": torch.arange(6.0)})
    hub.add("org/name", {"config.json": b"{}", "model.safetensors": weights.read_bytes()})
    source = resolve("org/name")
    assert source.revision is None
    assert source.get("config.json").read_bytes() == b"{}"
    assert source.revision == COMMIT
    assert source.find("absent.json") is None
    assert torch.equal(open_weights(source).read("a"), torch.arange(6.0))
    assert source.names() == ["config.json", "model.safetensors"]
    assert requests(hub, "GET").count("model.safetensors") == 1

    before = len(hub.log)
    request.getfixturevalue("no_sockets")
    for offline in ("0", "1"):
        monkeypatch.setenv("HF_HUB_OFFLINE", offline)
        again = resolve("org/name")
        assert again.find("absent.json") is None
        assert torch.equal(open_weights(again).read("a"), torch.arange(6.0))
    assert len(hub.log) == before


def test_all_files_are_of_the_commit_of_the_first(hub):
    repository = hub.add("m", {"config.json": b"1", "vocab.txt": b"1"}, branches=("main", COMMIT))
    source = resolve("m")
    source.get("config.json")
    repository.commit = "f" * 40
    source.get("vocab.txt")
    assert hub.log[-1][1] == f"/m/resolve/{COMMIT}/vocab.txt"


def test_subfolder_and_endpoint_as_arguments(hub, cache, monkeypatch):
    hub.add("org/name", {"sub/config.json": b"{}"})
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    other = cache.parent / "other"
    options = {"subfolder": "sub", "endpoint": hub.url, "cache_dir": other}
    path = cached_file("org/name", "config.json", **options)
    assert path == str(other / "models--org--name" / "snapshots" / COMMIT / "sub" / "config.json")
    assert resolve("org/name", **options).names() == ["config.json"]


def test_a_cut_download_resumes_where_it_broke(hub, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 100_000)
    hub.add("m", {"model.safetensors": LARGE})
    hub.cuts = [1_000_000, 1_500_000]
    path = resolve("m").get("model.safetensors")
    assert hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(LARGE).digest()
    ranges = [wanted for kind, _, wanted in hub.log if kind == "GET"]
    assert ranges == [None, "bytes=1000000-", "bytes=2500000-"]


def test_a_wrong_size_is_an_error_and_leaves_nothing_behind(hub, cache):
    hub.add("m", {"vocab.txt": b"short"})
    hub.lies["vocab.txt"] = 3
    with pytest.raises(CheckpointError, match=r"m/vocab\.txt"):
        hub.lies["vocab.txt"] = 50
        resolve("m").get("vocab.txt")
    assert not list(cache.rglob("snapshots/*/vocab.txt"))
    hub.lies.clear()
    assert resolve("m").get("vocab.txt").read_bytes() == b"short"


def test_no_such_model(hub, cached):
    cached("bert-base-uncased", {"config.json": b"{}"})
    with pytest.raises(CheckpointError) as caught:
        resolve("bert-base-uncase").get("config.json")
    text = str(caught.value)
    assert "has no model 'bert-base-uncase'" in text
    assert "HF_TOKEN" in text
    assert "Did you mean `bert-base-uncased`?" in text


def test_no_such_revision_and_no_such_file(hub):
    hub.add("m", {"config.json": b"{}", "vocab.txt": b""})
    with pytest.raises(CheckpointError, match="no revision 'v9'"):
        resolve("m", revision="v9").find("config.json")
    with pytest.raises(
        CheckpointError,
        match=r"vocab\.text(.|\n)*It has: config\.json, vocab\.txt(.|\n)*Did you mean `vocab\.txt`",
    ):
        resolve("m").get("vocab.text")


def test_a_gated_model_asks_for_access_and_takes_a_token(hub):
    hub.add("org/gated", {"config.json": b"{}"}, gated=True, token="hf_right")
    for token in (None, "hf_wrong"):
        with pytest.raises(CheckpointError, match=r"gated(.|\n)*page of org/gated(.|\n)*HF_TOKEN"):
            resolve("org/gated", token=token).get("config.json")
    assert resolve("org/gated", use_auth_token="hf_right").get("config.json").read_bytes() == b"{}"


def test_the_token_of_the_environment(hub, monkeypatch):
    hub.add("org/gated", {"config.json": b"{}"}, gated=True, token="hf_right")
    monkeypatch.setenv("HF_TOKEN", "hf_right")
    assert resolve("org/gated").get("config.json").read_bytes() == b"{}"


def test_a_broken_hub_is_named_and_a_cached_model_opens_all_the_same(hub, cached):
    hub.status = 503
    with pytest.raises(CheckpointError, match="503"):
        resolve("org/name").get("config.json")
    cached("org/name", {"config.json": b"{}"})
    source = resolve("org/name")
    asked = len(hub.log)
    assert source.find("absent.json") is None
    assert source.find("other.json") is None
    assert len(hub.log) == asked + 1, "the hub is asked once, and not again when it does not answer"
    assert source.names() == ["config.json"]
    with pytest.raises(CheckpointError, match=r"vocab\.txt(.|\n)*It has: config\.json(.|\n)*503"):
        source.get("vocab.txt")


def test_nobody_at_home(hub, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(CheckpointError, match=r"refused(.|\n)*HF_ENDPOINT"):
        resolve("org/name").get("config.json")


def test_force_download_asks_again(hub):
    repository = hub.add("m", {"config.json": b"old", "vocab.txt": b"old"})
    resolve("m").get("config.json")
    repository.files = {"config.json": b"new", "vocab.txt": b"new"}
    repository.commit = "f" * 40
    assert resolve("m").get("config.json").read_bytes() == b"old"
    source = resolve("m", force_download=True)
    assert source.get("config.json").read_bytes() == b"new"
    assert source.get("vocab.txt").read_bytes() == b"new"
    assert source.revision == "f" * 40
    gets = requests(hub, "GET").count("config.json")
    assert source.get("config.json").read_bytes() == b"new"
    assert requests(hub, "GET").count("config.json") == gets, "once per file is enough"


def test_a_read_only_cache(hub, cache, monkeypatch):
    hub.add("m", {"config.json": b"{}"})
    cache.parent.mkdir(exist_ok=True)
    cache.write_text("a file where the folder should be")
    with pytest.raises(CheckpointError, match=r"m/config\.json"):
        resolve("m").get("config.json")
