"""Tokenizers that work in plain Python: lists of bytes, languages, SentencePiece's own way."""

from __future__ import annotations

import base64
import json

import pytest
from protobuf_writer import model

from armature.errors import ArgumentError, CheckpointError
from armature.inputs.text import moses
from armature.inputs.text.segment import Segmenter
from armature.inputs.text.sentencepiece import BPE, read_sentencepiece
from armature.inputs.text.tokenizer import Tokenizer


@pytest.fixture
def ranks(tmp_path):
    """Return a folder with a list of bytes, as Llama 3 was first published."""
    listed = [bytes([byte]) for byte in range(256)] + [
        b"he",
        b"ll",
        b"hell",
        b"hello",
        b" w",
        b"12",
    ]
    lines = (f"{base64.b64encode(token).decode()} {i}" for i, token in enumerate(listed))
    (tmp_path / "tokenizer.model").write_text("\n".join([*lines, ""]))
    added = {"content": "<|end|>", "special": True, "normalized": False}
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|end|>"}
    config["added_tokens_decoder"] = {"264": added}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    return tmp_path


def test_a_list_of_bytes(ranks):
    tokenizer = Tokenizer.from_pretrained(ranks)
    text = "hello world 1234 é<|end|>"
    assert tokenizer.tokenize("hello world") == ["hello", "Ġw", "o", "r", "l", "d"]
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert tokenizer.eos_token_id == 264
    assert tokenizer.convert_ids_to_tokens(263) == "<|reserved_token_263|>"
    tokenizer.save_pretrained(ranks / "saved")
    assert Tokenizer.from_pretrained(ranks / "saved")(text) == tokenizer(text)


@pytest.mark.parametrize("line", ["aGk 7", "aGVs!G8= 7", "aGVsbG8= seven"])
def test_a_damaged_list_of_bytes(ranks, line):
    path = ranks / "tokenizer.model"
    path.write_text(f"{path.read_text()}{line}\n")
    with pytest.raises(CheckpointError, match="line 263 is damaged"):
        Tokenizer.from_pretrained(ranks)


@pytest.mark.parametrize(
    ("family", "source", "target"),
    [
        ("m2m_100", "__en__", "__de__"),
        ("nllb", "deu_Latn", "fra_Latn"),
        ("mbart50", "en_XX", "xh_ZA"),
    ],
)
def test_languages(family, source, target, tokenizers):
    tokenizer = tokenizers(family)
    code = target.strip("_")
    assert tokenizer.get_lang_token(code) == target
    assert tokenizer.get_lang_id(code) == tokenizer.convert_tokens_to_ids(target)
    assert tokenizer.lang_code_to_id[code] == tokenizer.get_lang_id(code)
    assert tokenizer("a")["input_ids"][0] == tokenizer.convert_tokens_to_ids(source)
    batch = tokenizer("a", text_target="a", tgt_lang=code)
    assert batch["labels"][0] == tokenizer.get_lang_id(code)
    with pytest.raises(ArgumentError, match="'xx' is not in the vocabulary"):
        tokenizer("a", src_lang="xx")


def test_the_older_place_of_a_language(folders):
    tokenizer = Tokenizer.from_pretrained(folders("nllb"), legacy_behaviour=True)
    assert tokenizer("a")["input_ids"][-1] == tokenizer.get_lang_id("deu_Latn")


def segmenter(tmp_path, pieces, **options):
    path = tmp_path / "spiece.model"
    path.write_bytes(model([("<unk>", 0.0, 2), *pieces], **options))
    return Segmenter(read_sentencepiece(path))


def test_the_first_of_equally_likely_ways_wins(tmp_path):
    split = segmenter(tmp_path, [("▁", -1.0, 1), ("a", -2.0, 1), ("aa", -3.0, 1)])
    assert split("aaa") == ["▁", "a", "aa"]
    assert split("  aa   éè a ") == ["▁", "aa", "▁", "éè", "▁", "a"]
    assert split("   ") == []


def test_neighbours_merge_by_score_from_the_left(tmp_path):
    pieces = [("▁", -9.0, 1), ("a", -9.0, 1), ("b", -9.0, 1), ("aa", -1.0, 1), ("aab", -2.0, 1)]
    split = segmenter(tmp_path, [*pieces, ("[x]", 0.0, 4)], algorithm=BPE)
    assert split("aaaab[x]a") == ["▁", "aa", "aab", "[x]", "a"]


def test_words_as_the_scripts_split_them():
    text = "Mr. Smith’s well-known book (1,234.5 pages…) isn't “here”, etc. 長城 No. 5 ends."
    parts = moses.words(moses.clean(moses.normalize(text)))
    wanted = (
        "Mr. Smith 's well-known book ( 1,234.5 pages ... ) isn 't \" here , \" etc . 長 城 "
        "No. 5 ends ."
    )
    assert " ".join(parts) == wanted
    assert moses.words("a-b [c]", dashes=True, escape=True) == [
        *("a", "@-@", "b", "&#91;", "c", "&#93;")
    ]
    assert moses.join(
        ["It", "is", "(", "5", "$", "3", ")", ",", "&quot;", "so", "&quot;", "!"]
    ) == ('It is (5 $3), "so"!')
    assert moses.words("") == []
