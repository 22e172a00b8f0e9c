"""generation_config.json is kept verbatim, and its fields are known by name."""

import json
import subprocess
import sys

import pytest

from armature.checkpoint.hub import resolve
from armature.config import Config
from armature.errors import CheckpointError, UnknownArgumentError
from armature.opening import config_class
from armature.outputs.decoding.config import GenerationConfig

FILE = {
    "_from_model_config": True,
    "top_k": 5,
    "lang_to_id": {"<|de|>": 4},
    "eos_token_id": [1, 2],
    "max_length": None,
    "transformers_version": "4.37.2",
}


def test_a_file_comes_back_as_it_was(tmp_path):
    (tmp_path / "generation_config.json").write_text(json.dumps(FILE))
    config = GenerationConfig.from_pretrained(tmp_path)
    assert (config.top_k, config.eos_token_id, config.lang_to_id) == (5, [1, 2], {"<|de|>": 4})
    assert config.temperature is None
    config.save_pretrained(tmp_path / "new")
    text = (tmp_path / "new" / "generation_config.json").read_text()
    assert text == json.dumps(FILE, indent=2) + "\n"


def test_changes_are_saved(tmp_path):
    (tmp_path / "generation_config.json").write_text(json.dumps(FILE))
    config = GenerationConfig.from_pretrained(tmp_path, top_k=7)
    config.temperature = 0.5
    config.update(top_p=0.9, lang_to_id={})
    config.sequence_bias = {(1, 2): -3.0}
    config.save_pretrained(tmp_path)
    again = GenerationConfig.from_pretrained(tmp_path)
    assert (again.top_k, again.temperature, again.top_p, again.lang_to_id) == (7, 0.5, 0.9, {})
    assert again.sequence_bias == [[[1, 2], -3.0]]


def test_unknown_names_are_refused_where_a_person_wrote_them(tmp_path):
    with pytest.raises(UnknownArgumentError, match="Did you mean `temperature`"):
        GenerationConfig(temprature=0.3)
    with pytest.raises(UnknownArgumentError, match="Did you mean `top_k`"):
        GenerationConfig().topk = 3
    with pytest.raises(UnknownArgumentError, match="Did you mean `max_new_tokens`"):
        GenerationConfig().update(max_new_token=3)
    (tmp_path / "generation_config.json").write_text("{}")
    with pytest.raises(UnknownArgumentError, match="Did you mean `num_beams`"):
        GenerationConfig.from_pretrained(tmp_path, num_beam=3)


def test_a_checkpoint_says_at_once_what_its_file_has_wrong(tmp_path, caplog):
    settings = {"top_k": "many", "max_new_token": 3, "chat_format": "x", "temperature": 0.5}
    (tmp_path / "generation_config.json").write_text(json.dumps(settings))
    config = GenerationConfig.from_checkpoint(resolve(tmp_path), Config())
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert all("generation_config.json" in line for line in said)
    assert "`top_k` should be a whole number" in said[0]
    assert "Did you mean `max_new_tokens`" in said[1]
    assert config.to_diff_dict() == settings  # it is kept as it is


def test_a_null_in_an_older_file_means_none():
    data = {"eos_token_id": None, "forced_eos_token_id": None, "num_beams": 2}
    found = GenerationConfig.from_model_config(config_class("bart").from_dict(data))
    assert (found.eos_token_id, found.forced_eos_token_id, found.num_beams) == (None, None, 2)
    silent = GenerationConfig.from_model_config(config_class("bart")())
    assert (silent.eos_token_id, silent.forced_eos_token_id) == (2, 2)


def test_a_missing_or_broken_file_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"generation_config\.json"):
        GenerationConfig.from_pretrained(tmp_path)
    for text in ("{", "[1]", "\xff"):
        (tmp_path / "generation_config.json").write_text(text, encoding="latin-1")
        with pytest.raises(CheckpointError, match=r"generation_config\.json"):
            GenerationConfig.from_pretrained(tmp_path)


def test_older_checkpoints_keep_settings_in_their_config():
    data = {
        "num_beams": 4, "eos_token_id": 2, "hidden_size": 8, "output_hidden_states": True,
        "force_bos_token_to_be_generated": True, "bos_token_id": 0, "pad_token_id": None,
    }  # fmt: skip
    for config in (data, Config.from_dict(data)):
        found = GenerationConfig.from_model_config(config).to_diff_dict()
        assert found == {
            "_from_model_config": True, "num_beams": 4, "bos_token_id": 0, "eos_token_id": 2,
            "forced_bos_token_id": 0,
        }  # fmt: skip
    nested = {"eos_token_id": 5, "decoder": {"eos_token_id": 6, "bos_token_id": 7}}
    found = GenerationConfig.from_model_config(nested)
    assert (found.eos_token_id, found.bos_token_id) == (5, 7)


def test_every_field_is_in_the_dictionary():
    settings = GenerationConfig(top_k=3).to_dict()
    assert (settings["top_k"], settings["num_beams"]) == (3, None)
    assert GenerationConfig(top_k=3) == GenerationConfig.from_dict(settings)
    assert GenerationConfig(top_k=3) != GenerationConfig()
    assert json.loads(GenerationConfig(top_k=3).to_json_string()) == {"top_k": 3}
    assert repr(GenerationConfig(top_k=3)) == 'GenerationConfig {\n  "top_k": 3\n}'


def test_settings_are_read_without_torch():
    code = (
        "import sys; from armature.outputs.decoding.config import GenerationConfig;"
        "GenerationConfig(top_k=3).to_json_string(); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
