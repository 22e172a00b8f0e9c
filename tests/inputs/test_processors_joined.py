"""Processors: a tokenizer with what reads pictures or sounds, opened and called as one."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import armature
from armature import AutoFeatureExtractor, AutoImageProcessor, AutoProcessor, AutoTokenizer
from armature.errors import ArgumentError, CheckpointError, UnknownArgumentError
from armature.inputs.image.ocr import in_thousandths
from armature.inputs.processor import JOINS, OF_TYPES

GOLDEN = Path(__file__).parents[1] / "golden"
TOKENIZERS = {"clip": "clip", "owlvit": "clip", "vilt": "bert", "blip": "bert", "git": "bert"}
TOKENIZERS |= {"vision-encoder-decoder": "roberta", "siglip": "t5", "chinese_clip": "bert"}
TOKENIZERS |= {"vision-text-dual-encoder": "bert", "speech_to_text": "bert"}
SENSES = {"clip": "CLIP", "owlvit": "OwlViT", "vilt": "Vilt", "blip": "Blip", "siglip": "Siglip"}
SENSES |= {"git": "CLIP", "chinese_clip": "ChineseCLIP", "layoutlmv2": "LayoutLMv2"}
SENSES |= {"layoutlmv3": "LayoutLMv3"}
SOUNDS = {"whisper": "Whisper", "speech_to_text": "Speech2Text"}
PAGES = [["Invoice", "No.", "7"], [[0, 0, 9, 9], [10, 0, 19, 9], [20, 0, 29, 9]]]


@pytest.fixture
def checkpoint(tmp_path):
    """Return a function: model_type → a folder with all that reads for it."""

    def get(model_type, **settings):
        if model_type.startswith("layout"):
            source = GOLDEN / "pages" / model_type
        else:
            spoken = {"whisper": "whisper", "wav2vec2": "wav2vec2"}
            source = (
                GOLDEN
                / "tokenizers"
                / TOKENIZERS.get(model_type, spoken.get(model_type, "wav2vec2"))
            )
        folder = tmp_path / model_type
        shutil.copytree(source, folder)
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
        if "vision" in model_type:
            kind = f"{TOKENIZERS[model_type].capitalize()}Tokenizer"
            (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": kind}))
        if OF_TYPES[model_type] in _OF_SOUNDS:
            kind = f"{SOUNDS.get(model_type, 'Wav2Vec2')}FeatureExtractor"
        else:
            kind = f"{SENSES.get(model_type, 'ViT')}ImageProcessor"
            settings = {"size": {"height": 20, "width": 20}, "do_center_crop": False, **settings}
            settings = {
                k: v for k, v in settings.items() if "crop" not in k or "Layout" not in kind
            }
        key = "feature_extractor_type" if "Extractor" in kind else "image_processor_type"
        stored = {key: kind, **settings}
        if "Vilt" in kind:
            stored = {key: kind, "size": {"shortest_edge": 32}}
        (folder / "preprocessor_config.json").write_text(json.dumps(stored))
        return folder

    return get


_OF_SOUNDS = {name for name, join in JOINS.items() if join.senses == "feature_extractor"}
WITH_PICTURES = [
    "clip", "chinese_clip", "siglip", "blip", "git", "vilt", "vision-text-dual-encoder",
]  # fmt: skip


def picture(side=30):
    return np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)


def sound(length=900):
    return np.sin(np.arange(length) / 9).astype(np.float32)


@pytest.mark.parametrize(
    "model_type", [t for t in OF_TYPES if "siglip" not in t and t != "speech_to_text"]
)
def test_a_model_type_is_enough_and_comes_back(checkpoint, tmp_path, model_type):
    made = AutoProcessor.from_pretrained(checkpoint(model_type))
    assert type(made).__name__ == OF_TYPES[model_type]
    made.save_pretrained(tmp_path / "again")
    stored = json.loads((tmp_path / "again" / "preprocessor_config.json").read_text())
    assert stored["processor_class"] == OF_TYPES[model_type]
    again = AutoProcessor.from_pretrained(tmp_path / "again")
    assert type(again) is type(made)
    assert again.senses.to_dict() == made.senses.to_dict()
    assert again.tokenizer.get_vocab() == made.tokenizer.get_vocab()
    assert OF_TYPES[model_type] in repr(again)
    assert set(made.model_input_names)


@pytest.mark.parametrize("model_type", [t for t in WITH_PICTURES if t != "siglip"])
def test_texts_and_pictures_stand_side_by_side(checkpoint, model_type):
    folder = checkpoint(model_type)
    made = AutoProcessor.from_pretrained(folder)
    both = made(picture(), ["a b", "a"], return_tensors="pt", padding=True)
    texts = AutoTokenizer.from_pretrained(folder)(["a b", "a"], return_tensors="pt", padding=True)
    pixels = AutoImageProcessor.from_pretrained(folder)(picture(), return_tensors="pt")
    left_out = {"token_type_ids"} if model_type == "blip" else set()
    assert set(both) == {*texts, *pixels} - left_out
    for key, value in both.items():
        assert torch.equal(value, (texts if key in texts else pixels)[key])
    assert set(made(text="a")) == {*texts} - left_out
    assert set(made(images=picture())) == {*pixels}
    assert made.decode(texts["input_ids"][1], skip_special_tokens=True) == "a"
    assert made.image_processor is made.senses
    wide = made(picture(), images_kwargs={"do_normalize": False}, text_kwargs={"max_length": 9})
    assert np.asarray(wide["pixel_values"][0]).min() >= 0
    with pytest.raises(UnknownArgumentError, match="paddin"):
        made(text="a", paddin=True)
    with pytest.raises(ArgumentError, match="needs images"):
        made()


def test_what_a_model_shall_write_becomes_labels(checkpoint):
    made = AutoProcessor.from_pretrained(checkpoint("vision-encoder-decoder"))
    both = made(picture(), "a b", return_tensors="pt")
    assert set(both) == {"pixel_values", "labels"}
    assert torch.equal(both.labels, made(text="a b", return_tensors="pt").input_ids)
    made = AutoProcessor.from_pretrained(checkpoint("wav2vec2"))
    both = made(audio=sound(), text="HE HE", sampling_rate=16000)
    assert both["labels"] == [11, 5, 4, 11, 5]
    assert len(both["input_values"][0]) == 900
    assert set(made(text="HE")) == {"input_ids"}  # as its tokenizer_config.json asks
    rows = [{"input_values": made(sound(n)).input_values[0]} for n in (300, 900)]
    labels = [made(text=text) for text in ("H", "HE")]
    padded = made.pad(rows, labels=labels, padding=True, return_tensors="pt")
    assert padded.input_values.shape == (2, 900)
    assert padded.labels.tolist() == [[11, 0], [11, 5]]
    assert made.pad(labels=labels)["input_ids"]
    with pytest.raises(ArgumentError, match="trained with 16000"):
        made(sound(), sampling_rate=8000)
    assert made.batch_decode([[11, 5]]) == ["HE"]


def test_a_processor_of_transcripts_knows_what_they_begin_with(checkpoint):
    made = AutoProcessor.from_pretrained(checkpoint("whisper", chunk_length=1, feature_size=20))
    assert made(sound(), sampling_rate=16000, return_tensors="pt").input_features.shape == (
        1,
        20,
        100,
    )
    assert made.get_decoder_prompt_ids(language="de")[0] == (1, 504)
    assert made.feature_extractor.chunk_length == 1
    assert made.tokenizer.language == "de"
    with pytest.raises(AttributeError, match="no `prompt`"):
        _ = made.prompt


def test_queries_are_padded_to_as_many_for_each_picture(checkpoint):
    made = AutoProcessor.from_pretrained(checkpoint("owlvit"))
    found = made(text=[["a", "b"], ["c"]], images=[picture(), picture()])
    assert found.input_ids.shape == (4, made.tokenizer.model_max_length)
    assert found.pixel_values.shape == (2, 3, 20, 20)
    assert made(text="a").input_ids.shape[0] == 1
    shown = made(images=picture(), query_images=picture(), text="a")
    assert set(shown) == {"query_pixel_values", "pixel_values"}


@pytest.mark.parametrize("model_type", ["layoutlmv2", "layoutlmv3"])
def test_pages_are_read_with_their_words(checkpoint, model_type):
    made = AutoProcessor.from_pretrained(checkpoint(model_type, apply_ocr=False))
    words, boxes = PAGES
    found = made(picture(), words, boxes=boxes, word_labels=[1, 2, 3], return_tensors="pt")
    name = "image" if model_type == "layoutlmv2" else "pixel_values"
    assert {"input_ids", "bbox", "labels", name} <= set(found)
    assert found[name].shape == (1, 3, 20, 20)
    how = {"truncation": True, "max_length": 6, "return_overflowing_tokens": True}
    rows = made(picture(), words, boxes=boxes, padding=True, return_tensors="pt", **how)
    assert len(rows[name]) == len(rows["input_ids"]) > 1
    asked = made(picture(), "No?", text_pair=words, boxes=boxes)
    assert len(asked["bbox"]) == len(asked["input_ids"])


def test_words_are_found_by_tesseract(checkpoint, monkeypatch):
    made = AutoProcessor.from_pretrained(checkpoint("layoutlmv3", apply_ocr=True, ocr_lang="deu"))
    with pytest.raises(ArgumentError, match="finds words itself"):
        made(picture(), PAGES[0], boxes=PAGES[1])
    monkeypatch.setitem(sys.modules, "pytesseract", None)
    with pytest.raises(ArgumentError, match="pytesseract is not installed"):
        made(picture())
    told = []

    def read(image, **how):
        told.append((image.size, how["lang"]))
        sides = {"left": [3, 0, 15], "top": [6, 0, 9], "width": [6, 0, 9], "height": [3, 0, 6]}
        return {"text": ["Total:", " ", "9"], **sides}

    monkeypatch.setitem(sys.modules, "pytesseract", SimpleNamespace(image_to_data=read))
    found = made(picture())
    assert told == [((30, 30), "deu")]
    assert [100, 200, 300, 300] in found["bbox"][0]
    assert [500, 300, 800, 500] in found["bbox"][0]
    asked = made(picture(), "What?")
    assert made.decode(asked["input_ids"][0]).startswith("<s> What?</s></s>")
    assert in_thousandths((1, 1, 2, 3), 3, 3) == [333, 333, 666, 1000]


def test_a_reader_alone_is_opened_where_there_is_no_other(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "vit"}')
    (tmp_path / "preprocessor_config.json").write_text(
        '{"image_processor_type": "ViTImageProcessor"}'
    )
    assert type(AutoProcessor.from_pretrained(tmp_path)).__name__ == "ViTImageProcessor"
    assert type(AutoFeatureExtractor.from_pretrained(tmp_path)).__name__ == "ViTImageProcessor"
    texts = AutoProcessor.from_pretrained(GOLDEN / "tokenizers" / "bert")
    assert type(texts).__name__ == "BertTokenizer"
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    (sounds / "config.json").write_text('{"model_type": "wav2vec2"}')
    (sounds / "preprocessor_config.json").write_text("{}")
    assert type(AutoProcessor.from_pretrained(sounds)).__name__ == "Wav2Vec2FeatureExtractor"


def test_a_processor_that_nobody_knows_is_said(checkpoint):
    folder = checkpoint("clip")
    (folder / "processor_config.json").write_text('{"processor_class": "ClipProcessor"}')
    with pytest.raises(CheckpointError, match="CLIPProcessor"):
        AutoProcessor.from_pretrained(folder)
    (folder / "processor_config.json").write_text('{"processor_class": "Wav2Vec2ProcessorWithLM"}')
    assert type(AutoProcessor.from_pretrained(folder)).__name__ == "Wav2Vec2Processor"
    with pytest.raises(ArgumentError, match="needs a tokenizer"):
        armature.CLIPProcessor(AutoImageProcessor.from_pretrained(folder))
    with pytest.raises(AttributeError):
        _ = armature.NoSuchProcessor


def test_both_parts_may_be_told_in_one_file(checkpoint):
    folder = checkpoint("wav2vec2")
    kind = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "do_normalize": False}
    whole = {"processor_class": "Wav2Vec2Processor", "feature_extractor": kind}
    (folder / "preprocessor_config.json").unlink()
    (folder / "processor_config.json").write_text(json.dumps(whole))
    made = AutoProcessor.from_pretrained(folder, padding_value=0.5)
    assert made.feature_extractor.do_normalize is False
    assert made.feature_extractor.padding_value == 0.5
    assert AutoFeatureExtractor.from_pretrained(folder).do_normalize is False


def test_what_a_tokenizer_file_says_of_padding_holds_for_processors(checkpoint):
    folder = checkpoint("clip")
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    table = json.loads((folder / "tokenizer.json").read_text())
    table["padding"] = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": 8,
                        "pad_id": 0, "pad_type_id": 0, "pad_token": "<|endoftext|>"}  # fmt: skip
    (folder / "tokenizer.json").write_text(json.dumps(table))
    made = AutoProcessor.from_pretrained(folder)
    assert made(text=["a b", "a"], padding=True, return_tensors="pt").input_ids.shape == (2, 8)
    assert len(made.tokenizer(["a b", "a"], padding=True)["input_ids"][0]) < 8
    assert len(made(text="a", text_pair="b")["input_ids"]) > len(made(text="a")["input_ids"])


def test_pages_come_by_place(checkpoint):
    made = AutoProcessor.from_pretrained(checkpoint("layoutlmv3", apply_ocr=False))
    words, boxes = PAGES
    named = made(picture(), "Which?", text_pair=words, boxes=boxes)
    assert made(picture(), "Which?", words, boxes)["input_ids"] == named["input_ids"]


DONUT = [-1.0, -0.1921600, 0.3019600, -0.0745100, -0.3725500, -1.0]


def test_pages_are_turned_shrunk_and_padded():
    page = (np.arange(5 * 9 * 3).reshape(5, 9, 3) * 7 % 256).astype(np.uint8)
    made = armature.DonutImageProcessor(size=(6, 8), do_align_long_axis=True)
    assert made.size == {"height": 8, "width": 6}
    pixels = made(page, return_tensors="np")["pixel_values"]
    assert pixels.shape == (1, 3, 8, 6)
    np.testing.assert_allclose(pixels[0, 0, 4], DONUT, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("<s_total> 9 </s_total>", {"total": "9"}),
        ("<s_a><s_b>1</s_b><sep/><s_b>2</s_b></s_a>", {"a": [{"b": "1"}, {"b": "2"}]}),
        ("<s_a>x<sep/><yes/></s_a>", {"a": ["x", "yes"]}),
        ("</s_a><s_a>x</s_a><s_c>", {"a": "x"}),
        ("nothing", {"text_sequence": "nothing"}),
    ],
)
def test_what_is_written_about_a_page_becomes_fields(checkpoint, text, fields):
    folder = checkpoint("vision-encoder-decoder")
    table = {"image_processor_type": "DonutImageProcessor", "processor_class": "DonutProcessor"}
    (folder / "preprocessor_config.json").write_text(json.dumps(table | {"size": [20, 30]}))
    made = AutoProcessor.from_pretrained(folder)
    assert made.token2json(text, added_vocab={"<yes/>": 1}) == fields
    both = made(picture(), "a b", return_tensors="pt")
    assert both["labels"].equal(both["input_ids"])
    assert both["pixel_values"].shape == (1, 3, 30, 20)


def test_found_things_are_named():
    made = armature.OwlViTImageProcessor()
    logits, boxes = torch.tensor([[[3.0, -1.0], [-9.0, -9.0]]]), torch.full((1, 2, 4), 0.5)
    given = SimpleNamespace(logits=logits, pred_boxes=boxes)
    (found,) = made.post_process_grounded_object_detection(given, text_labels=[["cat", "dog"]])
    assert found["text_labels"] == ["cat"]
    (found,) = made.post_process_grounded_object_detection(given)
    assert found["text_labels"] is None
    with pytest.raises(ArgumentError, match="text_labels"):
        made.post_process_grounded_object_detection(given, text_labels=[])
