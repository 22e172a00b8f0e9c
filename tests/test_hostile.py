"""Hostile checkpoints: wrong, lying and absurd files end in one clear error, soon and small."""

from __future__ import annotations

import json
import resource
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from armature import auto
from armature.errors import ArgumentError, ArmatureError, CheckpointError, ConfigError

GOLDEN = Path(__file__).parent / "golden" / "arch"
ABSURD = [-1, 0, 10**9, 10**18, 2.5, float("nan"), float("inf"), "7", [[1]], {"a": 1}, 1e300]
# A whole architecture is judged by its name and default, so one key of each sort is enough.
KEYS = [
    ("bert-relu", "hidden_size"),
    ("bert-relu", "num_attention_heads"),
    ("bert-relu", "max_position_embeddings"),
    ("albert-inner", "inner_group_num"),
    ("falcon-new", "num_kv_heads"),
    ("llama-yarn", "head_dim"),
    ("mixtral-window", "num_local_experts"),
    ("t5-gated", "relative_attention_num_buckets"),
]
NUMBERS = [-0.5, float("nan"), float("inf"), "0.1", [0.1], True]
FLOATS = [("bert-relu", "layer_norm_eps"), ("gpt2-scales", "attn_pdrop")]
ROPE = [-1, 0, float("nan"), float("inf"), "7", [3.0], {"a": 1}, True]
ROPES = [
    ("llama-linear", "factor"),
    ("llama-dynamic", "factor"),
    ("llama-llama3", "low_freq_factor"),
    ("llama-yarn", "original_max_position_embeddings"),
    ("llama-yarn", "rope_theta"),
    ("llama-longrope", "short_factor"),
]


def settings(name: str) -> dict:
    return json.loads((GOLDEN / name / "config.json").read_text())


def opened(folder: Path):
    kind = json.loads((folder / "golden.json").read_text())["class"]
    return auto.model_class(kind).from_pretrained(folder)


def refused(folder: Path) -> str:
    """Open a folder; return the text of the error, which must come soon and need little memory."""
    peak, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    with pytest.raises(ArmatureError) as caught:
        opened(folder)
    assert time.process_time() - start < 2
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak < 100_000  # kB
    return str(caught.value)


@pytest.fixture
def copied(tmp_path):
    def copy(name: str, **changes) -> Path:
        shutil.copytree(GOLDEN / name, tmp_path / name)
        changed = {**settings(name), **changes}
        (tmp_path / name / "config.json").write_text(json.dumps(changed))
        return tmp_path / name

    return copy


@pytest.mark.parametrize(("name", "key"), KEYS)
@pytest.mark.parametrize("value", ABSURD, ids=repr)
def test_sizes_that_make_no_sense_are_refused(name, key, value, copied):
    message = refused(copied(name, **{key: value}))
    assert "config" in message
    assert "→" in message


@pytest.mark.parametrize("value", [value for value in ABSURD if value != 0], ids=repr)
def test_depths_that_make_no_sense_are_refused_by_name(value, copied):
    assert "`num_hidden_layers`" in refused(copied("bert-relu", num_hidden_layers=value))


@pytest.mark.parametrize(("name", "key"), FLOATS)
@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_numbers_that_make_no_sense_are_refused_by_name(name, key, value, copied):
    message = refused(copied(name, **{key: value}))
    assert f"config.json: `{key}` is {value!r}" in message


@pytest.mark.parametrize(("name", "key"), ROPES)
@pytest.mark.parametrize("value", ROPE, ids=repr)
def test_rotary_settings_that_make_no_sense_are_refused_by_name(name, key, value, copied):
    turned = {**settings(name)["rope_parameters"], key: value}
    assert f"`{key}`" in refused(copied(name, rope_parameters=turned))


@pytest.mark.parametrize(("name", "key"), ROPES[:3])
def test_rotary_settings_that_are_missing_are_refused_by_name(name, key, copied):
    turned = settings(name)["rope_parameters"]
    turned.pop(key)
    assert f"`{key}`" in refused(copied(name, rope_parameters=turned))


@pytest.mark.parametrize("value", ["abc", {"a": "b"}, {"0": [1]}, 7], ids=repr)
def test_names_of_labels_are_texts(value, copied):
    assert "id2label" in refused(copied("bert-regression", id2label=value))


def test_a_size_may_be_spelled_as_a_fraction(copied):
    size = settings("bert-relu")["hidden_size"]
    assert opened(copied("bert-relu", hidden_size=float(size))).config.hidden_size == size


def test_more_experts_for_a_token_than_there_are_are_refused(copied):
    with pytest.raises(ConfigError, match=r"goes to 6 experts.* there are 5"):
        opened(copied("mixtral-window", num_experts_per_tok=6))


def change_weights(folder: Path, change: Callable[[dict], object]) -> Path:
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool], ids=str)
def test_whole_numbers_are_no_weights(dtype, copied):
    name = "encoder.layer.1.attention.self.query.weight"
    folder = change_weights(copied("bert-relu"), lambda w: w.update({name: w[name].to(dtype)}))
    with pytest.raises(CheckpointError, match=f"{name} holds numbers of type"):
        opened(folder)


def test_a_file_without_tensors_is_refused(copied):
    assert "cannot be filled" in refused(change_weights(copied("bert-relu"), dict.clear))


def test_weights_of_another_architecture_are_refused(copied):
    folder = copied("bert-relu")
    shutil.copy(GOLDEN / "gpt2-scales" / "model.safetensors", folder)
    message = refused(folder)
    assert "none of its names match" in message
    assert "check that config.json belongs to this file" in message


def test_segments_that_do_not_exist_are_refused():
    model = opened(GOLDEN / "bert-left")  # one segment
    with pytest.raises(ArgumentError, match="token_type_ids hold 1, but the model knows 1"):
        model(torch.tensor([[7, 8]]), token_type_ids=torch.tensor([[0, 1]]))


def test_a_choice_without_choices_is_refused():
    with pytest.raises(ArgumentError, match=r"\(B, choices, T\)"):
        opened(GOLDEN / "distilbert-choice")(torch.tensor([[7, 8]]))
