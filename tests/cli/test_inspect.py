"""`armature inspect`: facts and findings, without loading weights and without torch."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAD = [
    "cls.predictions.transform.dense.weight",
    "cls.predictions.transform.LayerNorm.weight",
    "cls.predictions.bias",
]


@pytest.fixture
def look(armature, checkpoint):
    def look():
        return json.loads(armature("inspect", checkpoint.folder, "--json").stdout)

    return look


def findings(found, weight):
    return [f"{one['file']} {one['what']}" for one in found["findings"] if one["weight"] == weight]


def test_parameters_memory_and_files_are_counted_from_headers(checkpoint, look):
    checkpoint.weights("bert.embeddings.LayerNorm.weight", "bert.embeddings.LayerNorm.bias")
    found = look()
    assert (found["tensors"], found["parameters"]) == (2, 16)
    assert found["memory"] == {"float32": 64, "bfloat16": 32, "int8": 16}
    sizes = {file["name"]: file["size"] for file in found["files"]}
    assert sizes["model.safetensors"] == (checkpoint.folder / "model.safetensors").stat().st_size


def test_heads_are_those_whose_weights_are_there(checkpoint, look):
    checkpoint.weights("bert.embeddings.word_embeddings.weight", *HEAD)
    heads = look()["heads"]
    assert heads[0]["class_name"] == "BertForMaskedLM"
    assert heads[0]["declared"] is True
    assert heads[0]["auto"] == ["AutoModelForMaskedLM"]
    names = {head["class_name"] for head in heads}
    assert "BertForSequenceClassification" not in names
    assert "BertModel" in names


def test_a_declared_head_without_weights_is_a_warning(checkpoint, look):
    checkpoint.weights("bert.embeddings.word_embeddings.weight")
    assert any("BertForMaskedLM" in line for line in findings(look(), "warning"))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "git-LFS pointer"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", "web page"),
        (b"", "empty"),
        (b"\x40\x00\x00\x00\x00\x00\x00\x00{}", "cut off"),
    ],
)
def test_what_is_not_weights_is_named(armature, checkpoint, look, content, what):
    checkpoint.write("model.safetensors", content)
    assert any(what in line for line in findings(look(), "error"))
    assert armature("inspect", checkpoint.folder).exit_code == 1


def test_missing_shards_and_names_that_lead_out_are_errors(checkpoint, look):
    checkpoint.write("model.safetensors.index.json", {"weight_map": {"a": "absent.safetensors"}})
    assert any("absent.safetensors" in line for line in findings(look(), "error"))
    checkpoint.write("model.safetensors.index.json", {"weight_map": {"a": "../../out.safetensors"}})
    assert any("../../out.safetensors" in line for line in findings(look(), "error"))


def test_code_and_pickles_are_reported_and_never_run(checkpoint, look, tmp_path):
    canary = tmp_path / "ran"
    checkpoint.write("modeling_own.py", f"open({str(canary)!r}, 'w')")
    checkpoint.write(
        "config.json", {"model_type": "bert", "auto_map": {"AutoModel": "modeling_own.M"}}
    )
    checkpoint.write("training_args.bin", b"\x80\x04c")
    checkpoint.weights("bert.embeddings.word_embeddings.weight")
    found = look()
    warnings = findings(found, "warning")
    assert any("auto_map" in line for line in warnings)
    assert any("modeling_own.py" in line for line in warnings)
    assert any("training_args.bin is a pickle" in line for line in findings(found, "note"))
    assert not canary.exists()


def test_an_unknown_model_type_names_the_nearest(checkpoint, armature):
    checkpoint.write("config.json", {"model_type": "distillbert"})
    result = armature("inspect", checkpoint.folder)
    assert result.exit_code == 1
    assert "distilbert" in result.stdout


@pytest.mark.parametrize("content", ["{", "[1]", '"x"', "[" * 100_000])
def test_a_broken_config_is_an_error_and_no_traceback(checkpoint, armature, content):
    checkpoint.write("config.json", content)
    result = armature("inspect", checkpoint.folder)
    assert result.exit_code == 1
    assert "config.json" in result.stdout


def test_an_absent_checkpoint_is_one_message_on_stderr(armature, tmp_path):
    result = armature("inspect", tmp_path / "nothing-here")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: ")
    assert "Traceback" not in result.stderr


def test_inspecting_imports_neither_torch_nor_numpy(checkpoint):
    checkpoint.weights("bert.embeddings.word_embeddings.weight")
    code = (
        "import sys\nfrom armature.inspection import inspect\n"
        "inspect(sys.argv[1])\nprint({'torch', 'numpy'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", code, str(checkpoint.folder)]
    assert subprocess.run(command, capture_output=True, text=True).stdout == "set()\n"


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": ["bert"], "architectures": 7},
        {"model_type": "bert", "architectures": "BertModel"},
        {"model_type": "bert", "architectures": [None, {"a": 1}]},
        {"model_type": 3, "tie_word_embeddings": "yes", "auto_map": 5},
    ],
)
def test_values_of_wrong_types_are_no_tracebacks(checkpoint, armature, config):
    checkpoint.write("config.json", config)
    checkpoint.weights("bert.embeddings.word_embeddings.weight")
    result = armature("inspect", checkpoint.folder, "--json", "--debug")
    assert json.loads(result.stdout)["tensors"] == 1


def test_a_head_is_not_taken_for_another_of_the_same_names(checkpoint, look):
    names = ["bert.pooler.dense.weight", "classifier.weight", "bert.embeddings.LayerNorm.bias"]
    checkpoint.write(
        "config.json", {"model_type": "bert", "architectures": ["BertForSequenceClassification"]}
    )
    checkpoint.weights(*names)
    classes = [head["class_name"] for head in look()["heads"]]
    assert classes == ["BertForSequenceClassification", "BertModel"]
