"""Words from optional packages: used as they are, asked for by name where they are missing."""

from __future__ import annotations

import json
import pickle
import sys
from types import SimpleNamespace

import pytest

from armature.errors import ArgumentError
from armature.inputs.text.families import tokenizer_class
from armature.inputs.text.tokenizer import Tokenizer

LEXICON = ["自然语言", "处理", "动态", "符号"]
PIECES = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "处理", "动态", "自", "然", "语", "言", "a"]


def find_words(text, hmm):
    """Finds the words of a small lexicon, and letters."""
    start = 0
    while start < len(text):
        word = next((word for word in LEXICON if text.startswith(word, start)), text[start])
        yield word, start, start + len(word)
        start += len(word)


@pytest.fixture
def chinese(tmp_path, monkeypatch):
    """A folder, and a package that finds a few words."""
    monkeypatch.setitem(sys.modules, "rjieba", SimpleNamespace(tokenize=find_words))
    (tmp_path / "vocab.txt").write_text("\n".join([*PIECES, ""]))
    (tmp_path / "config.json").write_text('{"model_type": "roformer"}')
    return tmp_path


def test_chinese_words_have_offsets(chinese):
    tokenizer = Tokenizer.from_pretrained(chinese)
    batch = tokenizer("A自然语言处理 动态号", return_offsets_mapping=True)
    wanted = ["[CLS]", "a", "自", "然", "语", "言", "处理", "动态", "[UNK]", "[SEP]"]
    assert batch.tokens() == wanted
    assert batch["offset_mapping"][1:-1] == [
        *((0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 7), (8, 10), (10, 11))
    ]
    assert batch["input_ids"] == tokenizer("A自然语言处理 动态号")["input_ids"]


@pytest.mark.parametrize("legacy", [False, True])
def test_saved_chinese_words_are_found_again(chinese, legacy):
    tokenizer = Tokenizer.from_pretrained(chinese, do_lower_case=False)
    tokenizer.add_tokens(["动态处理"])
    text = "动态处理 处理 A[MASK]"
    tokenizer.save_pretrained(chinese / "saved", legacy_format=legacy)
    stored = chinese / "saved" / "tokenizer.json"
    if not legacy:  # what other libraries read: their own words
        assert json.loads(stored.read_text())["pre_tokenizer"] == {"type": "BertPreTokenizer"}
    (chinese / "saved" / "config.json").write_text('{"model_type": "roformer"}')
    for twin in (
        Tokenizer.from_pretrained(chinese / "saved"),
        pickle.loads(pickle.dumps(tokenizer)),
    ):
        assert twin.tokenize(text) == ["动态处理", "处理", "[UNK]", "[MASK]"]
        assert twin(text)["input_ids"] == tokenizer(text)["input_ids"]
        plain = twin.tokenize(text, split_special_tokens=True)
        assert plain == tokenizer.tokenize(text, split_special_tokens=True)
        assert "[MASK]" not in plain
    if not legacy:
        direct = type(tokenizer)(tokenizer_file=stored, do_lower_case=False)
        assert direct(text)["input_ids"] == tokenizer(text)["input_ids"]


def test_a_missing_package_is_named(chinese, monkeypatch):
    monkeypatch.setitem(sys.modules, "rjieba", None)
    with pytest.raises(ArgumentError, match=r"`rjieba`.*pip install 'armature-models\[chinese\]'"):
        Tokenizer.from_pretrained(chinese)
    monkeypatch.setitem(sys.modules, "fugashi", None)
    with pytest.raises(
        ArgumentError, match=r"`fugashi`.*pip install 'armature-models\[japanese\]'"
    ):
        japanese(chinese, word_tokenizer_type="mecab")


def japanese(folder, **options):
    return tokenizer_class("BertJapaneseTokenizer").from_pretrained(folder, **options)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"word_tokenizer_type": "jumanpp"}, "a program of its own"),
        ({"word_tokenizer_type": "kytea"}, "none of basic, mecab, sudachi"),
        ({"subword_tokenizer_type": "bytes"}, "none of"),
        (
            {"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_option": "-o /tmp/x"}},
            "mecab_option, which is not supported",
        ),
        ({"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "os"}}, "none of ipadic"),
        (
            {"word_tokenizer_type": "sudachi", "sudachi_kwargs": {"sudachi_config_path": "/x"}},
            "sudachi_config_path, which is not supported",
        ),
    ],
)
def test_what_japanese_cannot_be_asked_for(chinese, options, complaint):
    with pytest.raises(ArgumentError, match=complaint):
        japanese(chinese, **options)


def test_japanese_words_of_mecab(chinese, monkeypatch):
    def tagger(option):
        assert option == f'-d "{chinese}" -r "{chinese / "mecabrc"}" '
        return lambda text: [SimpleNamespace(surface=word) for word, *_ in find_words(text, None)]

    monkeypatch.setitem(sys.modules, "fugashi", SimpleNamespace(GenericTagger=tagger))
    monkeypatch.setitem(sys.modules, "ipadic", SimpleNamespace(DICDIR=str(chinese)))
    options = {"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "ipadic"}}
    tokenizer = japanese(chinese, **options)
    assert tokenizer.tokenize("ａ自然语言处理") == ["a", "[UNK]", "处理"]
    letters = japanese(chinese, subword_tokenizer_type="character", **options)
    assert letters.tokenize("ａ自然动态") == ["a", "自", "然", "[UNK]", "[UNK]"]
    tokenizer.save_pretrained(chinese / "saved")
    twin = Tokenizer.from_pretrained(chinese / "saved")
    assert twin("ａ自然语言处理") == tokenizer("ａ自然语言处理")


def test_japanese_at_white_space(chinese):
    tokenizer = japanese(chinese, do_lower_case=True, never_split=["处理-A"])
    assert tokenizer.tokenize("A处理, 处理-A") == ["[UNK]", "[UNK]", "[UNK]"]
    assert tokenizer.decode(tokenizer("a 处理")["input_ids"]) == "[CLS] a 处理 [SEP]"
    assert japanese(chinese, do_subword_tokenize=False).tokenize("A处理, x") == [
        *("A处理", ",", "x")
    ]
