"""What is saved is opened again as the same tokenizer, in both layouts."""

from __future__ import annotations

import pytest
from tokenizer_goldens import FAMILIES, PLAIN

from armature.errors import CheckpointError
from armature.inputs.text.tokenizer import Tokenizer

TEXTS = ["Hello world!", "I'm won't 1,234.56", "  lead ", "長城 😀", "[CLS] <s> <mask> </s> <pad>"]
OLDER_ONLY = {"bloom", "falcon", "gemma", "llama3"}  # they never had older files
COMPARED = [
    "special_tokens_map",
    "all_special_ids",
    "padding_side",
    "model_max_length",
    "chat_template",
]


def assert_same(tokenizer, twin):
    assert type(twin) is type(tokenizer)
    assert [dict(twin(text)) for text in TEXTS] == [dict(tokenizer(text)) for text in TEXTS]
    assert dict(twin(*TEXTS[:2])) == dict(tokenizer(*TEXTS[:2]))
    assert twin.vocab == tokenizer.vocab
    for name in COMPARED:
        assert getattr(twin, name) == getattr(tokenizer, name), name


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("legacy", [False, True])
def test_a_round_trip(family, legacy, folders, tmp_path):
    tokenizer = Tokenizer.from_pretrained(folders(family))
    tokenizer.add_special_tokens(
        {"additional_special_tokens": [*tokenizer.additional_special_tokens, "<x>"]}
    )
    tokenizer.add_tokens(["wonderland"])
    no_older_files = family in OLDER_ONLY or (
        family.endswith("_json") and family.startswith("llama")
    )
    if legacy and no_older_files:
        with pytest.raises(CheckpointError, match="Save without legacy_format"):
            tokenizer.save_pretrained(tmp_path, legacy_format=True)
        return
    files = tokenizer.save_pretrained(tmp_path, legacy_format=legacy)
    names = {file.rpartition("/")[2] for file in files}
    assert {path.name for path in tmp_path.iterdir() if path.suffix} == names
    assert ("tokenizer.json" in names) is not (legacy or family in PLAIN)
    assert {"tokenizer_config.json", "special_tokens_map.json"} <= names
    (tmp_path / "config.json").write_bytes((folders(family) / "config.json").read_bytes())
    assert_same(tokenizer, Tokenizer.from_pretrained(tmp_path))


def test_one_layout_replaces_the_other(folders, tmp_path):
    tokenizer = Tokenizer.from_pretrained(folders("bert"))
    tokenizer.save_pretrained(tmp_path)
    tokenizer.add_tokens(["wonderland"])
    tokenizer.save_pretrained(tmp_path, legacy_format=True)
    assert not (tmp_path / "tokenizer.json").exists()
    assert "wonderland" in Tokenizer.from_pretrained(tmp_path).vocab
    (tmp_path / "chat_template.jinja").write_text("of an earlier save")
    tokenizer.add_tokens(["rabbit"])
    tokenizer.save_pretrained(tmp_path)
    twin = Tokenizer.from_pretrained(tmp_path)
    assert "rabbit" in twin.vocab
    assert twin.chat_template is None


def test_a_file_that_cannot_be_written_again_is_kept(copy):
    folder = copy("t5")
    Tokenizer.from_pretrained(folder).save_pretrained(folder)
    assert (folder / "spiece.model").exists()
    assert Tokenizer.from_pretrained(folder, from_slow=True)("a") == Tokenizer.from_pretrained(
        folder
    )("a")


def test_changed_settings_are_saved(folders, tmp_path):
    tokenizer = Tokenizer.from_pretrained(folders("gpt2"), model_max_length=77, padding_side="left")
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = "{{ messages[0].content }}"
    tokenizer.save_pretrained(tmp_path)
    twin = Tokenizer.from_pretrained(tmp_path)
    assert (twin.model_max_length, twin.padding_side, twin.pad_token) == (
        77,
        "left",
        tokenizer.eos_token,
    )
    assert twin.chat_template == tokenizer.chat_template


def test_vocabulary_files_are_written_as_they_were_read(folders, tmp_path):
    for family, name in (("bert", "vocab.txt"), ("gpt2", "merges.txt"), ("t5", "spiece.model")):
        Tokenizer.from_pretrained(folders(family)).save_pretrained(tmp_path, legacy_format=True)
        assert (tmp_path / name).read_bytes() == (folders(family) / name).read_bytes()


def test_a_place_that_cannot_be_written(folders, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="file"):
        Tokenizer.from_pretrained(folders("bert")).save_pretrained(tmp_path / "file")
