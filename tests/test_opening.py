"""Opening checkpoints: what is missing, left over or of another shape is said, never guessed."""

from __future__ import annotations

import copy
import json
import logging
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from armature import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    BertConfig,
    BertForMaskedLM,
    BertModel,
    CheckpointError,
    DistilBertConfig,
    DistilBertForSequenceClassification,
)
from armature.errors import ArgumentError, ConfigError, UnknownArgumentError

GOLDEN = Path(__file__).parent / "golden" / "arch"


def edited(name: str, folder: Path, change) -> Path:
    """Copy a golden checkpoint with its tensors changed."""
    shutil.copytree(GOLDEN / name, folder)
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    return folder


def test_a_missing_body_weight_is_an_error_that_lists_it(tmp_path: Path) -> None:
    folder = edited(
        "bert-relu", tmp_path / "m", lambda t: t.pop("encoder.layer.1.output.dense.bias")
    )
    with pytest.raises(CheckpointError, match=r"encoder\.layer\.1\.output\.dense\.bias: missing"):
        AutoModel.from_pretrained(folder)


def test_a_body_weight_of_another_shape_is_an_error(tmp_path: Path) -> None:
    def change(tensors: dict) -> None:
        tensors["embeddings.LayerNorm.weight"] = torch.ones(7)

    with pytest.raises(CheckpointError, match=r"\[7\] in the file, \[30\] by the config"):
        AutoModel.from_pretrained(edited("bert-relu", tmp_path / "m", change))


def test_a_file_of_which_nothing_matches_is_an_error(tmp_path: Path) -> None:
    def change(tensors: dict) -> None:
        tensors.clear()
        tensors["model.layers.0.weight"] = torch.ones(3)

    with pytest.raises(CheckpointError, match="none of its names match"):
        AutoModel.from_pretrained(edited("bert-relu", tmp_path / "m", change))


def test_a_new_head_is_announced_once_and_remembered(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "armature"):
        model = AutoModelForTokenClassification.from_pretrained(GOLDEN / "bert-pretraining")
    assert model.untrained == ("classifier.weight", "classifier.bias")
    [note] = caplog.records
    assert "classifier.weight" in note.getMessage()
    assert "AutoModelForPreTraining" in note.getMessage()  # what the checkpoint's own head fits
    assert "cls.predictions.bias" in model.load_report.unexpected


def test_a_head_that_was_trained_is_new_no_longer() -> None:
    model = AutoModelForTokenClassification.from_pretrained(GOLDEN / "bert-relu")
    model.to(torch.bfloat16).to(torch.float32)
    assert model.untrained == ("classifier.weight", "classifier.bias")
    assert copy.deepcopy(model).untrained == model.untrained
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.tensor([[7, 8]]), labels=torch.tensor([[0, 1]])).loss.backward()
    optimizer.step()
    assert model.untrained == ()


def test_a_head_of_another_size_is_new(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "armature"):
        model = AutoModelForSequenceClassification.from_pretrained(
            GOLDEN / "distilbert-classes", num_labels=10
        )
    assert model(torch.tensor([[7, 8, 9]])).logits.shape == (1, 10)
    assert "classifier.weight" in model.untrained
    assert "pre_classifier.weight" not in model.untrained  # that part fits, and is kept
    assert "[7, 28] in the file, [10, 28] by the config" in caplog.text


def test_a_pooler_that_the_file_lacks_is_left_out() -> None:
    model = BertModel.from_pretrained(GOLDEN / "bert-untied")
    assert model(torch.tensor([[7, 8]])).pooler_output is None
    assert not model.untrained


def test_a_complete_checkpoint_reports_nothing_amiss() -> None:
    model, report = BertForMaskedLM.from_pretrained(
        GOLDEN / "bert-untied", output_loading_info=True
    )
    assert report is model.load_report
    assert not (report.new or report.missing or report.mismatched or report.unexpected)
    assert report.files == ("model.safetensors",)
    assert report.to_dict()["loaded"] == report.loaded > 30
    assert report["missing_keys"] == report["unexpected_keys"] == []


def test_the_wrong_auto_class_names_the_right_one() -> None:
    with pytest.raises(ArgumentError, match="saved as BertForMaskedLM: use AutoModelForMaskedLM"):
        AutoModelForSeq2SeqLM.from_pretrained(GOLDEN / "bert-untied")


def test_an_unknown_model_type_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "distilbertt"}')
    with pytest.raises(ConfigError, match="Did you mean `distilbert`"):
        AutoModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("key", "value"), [("hidden_size", "30"), ("hidden_act", 3), ("layer_norm_eps", "small")]
)
def test_a_config_with_a_wrong_type_is_refused(tmp_path: Path, key: str, value: object) -> None:
    config = json.loads((GOLDEN / "bert-relu" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {key: value}))
    with pytest.raises(ConfigError, match=f"`{key}` is"):
        AutoConfig.from_pretrained(tmp_path)


def test_a_config_opens_by_its_class(tmp_path: Path) -> None:
    config = BertConfig.from_pretrained(GOLDEN / "bert-relu", hidden_dropout_prob=0.3)
    assert type(config).__name__ == "BertConfig"
    assert config.hidden_act == "relu"
    assert config.hidden_dropout_prob == 0.3
    with pytest.raises(ConfigError, match="RobertaConfig or AutoConfig"):
        BertConfig.from_pretrained(GOLDEN / "roberta-left")
    silent = json.loads((GOLDEN / "bert-relu" / "config.json").read_text())
    del silent["model_type"], silent["architectures"]
    (tmp_path / "config.json").write_text(json.dumps(silent))
    assert BertConfig.from_pretrained(tmp_path).hidden_act == "relu"


def test_sizes_that_do_not_go_together_are_refused(tmp_path: Path) -> None:
    config = json.loads((GOLDEN / "bert-relu" / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"num_attention_heads": 7}))
    with pytest.raises(ConfigError, match="not a multiple of 7 attention heads"):
        AutoModel.from_config(AutoConfig.from_pretrained(tmp_path))


def test_unknown_arguments_are_refused_with_the_nearest_name() -> None:
    model = BertForMaskedLM.from_pretrained(GOLDEN / "bert-untied")
    with pytest.raises(UnknownArgumentError, match="Did you mean `labels`"):
        model(torch.tensor([[7]]), labls=torch.tensor([[7]]))
    with pytest.raises(UnknownArgumentError, match="Did you mean `revision`"):
        AutoModel.from_pretrained(GOLDEN / "bert-untied", revison="main")
    with pytest.raises(ArgumentError, match="never runs here"):
        AutoModel.from_pretrained(GOLDEN / "bert-untied", trust_remote_code=True)


def test_code_named_by_a_config_is_not_run(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "bert-relu", tmp_path / "m")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    config["auto_map"] = {"AutoModel": "evil.Model"}
    config["_attn_implementation_internal"] = "someone/repository"
    (tmp_path / "m" / "config.json").write_text(json.dumps(config))
    (tmp_path / "m" / "evil.py").write_text("raise SystemExit('ran')")
    assert isinstance(AutoModel.from_pretrained(tmp_path / "m"), BertModel)


def test_types_are_chosen_by_the_caller() -> None:
    assert AutoModel.from_pretrained(GOLDEN / "bert-relu").dtype is torch.float32
    half = AutoModel.from_pretrained(GOLDEN / "bert-relu", torch_dtype="bfloat16")
    assert half.dtype is torch.bfloat16
    assert half(torch.tensor([[7, 8]])).last_hidden_state.dtype is torch.bfloat16
    with pytest.raises(ArgumentError, match="dtype is 'float33'"):
        AutoModel.from_pretrained(GOLDEN / "bert-relu", dtype="float33")


def test_classes_by_name_are_built_from_settings() -> None:
    config = DistilBertConfig(n_heads=8, dim=32, hidden_dim=4 * 32, n_layers=2, vocab_size=50)
    assert config.hidden_size == 32
    model = DistilBertForSequenceClassification(config)
    assert model(torch.tensor([[1, 2, 3]])).logits.shape == (1, 2)
    with pytest.raises(ArgumentError, match="built from a BertConfig"):
        BertModel(config)


def test_settings_survive_a_round_trip_verbatim(tmp_path: Path) -> None:
    config = BertConfig.from_dict({"hidden_size": 32, "a_key_of_the_future": {"x": [1, None]}})
    config.save_pretrained(tmp_path)
    again = json.loads((tmp_path / "config.json").read_text())
    assert again["a_key_of_the_future"] == {"x": [1, None]}
    assert again["model_type"] == "bert"


@pytest.mark.parametrize("format", ["safetensors", "bin", "sharded"])
def test_every_format_gives_the_same_model_back(tmp_path: Path, format: str) -> None:
    model = AutoModelForMaskedLM.from_pretrained(GOLDEN / "bert-untied")
    options = {
        "safetensors": {},
        "bin": {"safe_serialization": False},
        "sharded": {"max_shard_size": "20KB"},
    }
    model.save_pretrained(tmp_path, **options[format])
    assert (tmp_path / "pytorch_model.bin").exists() == (format == "bin")
    assert (tmp_path / "model.safetensors.index.json").exists() == (format == "sharded")
    again = AutoModelForMaskedLM.from_pretrained(tmp_path)
    ids = torch.tensor([[7, 8, 9]])
    assert torch.equal(model(ids).logits, again(ids).logits)


def test_a_checkpoint_may_be_saved_over_itself(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN / "gpt2-scales", tmp_path / "m")
    model = AutoModel.from_pretrained(tmp_path / "m")
    before = {key: value.clone() for key, value in model.state_dict().items()}
    model.save_pretrained(tmp_path / "m")
    again = AutoModel.from_pretrained(tmp_path / "m").state_dict()
    assert all(torch.equal(value, again[key]) for key, value in before.items())


def test_a_setting_that_is_not_known_here_is_refused() -> None:
    with pytest.raises(ConfigError, match="`position_embedding_type` is 'relative_key'"):
        BertModel(BertConfig(position_embedding_type="relative_key"))


def test_an_empty_sequence_is_refused() -> None:
    model = BertModel.from_pretrained(GOLDEN / "bert-relu")
    with pytest.raises(ArgumentError, match="row 1 of attention_mask is all zeros"):
        model(torch.tensor([[7, 8], [9, 9]]), attention_mask=torch.tensor([[1, 1], [0, 0]]))
