"""image-to-text: pictures get words, one by one and together."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from armature import AutoTokenizer, pipeline
from armature.errors import ArgumentError, UnknownArgumentError

GOLDEN = Path(__file__).parent.parent / "golden"
PHOTOS = [str(GOLDEN / "images" / f"{name}.png") for name in ("img0", "rgba")]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"abcdefghijklmnopqrstuvwxyz"]


def folder_of(name, tmp_path):
    folder = tmp_path / name
    shutil.copytree(GOLDEN / "writers" / name, folder)
    size = 12 if name != "swin-gpt2" else 8
    settings = {"image_processor_type": "ViTImageProcessor", "size": size}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    (folder / "vocab.txt").write_text("\n".join(WORDS[:31]) + "\n")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    return folder


@pytest.fixture
def seen(tmp_path):
    return folder_of("vit-trocr", tmp_path)


def test_a_picture_gets_words(seen, tmp_path):
    pipe = pipeline("image-to-text", model=str(seen))
    (one,) = pipe(PHOTOS[0], max_new_tokens=5)
    pixels = torch.from_numpy(pipe.processor(PHOTOS[0])["pixel_values"][0])[None]
    ids = pipe.model.generate(pixel_values=pixels, max_new_tokens=5)
    text = AutoTokenizer.from_pretrained(seen).decode(ids[0], skip_special_tokens=True)
    assert one == {"generated_text": text}
    both = pipe(PHOTOS, max_new_tokens=5)
    assert both[0] == [one]
    assert both == [pipe(photo, generate_kwargs={"max_new_tokens": 5}) for photo in PHOTOS]
    several = pipe(PHOTOS, max_new_tokens=3, num_beams=3, num_return_sequences=2)
    assert [len(found) for found in several] == [2, 2]
    pipe.save_pretrained(tmp_path / "again")
    again = pipeline(model=str(tmp_path / "again"))
    assert type(again).__name__ == "ImageToTextPipeline"
    assert again(PHOTOS[0], max_new_tokens=5) == [one]


def test_a_text_may_be_begun(seen, tmp_path):
    folder = folder_of("git-image", tmp_path)
    from armature import GitConfig, GitForCausalLM

    GitForCausalLM(GitConfig.from_pretrained(folder)).save_pretrained(folder)
    pipe = pipeline("image-to-text", model=str(folder))
    (found,) = pipe(PHOTOS[0], prompt="a b", max_new_tokens=4)
    assert found["generated_text"].startswith("a b")
    with pytest.raises(ArgumentError, match="takes no `prompt`"):
        pipeline("image-to-text", model=str(seen))(PHOTOS[0], prompt="a b")


def test_options_are_checked(seen):
    pipe = pipeline("image-to-text", model=str(seen))
    with pytest.raises(ArgumentError, match="given twice"):
        pipe(PHOTOS[0], max_new_tokens=5, generate_kwargs={"max_new_tokens": 4})
    with pytest.raises(UnknownArgumentError, match="max_new_token"):
        pipe(PHOTOS[0], max_new_token=5)
