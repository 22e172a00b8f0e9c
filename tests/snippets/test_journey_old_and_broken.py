"""Journeys with old checkpoints, broken files, and flags that other libraries swallow."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

import armature
from armature import AutoModel, AutoModelForMaskedLM, AutoTokenizer, pipeline


@pytest.fixture
def of_2019(hub):
    """A folder as it was published in 2019: old names, old file format, three files."""
    folder = Path("bert-2019")
    folder.mkdir()
    model = AutoModelForMaskedLM.from_pretrained("bert-base-chinese")
    model.save_pretrained("new", safe_serialization=False)
    state = torch.load("new/pytorch_model.bin", weights_only=True)
    old = {}
    for name, tensor in state.items():
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
        old[name.replace("LayerNorm.bias", "LayerNorm.beta")] = tensor
    old["bert.embeddings.position_ids"] = torch.arange(512)[None]
    old["cls.seq_relationship.weight"] = torch.zeros(2, 16)
    torch.save(old, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    config = json.loads(Path("new/config.json").read_text())
    for key in ("model_type", "architectures", "dtype"):
        config.pop(key, None)
    (folder / "config.json").write_text(json.dumps(config))
    AutoTokenizer.from_pretrained("bert-base-chinese").save_pretrained("new", legacy_format=True)
    shutil.copy("new/vocab.txt", folder)
    return folder


def test_a_checkpoint_of_2019_opens(of_2019):
    expected = AutoModelForMaskedLM.from_pretrained("bert-base-chinese")
    model = armature.BertForMaskedLM.from_pretrained(of_2019)
    tokenizer = armature.BertTokenizer.from_pretrained(of_2019)
    batch = tokenizer("弱小的我也有大[MASK]想", return_tensors="pt")
    assert batch["input_ids"][0, 0] == 101
    assert torch.equal(model(**batch).logits, expected(**batch).logits)
    assert model.untrained == ()
    # An Auto class sees by the names of its tensors what it is.
    assert type(AutoModel.from_pretrained(of_2019)) is armature.BertModel
    model.save_pretrained("saved")
    tokenizer.save_pretrained("saved")
    assert type(AutoModel.from_pretrained("saved")) is armature.BertModel


def test_a_task_and_a_language_pick_a_model():
    answer = pipeline("question-answering", language="zh")
    assert answer.model_note.startswith("uer/roberta-base-chinese-extractive-qa")
    assert answer(question="作者是", context="普希金的作品")["answer"]


POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 440449768\n"
)


@pytest.mark.parametrize(
    ("file", "content", "cause"),
    [
        ("model.safetensors", POINTER, "(?i)git-?lfs"),
        ("model.safetensors", "<!DOCTYPE html><html>Not found</html>", "(?i)html|web page"),
        ("model.safetensors", "", "(?i)empty"),
        ("pytorch_model.bin", POINTER, "(?i)git-?lfs"),
        ("config.json", POINTER, "JSON"),
        ("config.json", '["bert"]', "JSON object"),
        ("tokenizer.json", POINTER, "(?i)git-?lfs"),
        ("tokenizer.json", "{", "(?i)json"),
    ],
)
def test_a_broken_file_is_named_with_its_cause(hub, file, content, cause):
    source = hub.snapshot("bert-base-cased" if file.endswith(".bin") else "distilbert-base-cased")
    shutil.copytree(source, "broken")
    (Path("broken") / file).write_text(content)
    auto = AutoTokenizer if file == "tokenizer.json" else AutoModel
    with pytest.raises(armature.CheckpointError, match=cause) as caught:
        auto.from_pretrained("broken")
    assert f"broken/{file}" in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_file_that_is_cut_off_is_named(hub):
    shutil.copytree(hub.snapshot("distilbert-base-cased"), "cut")
    whole = Path("cut/model.safetensors").read_bytes()
    Path("cut/model.safetensors").write_bytes(whole[:-1000])
    with pytest.raises(armature.CheckpointError, match=r"cut/model\.safetensors"):
        AutoModel.from_pretrained("cut")


@pytest.mark.parametrize("flag", ["from_tf", "from_flax", "trust_remote_code"])
def test_flags_that_cannot_be_honoured_are_refused(flag):
    with pytest.raises(armature.ArmatureError, match=flag):
        AutoModel.from_pretrained("bert-base-cased", **{flag: True})
    assert AutoModel.from_pretrained("bert-base-cased", **{flag: False})


def test_a_head_mask_is_refused():
    model = AutoModel.from_pretrained("bert-base-cased")
    with pytest.raises(armature.ArmatureError, match="head_mask"):
        model(torch.tensor([[101, 102]]), head_mask=torch.ones(2, 2))


@pytest.mark.parametrize(
    "name", ["bert-base-cased", "distilbert-base-cased", "gpt2", "distilbert/distilroberta-base"]
)
def test_the_same_organ_has_the_same_name_everywhere(name):
    model = AutoModel.from_pretrained(name)
    seen = []
    for place in ("body.embed.token", "body.blocks.1.attn.out", "body.blocks.1.mlp.down"):
        organ = model.get_submodule(place)
        organ.register_forward_hook(lambda _module, _inputs, output: seen.append(output.shape[-1]))
    model(torch.tensor([[5, 6, 7]]))
    assert seen == [16, 16, 16]
