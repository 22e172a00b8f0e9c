"""Pictures with texts: labels, answers and places that the caller names."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from conftest import GOLDEN, close

import armature
from armature import pipeline
from armature.errors import ArgumentError

PHOTO = str(GOLDEN.parent / "images" / "img0.png")
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "cat", "dog", "this", "is", "what"]
WORDS += ["total", "the", "?", ".", "12", "of", "photo", *(f"w{i}" for i in range(22))]


def readable(folder, processor=None):
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
    (folder / "tokenizer.json").unlink(missing_ok=True)
    if processor:
        settings = {"image_processor_type": processor, "size": {"height": 18, "width": 18}}
        settings |= {"do_center_crop": False, "size_divisor": 6}
        (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return str(folder)


@pytest.fixture
def pairs(tmp_path):
    def copied(name, processor):
        source = GOLDEN.parent / "pairs" / name
        for file in ("config.json", "model.safetensors"):
            shutil.copy(source / file, tmp_path / file)
        return readable(tmp_path, processor)

    return copied


def test_a_picture_is_sorted_under_labels(pairs):
    pipe = pipeline(model=pairs("chinese-clip", "CLIPImageProcessor"))
    assert type(pipe).__name__ == "ZeroShotImageClassificationPipeline"
    labels = ["a cat", "the dog", "what"]
    found = pipe(PHOTO, candidate_labels=labels)
    assert sum(one["score"] for one in found) == pytest.approx(1)
    assert sorted(one["label"] for one in found) == sorted(labels)
    assert found == sorted(found, key=lambda one: -one["score"])
    assert close(pipe([PHOTO, PHOTO], labels), [found, found])
    assert close(pipe(image=PHOTO, candidate_labels="a cat,the dog,what"), found)
    assert pipe(PHOTO, labels, hypothesis_template="{}") != found
    with pytest.raises(ArgumentError, match="candidate_labels"):
        pipe(PHOTO)
    with pytest.raises(ArgumentError, match="hypothesis_template"):
        pipe(PHOTO, labels, hypothesis_template="nothing")


def test_pairs_of_their_own_are_judged_one_by_one(pairs):
    pipe = pipeline(model=pairs("siglip", "SiglipImageProcessor"))
    both = {one["label"]: one["score"] for one in pipe(PHOTO, ["cat", "dog"])}
    (alone,) = pipe(PHOTO, ["dog"])
    assert alone["score"] == pytest.approx(both["dog"], rel=1e-4)


def test_a_picture_answers_with_a_known_answer(pairs, tmp_path):
    folder = pairs("vilt", "ViltImageProcessor")
    settings = {"image_processor_type": "ViltImageProcessor", "size": {"shortest_edge": 18}}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings | {"size_divisor": 6}))
    pipe = pipeline("vqa", model=folder)
    found = pipe(image=PHOTO, question="what is this ?", top_k=2)
    assert found == pipe({"image": PHOTO, "question": "what is this ?"}, top_k=2)
    assert [len(found), found[0].keys()] == [2, {"score", "answer"}]
    assert pipe(image=[PHOTO] * 2, question="what is this ?", top_k=2) == [found, found]
    assert len(pipe(PHOTO, "what ?")) == 5


def test_a_picture_answers_in_own_words(pairs):
    pipe = pipeline(model=pairs("blip-answers", "BlipImageProcessor"))
    assert type(pipe).__name__ == "VisualQuestionAnsweringPipeline"
    (found,) = pipe(PHOTO, "what is this ?", max_new_tokens=3)
    assert found.keys() == {"answer"}


def test_a_page_answers_with_its_words(tmp_path):
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = armature.LayoutLMConfig(vocab_size=len(WORDS), intermediate_size=8, **sizes)
    torch.manual_seed(1)
    armature.LayoutLMForQuestionAnswering(config).save_pretrained(tmp_path)
    pipe = pipeline(model=readable(tmp_path))
    assert type(pipe).__name__ == "DocumentQuestionAnsweringPipeline"
    boxes = [["total", [1, 2, 3, 4]], ["12", [5, 2, 9, 4]], ["photo", [1, 7, 9, 9]]]
    asked = {"image": None, "question": "what is the total ?", "word_boxes": boxes}
    (found,) = pipe(asked)
    assert found["answer"] == " ".join(word for word, _ in boxes[found["start"] : found["end"] + 1])
    assert pipe(question=asked["question"], image=None, word_boxes=boxes) == [found]
    several = pipe(asked, top_k=3, max_answer_len=2, handle_impossible_answer=True)
    assert len(several) == 3
    assert several[0]["score"] >= several[-1]["score"]
    windows = pipe({**asked, "word_boxes": boxes * 9}, max_seq_len=16, doc_stride=4)
    assert windows[0]["end"] < 27
    with pytest.raises(ArgumentError, match="word_boxes"):
        pipe({"question": "what ?"})


def test_things_are_found_by_name(pairs):
    pipe = pipeline(model=pairs("owlvit", "OwlViTImageProcessor"))
    assert type(pipe).__name__ == "ZeroShotObjectDetectionPipeline"
    how = {"threshold": 0.0, "top_k": 3}
    cat, both = pipe(PHOTO, ["a cat"], **how), pipe(PHOTO, ["a cat", "the dog"], **how)
    assert len(both) == 3
    labels = [["a cat"], ["a cat", "the dog"]]
    assert close(pipe([PHOTO, PHOTO], candidate_labels=labels, **how), [cat, both])
    assert close(pipe(PHOTO, text_queries=["a cat"], **how), cat)
    named = pipe(PHOTO, candidate_labels="a cat, the dog", threshold=0.0)
    assert {one["label"] for one in named} == {"a cat", " the dog"}
    with pytest.raises(ArgumentError, match="lists of candidate_labels"):
        pipe([PHOTO], candidate_labels=labels)
