"""Config: settings as a file spells them, and as they are written again."""

from __future__ import annotations

import json

import pytest

import armature


@pytest.mark.parametrize("count", [1, 2, 7])
def test_names_of_labels_are_written_without_a_number_that_contradicts_them(count, tmp_path):
    config = armature.BartConfig()  # this architecture has three labels unless told otherwise
    config.id2label = {i: f"name {i}" for i in range(count)}
    config.save_pretrained(tmp_path)
    written = json.loads((tmp_path / "config.json").read_text())
    assert "num_labels" not in written
    assert armature.BartConfig.from_dict(written).num_labels == count


def test_a_number_of_labels_without_names_is_kept():
    assert armature.BartConfig().num_labels == 3
    assert armature.BartConfig().to_dict()["num_labels"] == 3
    assert armature.BertConfig().num_labels == 2


def test_a_null_in_the_file_is_told_from_silence():
    silent, null = armature.MistralConfig(), armature.MistralConfig(sliding_window=None)
    assert silent.stated("sliding_window") == 4096
    assert null.stated("sliding_window") is None
    assert null.sliding_window == 4096  # most settings mean their default by it


@pytest.mark.parametrize("spelled", ["num_experts", "num_local_experts"])
def test_a_setting_with_two_names_is_written_under_one(spelled):
    config = armature.Qwen3MoeConfig.from_dict({spelled: 5})
    assert config.num_experts == config.num_local_experts == 5
    assert config.to_dict().keys() & {"num_experts", "num_local_experts"} == {spelled}
    assert armature.Qwen3MoeConfig().num_experts == armature.Qwen3MoeConfig().num_local_experts
