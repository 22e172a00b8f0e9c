"""Special tokens: their roles, their ids, and tokens that are added."""

from __future__ import annotations

import pytest
from tokenizers import AddedToken

from armature.errors import ArgumentError, CheckpointError
from armature.inputs.text.tokenizer import Tokenizer


@pytest.fixture
def bert(folders):
    return Tokenizer.from_pretrained(folders("bert"))


@pytest.fixture
def gpt2(folders):
    return Tokenizer.from_pretrained(folders("gpt2"))


def test_roles_read_and_set(bert, gpt2):
    assert (bert.mask_token, bert.mask_token_id) == ("[MASK]", 6)
    assert bert.bos_token is None
    assert bert.bos_token_id is None
    gpt2.pad_token = gpt2.eos_token
    assert gpt2.pad_token_id == gpt2.eos_token_id
    assert gpt2(["a", "b c d"], padding=True)["attention_mask"][0][-1] == 0
    gpt2.pad_token_id = 3
    assert gpt2.pad_token == gpt2.convert_ids_to_tokens(3)
    gpt2.pad_token = None
    assert gpt2.pad_token is None
    assert "pad_token" not in gpt2.special_tokens_map


def test_lists_of_special_tokens(bert):
    assert bert.special_tokens_map["cls_token"] == "[CLS]"
    assert sorted(bert.all_special_ids) == [0, 3, 4, 5, 6]
    assert bert.all_special_tokens[0] == "[UNK]"
    assert bert.additional_special_tokens == []


def test_adding_tokens(bert):
    size = len(bert)
    assert "that" in bert.vocab
    assert bert.add_tokens(["wonderland", "that"]) == 1
    assert bert.add_tokens("wonderland") == 0
    assert len(bert) == size + 1
    assert bert.vocab_size == size
    assert "wonderland" in bert.tokenize("a wonderland b")
    assert bert.get_added_vocab()["wonderland"] == bert.vocab["wonderland"] >= size
    assert bert.decode(bert.vocab["wonderland"], skip_special_tokens=True) == "wonderland"


def test_adding_special_tokens(bert):
    count = bert.add_special_tokens(
        {
            "bos_token": "<begin>",
            "additional_special_tokens": ["<a>", AddedToken("<b>", lstrip=True)],
        }
    )
    assert count == 3
    assert bert.bos_token_id == bert.convert_tokens_to_ids("<begin>")
    assert bert.additional_special_tokens == ["<a>", "<b>"]
    assert bert.decode(bert.encode("x <a> y"), skip_special_tokens=True) == "x y"
    bert.add_special_tokens(
        {"additional_special_tokens": ["<c>"]}, replace_extra_special_tokens=False
    )
    assert bert.additional_special_tokens == ["<a>", "<b>", "<c>"]
    assert bert.extra_special_tokens_ids == bert.convert_tokens_to_ids(["<a>", "<b>", "<c>"])
    with pytest.raises(ArgumentError, match="Did you mean `mask_token`"):
        bert.add_special_tokens({"mask_tokn": "[M]"})


def test_tokens_and_ids_both_ways(bert):
    assert bert.convert_tokens_to_ids("no such token") == bert.unk_token_id
    assert bert.convert_tokens_to_ids(["[CLS]", "the"]) == [4, bert.vocab["the"]]
    assert bert.convert_ids_to_tokens([4, 5]) == ["[CLS]", "[SEP]"]
    assert bert.convert_ids_to_tokens([4, 7, 5], skip_special_tokens=True) == ["!"]
    assert bert.convert_ids_to_tokens(4) == "[CLS]"
    assert bert.convert_ids_to_tokens(10**6) is None
    assert bert.get_vocab() == bert.vocab
    assert bert.vocab_size == 520


def test_special_tokens_in_a_file_may_have_flags(copy):
    folder = copy("bert")
    map_file = folder / "special_tokens_map.json"
    map_file.write_text(
        '{"mask_token": {"content": "[MASK]", "lstrip": true, "single_word": false}}'
    )
    tokenizer = Tokenizer.from_pretrained(folder)
    assert tokenizer.added_tokens_decoder[6].lstrip
    assert tokenizer.encode("a [MASK]", return_offsets_mapping=True) == [
        4,
        tokenizer.vocab["a"],
        6,
        5,
    ]


def test_added_tokens_of_the_older_kind(copy):
    folder = copy("bert")
    (folder / "added_tokens.json").write_text('{"<new>": 520, "<second>": 521}')
    tokenizer = Tokenizer.from_pretrained(folder)
    assert len(tokenizer) == 522
    assert tokenizer.tokenize("a<new>b")[1] == "<new>"
    assert tokenizer.vocab["<second>"] == 521


def test_added_tokens_with_ids_that_cannot_be(copy):
    folder = copy("bert")
    (folder / "added_tokens.json").write_text('{"<new>": 700}')
    with pytest.raises(CheckpointError, match=r"'<new>' should get the id 700, not 520"):
        Tokenizer.from_pretrained(folder)


def test_a_token_that_only_the_checkpoint_names(copy):
    folder = copy("bert")
    (folder / "tokenizer_config.json").write_text('{"image_token": "<image>"}')
    tokenizer = Tokenizer.from_pretrained(folder)
    assert tokenizer.image_token == "<image>"
    assert tokenizer.image_token_id == 520
    with pytest.raises(AttributeError, match="Did you mean `mask_token`"):
        _ = tokenizer.mask_tokn


def test_repr_shows_what_matters(bert):
    text = repr(bert)
    assert text.startswith("BertTokenizer(name_or_path=")
    for part in ("vocab_size=520", "padding_side='right'", "'mask_token': '[MASK]'"):
        assert part in text
