"""Tokenizers of speech: labels of moments joined to text, and transcripts with times."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from armature import AutoTokenizer, Wav2Vec2CTCTokenizer
from armature.errors import ArgumentError, CheckpointError
from armature.inputs.text.compared import plainly
from armature.inputs.text.english import normalize

LABELS = [4, 11, 11, 0, 11, 5, 4, 4, 7, 0, 0, 3, 2, 0]


@pytest.fixture
def letters(tokenizers):
    return tokenizers("wav2vec2")


@pytest.fixture
def transcripts(folders):
    return AutoTokenizer.from_pretrained(folders("whisper"))


def test_labels_become_text_with_the_moments_of_letters_and_words(letters):
    assert letters.decode(LABELS) == "HHE A<unk></s>"
    assert letters.decode(LABELS, skip_special_tokens=True) == "HE A"  # blanks are special, too
    assert letters.decode(LABELS, group_tokens=False) == "HHHE  A<unk></s>"
    assert letters.decode(LABELS[:6], spaces_between_special_tokens=True) == "H H E"
    found = letters.decode(torch.tensor(LABELS), output_word_offsets=True)
    assert found.word_offsets == [
        {"word": "HHE", "start_offset": 1, "end_offset": 6},
        {"word": "A<unk></s>", "start_offset": 8, "end_offset": 13},
    ]
    assert found.char_offsets is None
    assert set(found) == {"text", "word_offsets"}
    found = letters.decode(LABELS, output_char_offsets=True)
    assert found["char_offsets"][1] == {"char": "H", "start_offset": 1, "end_offset": 3}
    assert found["char_offsets"][2] == {"char": "H", "start_offset": 4, "end_offset": 5}
    assert letters.decode([]) == ""
    with pytest.raises(AttributeError):
        _ = found.offsets


def test_several_lists_of_labels_are_decoded(letters):
    rows = np.array([LABELS, LABELS[::-1]])
    texts = [letters.decode(row) for row in rows]
    assert letters.batch_decode(rows) == texts
    assert letters.batch_decode([]) == []
    found = letters.batch_decode(rows, output_char_offsets=True)
    assert found.text == texts
    assert len(found.char_offsets) == 2


def test_texts_are_written_in_capitals_where_the_letters_are(folders):
    small = AutoTokenizer.from_pretrained(folders("wav2vec2"), do_lower_case=True)
    assert small("he")["input_ids"] == [11, 5]
    assert small.decode([11, 5]) == "he"
    other = AutoTokenizer.from_pretrained(folders("wav2vec2"), replace_word_delimiter_char="_")
    assert other.decode([11, 4, 5]) == "H_E"


def test_a_vocabulary_may_have_the_letters_of_several_languages(tmp_path, copy):
    folder = copy("wav2vec2")
    plain = json.loads((folder / "vocab.json").read_text())
    swapped = {**plain, "A": plain["E"], "E": plain["A"]}
    (folder / "vocab.json").write_text(json.dumps({"eng": plain, "swa": swapped}))
    with pytest.raises(ArgumentError, match="target_lang=None is none of them"):
        AutoTokenizer.from_pretrained(folder)
    made = AutoTokenizer.from_pretrained(folder, target_lang="eng")
    assert made("A")["input_ids"] == [7]
    made.set_target_lang("swa")
    assert made("A")["input_ids"] == [5]
    made.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    assert again.target_lang == "swa"
    assert again("A")["input_ids"] == [5]
    with pytest.raises(ArgumentError, match="Did you mean"):
        made.set_target_lang("engl")


def test_letters_need_no_merges(tmp_path):
    ids = {"<pad>": 0, "<unk>": 1, "|": 2, "a": 3}
    (tmp_path / "vocab.json").write_text(json.dumps(ids))
    made = Wav2Vec2CTCTokenizer(tmp_path / "vocab.json")
    assert made("a a<unk>")["input_ids"] == [3, 2, 3, 1]
    assert made.word_delimiter_token_id == 2
    (tmp_path / "vocab.json").write_text('{"a": "b"}')
    with pytest.raises(CheckpointError, match="'a' the id 'b'"):
        Wav2Vec2CTCTokenizer(tmp_path / "vocab.json")


# -------------------------------------------------------------------- transcripts


def test_transcripts_begin_with_language_and_task(transcripts):
    assert transcripts.prefix_tokens == [501, 512]
    transcripts.set_prefix_tokens(language="german", task="translate", predict_timestamps=True)
    assert transcripts.prefix_tokens == [501, 504, 507]
    assert transcripts("Hi")["input_ids"][:3] == [501, 504, 507]
    assert transcripts("Hi")["input_ids"][-1] == 500
    prompt = transcripts.get_decoder_prompt_ids(task="transcribe", language="zh")
    assert prompt == [(1, 503), (2, 508), (3, 512)]
    assert transcripts.get_prompt_ids("Hi").tolist()[0] == 510
    with pytest.raises(ArgumentError, match="special token"):
        transcripts.get_prompt_ids("<|en|>")
    for wrong in ({"language": "klingon"}, {"task": "sing"}):
        with pytest.raises(ArgumentError):
            transcripts.set_prefix_tokens(**wrong)


def test_times_are_left_out_of_text_or_told(transcripts):
    ids = [501, 502, 508, 513, 300, 523, 523, 301, 533, 513, 302, 518, 500]
    text = transcripts.decode([300, 301, 302])
    assert transcripts.decode(ids, skip_special_tokens=True) == text
    timed = transcripts.decode(ids, skip_special_tokens=True, decode_with_timestamps=True)
    assert timed.startswith("<|0.00|>")
    assert timed.count("<|") == 6
    found = transcripts.decode(ids, skip_special_tokens=True, output_offsets=True)
    assert found["text"] == text
    assert [part["timestamp"] for part in found["offsets"]][:2] == [(0.0, 0.2), (0.2, 0.4)]
    assert transcripts.batch_decode([ids, ids], skip_special_tokens=True) == [text, text]
    assert transcripts.decode([510, 300, *ids], skip_special_tokens=True) == text
    assert transcripts.decode([510, 300], skip_special_tokens=True) == ""
    assert transcripts.decode(300) == transcripts.decode([300])


def test_texts_are_made_comparable(transcripts):
    ids = transcripts("Hello (there) World!", add_special_tokens=False)["input_ids"]
    assert transcripts.decode(ids, basic_normalize=True) == "hello world "
    assert transcripts.decode(ids, normalize=True) == "hello world"
    assert plainly("Łódź [noise] Straße—É") == "łódź straße é"
    assert plainly("Łódź (a (b) c) ÞÉ", remove_diacritics=True) == "lodz c the"


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("twenty million dollars", "$20000000"),
        ("two dollars and seven cents", "$2.07"),
        ("two and a half, minus three point oh one", "2.5 -3.01"),
        ("nineteen ninety nine", "1999"),
        ("double oh seven", "007"),
        ("the twenty first century's first", "the 21st century is 1st"),
        ("fifty per cent of hundreds", "50% of 100s"),
        ("Mr. Brown can't uh come, won't he?", "mister brown can not come will not he"),
        ("one thousand and one nights", "1001 nights"),
        ("the colour (of) [it] is one", "the color is one"),
        ("plus ones", "+ones"),
        ("1,000 1960s 2 nd", "1000 1960s 2nd"),
    ],
)
def test_english_is_spelt_in_one_way(said, written):
    assert normalize(said, {"colour": "color"}) == written


def test_speech_may_be_written_down_in_several_languages(copy):
    folder = copy("speech_to_text")
    ids = json.loads((folder / "vocab.json").read_text())
    codes = ["pt", "fr", "ru", "nl", "ro", "it", "es", "de"]
    ids |= {f"<lang:{code}>": len(ids) + place for place, code in enumerate(codes)}
    (folder / "vocab.json").write_text(json.dumps(ids))
    made = AutoTokenizer.from_pretrained(folder, lang_codes="mustc", tgt_lang="fr")
    assert made("a")["input_ids"][0] == made.lang_code_to_id["fr"] == ids["<lang:fr>"]
    made.tgt_lang = "de"
    assert made("a")["input_ids"][0] == ids["<lang:de>"]
    with pytest.raises(ArgumentError, match="no language 'sv'"):
        made.tgt_lang = "sv"
    with pytest.raises(ArgumentError, match="mustc"):
        AutoTokenizer.from_pretrained(folder, lang_codes="must")
