"""The calling surface: padding, truncation, overflow, words, tensors, ways back to the text."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from armature.errors import ArgumentError, UnknownArgumentError
from armature.inputs.encoding import BatchEncoding, CharSpan, TokenSpan

TEXT = "The quick brown fox jumps over the lazy dog"


@pytest.fixture
def bert(tokenizers):
    return tokenizers("bert")


def test_one_text_gives_lists_and_a_batch_gives_lists_of_lists(bert):
    one, batch = bert("Hello world!"), bert(["Hello world!"])
    assert list(one) == ["input_ids", "token_type_ids", "attention_mask"]
    assert batch["input_ids"] == [one["input_ids"]]
    assert repr(one) == repr(dict(one))
    assert isinstance(one, BatchEncoding)
    assert one.input_ids is one["input_ids"]


def test_an_empty_batch_is_empty(bert):
    assert dict(bert([], padding=True)) == {
        "input_ids": [],
        "token_type_ids": [],
        "attention_mask": [],
    }


@pytest.mark.parametrize("kind", ["pt", "np"])
def test_tensors(bert, kind):
    batch = bert(["Hello", TEXT], padding=True, return_tensors=kind)
    shape = (2, len(bert(TEXT)["input_ids"]))
    for value in batch.values():
        assert tuple(value.shape) == shape
        assert value.dtype in (torch.int64, np.int64)
    assert batch["input_ids"].tolist() == bert(["Hello", TEXT], padding=True)["input_ids"]
    one = bert("Hello", return_tensors=kind)
    assert one["input_ids"].shape[0] == 1


def test_offsets_become_tensors_with_three_axes(bert):
    batch = bert(["a b", "c"], padding=True, return_offsets_mapping=True, return_tensors="pt")
    assert batch["offset_mapping"].shape == (*batch["input_ids"].shape, 2)


def test_rows_of_different_lengths_make_no_tensor(bert):
    with pytest.raises(ArgumentError, match="padding=True"):
        bert(["a", "a b c"], return_tensors="pt")


@pytest.mark.parametrize("kind", ["tf", "jax", "mlx", "list"])
def test_other_tensors_are_refused(bert, kind):
    with pytest.raises(ArgumentError, match="'pt'"):
        bert("a", return_tensors=kind)


def test_padding_to_a_length_on_either_side(bert):
    ids = bert("Hello")["input_ids"]
    right = bert("Hello", padding="max_length", max_length=12)
    assert right["input_ids"] == ids + [bert.pad_token_id] * (12 - len(ids))
    assert right["attention_mask"] == [1] * len(ids) + [0] * (12 - len(ids))
    left = bert("Hello", padding="max_length", max_length=12, padding_side="left")
    assert left["input_ids"] == [bert.pad_token_id] * (12 - len(ids)) + ids
    assert left.tokens()[0] == "[PAD]"
    assert left.word_ids()[:2] == [None, None]


def test_padding_to_the_models_length(bert):
    assert len(bert("Hello", padding="max_length")["input_ids"]) == bert.model_max_length


def test_a_longer_row_is_not_cut_by_padding(bert):
    with_padding = bert(TEXT, padding="max_length", max_length=4, truncation=False)
    assert with_padding["input_ids"] == bert(TEXT)["input_ids"]


def test_padding_without_a_padding_token_is_refused(tokenizers):
    with pytest.raises(ArgumentError, match=r"pad_token = tokenizer\.eos_token"):
        tokenizers("gpt2")(["a", "b c"], padding=True)


def test_truncation_with_max_length_alone(bert):
    assert (
        bert(TEXT, max_length=6)["input_ids"] == bert(TEXT, truncation=True, max_length=6).input_ids
    )
    assert len(bert.encode(TEXT, max_length=5, truncation=True)) == 5


def test_truncation_side(folders):
    from armature.inputs.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_pretrained(folders("bert"), truncation_side="left")
    whole = tokenizer(TEXT)["input_ids"]
    short = tokenizer(TEXT, truncation=True, max_length=6)["input_ids"]
    assert short == [whole[0], *whole[-5:]]


def test_too_little_room(bert):
    with pytest.raises(ArgumentError, match="2 special"):
        bert(TEXT, truncation=True, max_length=1)
    with pytest.raises(ArgumentError, match="only_second"):
        bert(TEXT, truncation="only_second", max_length=5)
    with pytest.raises(ArgumentError, match="multiple"):
        bert(TEXT, truncation=True, max_length=9, padding=True, pad_to_multiple_of=8)
    with pytest.raises(ArgumentError, match="stride"):
        bert(TEXT, truncation=True, max_length=6, stride=4, return_overflowing_tokens=True)


def test_overflow_covers_the_whole_text_with_shared_tokens(bert):
    texts = ["Hello", TEXT]
    batch = bert(
        texts,
        truncation=True,
        max_length=8,
        stride=2,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
        padding=True,
        return_tensors="pt",
    )
    owners = batch.pop("overflow_to_sample_mapping").tolist()
    assert owners == [0] + [1] * (len(owners) - 1)
    assert batch["input_ids"].shape == (len(owners), 8)
    rows = [
        [t for t, s in zip(r.tokens, r.sequence_ids, strict=True) if s == 0]
        for r in batch.encodings[1:]
    ]
    glued = rows[0] + [token for row in rows[1:] for token in row[2:]]
    assert glued == bert.tokenize(TEXT)
    assert [len(row.overflowing) for row in batch.encodings[:2]] == [0, len(owners) - 2]


def test_words_that_were_split_before(bert):
    words = [["Hello", "world"], ["don't", "stop", ""]]
    batch = bert(words, is_split_into_words=True)
    assert batch["input_ids"][0] == bert("Hello world")["input_ids"]
    assert set(batch.word_ids(1)) == {None, 0, 1}
    assert bert(words[0], is_split_into_words=True)["input_ids"] == batch["input_ids"][0]
    pair = bert(words[0], words[1], is_split_into_words=True)
    assert pair.sequence_ids().count(1) > 0


def test_pairs_in_both_spellings(bert):
    separate = bert(["a", "b"], ["c", "d"])
    together = bert([("a", "c"), ("b", "d")])
    assert dict(separate) == dict(together)
    assert separate.n_sequences == 2
    assert bert("a", "c")["token_type_ids"] == [0, 0, 0, 1, 1]


def test_what_is_no_text_is_refused(bert):
    for text, message in [
        (3, "should be a str"),
        (["a", None], "Text 1 of the batch"),
        (["a", ["b", "c", "d"]], "is_split_into_words"),
        (b"a", "bytes"),
    ]:
        with pytest.raises(ArgumentError, match=message):
            bert(text)
    with pytest.raises(ArgumentError, match="list of 2, but text_pair is 1"):
        bert(["a", "b"], ["c"])
    with pytest.raises(ArgumentError, match="list of words"):
        bert("a b", is_split_into_words=True)
    with pytest.raises(ArgumentError, match="nothing to tokenize"):
        bert()


def test_half_a_character_is_refused_with_its_place(bert):
    for call in (
        lambda: bert("ab \ud83d"),
        lambda: bert(["a", ("b", "ab \ud83d")]),
        lambda: bert(["ab \ud83d"], is_split_into_words=True),
        lambda: bert.add_tokens("ab \ud83d"),
    ):
        with pytest.raises(ArgumentError, match=r"U\+D83D.* position 3"):
            call()
    assert bert("ab \U0001f600")["input_ids"]


def test_unknown_arguments_and_values_name_the_nearest(bert):
    with pytest.raises(UnknownArgumentError, match="Did you mean `truncation`"):
        bert("a", truncate=True)
    with pytest.raises(ArgumentError, match="Did you mean `longest`"):
        bert("a", padding="longst")
    with pytest.raises(ArgumentError, match="longest_first"):
        bert("a", truncation="first")
    with pytest.raises(ArgumentError, match="'left' or 'right'"):
        bert("a", padding=True, padding_side="top")
    with pytest.raises(UnknownArgumentError, match="tokenize"):
        bert.tokenize("a", max_lenght=3)


def test_tokenize_encode_and_their_older_names(bert):
    assert bert.tokenize("Hello world!") == [
        "h",
        "##el",
        "##l",
        "##o",
        "w",
        "##or",
        "##l",
        "##d",
        "!",
    ]
    assert bert.tokenize("Hello", add_special_tokens=True)[0] == "[CLS]"
    assert bert.encode("Hello", "you") == bert("Hello", "you")["input_ids"]
    assert dict(bert.encode_plus("Hello")) == dict(bert("Hello"))
    assert dict(bert.batch_encode_plus(["Hello", "b"])) == dict(bert(["Hello", "b"]))
    assert bert.convert_tokens_to_ids(bert.tokenize("Hello")) == bert.encode(
        "Hello", add_special_tokens=False
    )
    assert bert.convert_tokens_to_string(bert.tokenize("hello world")) == "hello world"


def test_ways_from_tokens_to_words_and_characters(bert):
    batch = bert(["Hello world!", "How are you?"], ["Fine.", "And you?"])
    assert batch.is_fast
    assert batch.sequence_ids(0)[0] is None
    token = batch.char_to_token(0, 6)
    assert batch.token_to_chars(0, token) == CharSpan(6, 7)
    assert batch.token_to_word(0, token) == batch.char_to_word(0, 6) == 1
    span = batch.word_to_tokens(0, 1)
    assert isinstance(span, TokenSpan)
    assert batch.word_to_chars(0, 1) == CharSpan(6, 11)
    assert batch[0].tokens[span.start : span.end] == ["w", "##or", "##l", "##d"]
    assert batch.char_to_token(0, 5) is None  # a space
    assert batch.token_to_chars(0, 0) is None
    second = batch.char_to_token(0, 0, sequence_index=1)
    assert batch.token_to_sequence(0, second) == 1
    assert batch.token_to_word(0, -1) is None


def test_batches_that_did_not_come_from_text(bert):
    batch = BatchEncoding({"input_ids": [[1, 2], [3, 4]]})
    assert not batch.is_fast
    assert batch[0:1] == {"input_ids": [[1, 2]]}
    with pytest.raises(ArgumentError, match="did not come from text"):
        batch.word_ids()
    with pytest.raises(AttributeError, match="Did you mean `input_ids`"):
        _ = batch.input_id


def test_a_batch_is_a_mapping_that_moves_to_a_device(bert):
    batch = bert("Hello", return_tensors="pt")
    assert batch.to("cpu") is batch
    assert {**batch}.keys() == batch.keys()
    assert batch["input_ids"].device.type == "cpu"
    with pytest.raises(ArgumentError, match="device"):
        batch.to(None)
    assert torch.equal(pickle.loads(pickle.dumps(batch))["input_ids"], batch["input_ids"])


def test_only_fractions_change_their_type():
    boxes = BatchEncoding({"boxes": torch.rand(2, 4), "class_labels": torch.tensor([1, 2])})
    batch = BatchEncoding({"pixel_values": torch.rand(1, 3), "labels": [boxes]})
    batch["ids"] = torch.ones(1).long()
    assert batch.to("cpu", torch.bfloat16) is batch
    kinds = [batch["pixel_values"].dtype, batch["ids"].dtype, boxes["boxes"].dtype]
    assert kinds == [torch.bfloat16, torch.int64, torch.bfloat16]
    assert boxes["class_labels"].dtype == torch.int64
    assert batch.to(dtype=torch.float32)["pixel_values"].dtype == torch.float32


def test_rows_know_when_the_vocabulary_has_changed(folders):
    from armature.inputs.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_pretrained(folders("bert"))
    batch = tokenizer("Hello wonderland")
    tokenizer.add_tokens(["wonderland"])
    with pytest.raises(ArgumentError, match="vocabulary has changed"):
        batch.word_ids()


def test_targets_become_labels(tokenizers):
    t5 = tokenizers("t5")
    batch = t5("a b", text_target="c d")
    assert batch["labels"] == t5("c d")["input_ids"]
    assert t5(text_target="c d")["input_ids"] == batch["labels"]
    short = t5("a b c d", text_target="c d e f", truncation=True, max_length=9, max_target_length=3)
    assert len(short["labels"]) == 3


def test_languages_stand_at_the_end_and_change_per_call(tokenizers):
    mbart = tokenizers("mbart")
    german = mbart.convert_tokens_to_ids("de_DE")
    assert mbart.tgt_lang == "de_DE"
    batch = mbart("a", text_target="b")
    assert batch["input_ids"][-1] == mbart.convert_tokens_to_ids("en_XX")
    assert batch["labels"][-1] == german
    assert mbart("a", src_lang="de_DE")["input_ids"][-1] == german
    assert mbart("a")["input_ids"][-1] != german
    with pytest.raises(ArgumentError, match="Did you mean `de_DE`"):
        mbart("a", src_lang="de_DB")
    with pytest.raises(ArgumentError, match="knows no languages"):
        tokenizers("bert")("a", src_lang="de_DE")


def test_special_tokens_in_a_text_can_be_plain_text(bert):
    assert "[SEP]" in bert.tokenize("a [SEP] b")
    assert "[SEP]" not in bert.tokenize("a [SEP] b", split_special_tokens=True)
    assert "[SEP]" in bert.tokenize("a [SEP] b")


def test_examples_are_padded_later(bert):
    rows = [bert("Hello"), bert(TEXT)]
    whole = bert(["Hello", TEXT], padding=True, return_tensors="pt")
    padded = bert.pad(rows, return_tensors="pt")
    for name, value in whole.items():
        assert torch.equal(padded[name], value)
    columns = {"input_ids": [r["input_ids"] for r in rows]}
    assert dict(bert.pad(columns, padding_side="left"))["attention_mask"][0][0] == 0
    arrays = bert.pad({"input_ids": [np.array(r["input_ids"]) for r in rows]})
    assert isinstance(arrays["input_ids"], np.ndarray)
    assert (
        len(bert.pad({"input_ids": [4, 5]}, padding="max_length", max_length=7)["input_ids"]) == 7
    )
    assert (
        bert.pad({"input_ids": [[4], [4, 5]]}, pad_to_multiple_of=4)["input_ids"][0][1:] == [0] * 3
    )
    with pytest.raises(ArgumentError, match="input_ids"):
        bert.pad({"ids": [1]})


@pytest.mark.parametrize("family", ["bert", "roberta", "t5", "xlnet", "gpt2", "llama3", "mbart"])
def test_ids_are_put_together_as_texts_are(family, tokenizers):
    tokenizer = tokenizers(family)
    first, second = "Hello world", "How are you"
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in (first, second)]
    both = tokenizer(first, second, return_token_type_ids=True, return_special_tokens_mask=True)
    assert tokenizer.build_inputs_with_special_tokens(*ids) == both["input_ids"]
    assert tokenizer.create_token_type_ids_from_sequences(*ids) == both["token_type_ids"]
    assert tokenizer.get_special_tokens_mask(*ids) == both["special_tokens_mask"]
    assert tokenizer.prepare_for_model(*ids)["input_ids"] == both["input_ids"]
    cut = tokenizer(first, second, truncation=True, max_length=9)
    assert tokenizer.prepare_for_model(*ids, truncation=True, max_length=9) == cut
    count = len(both["input_ids"]) - sum(map(len, ids))
    assert tokenizer.num_special_tokens_to_add(pair=True) == count
    assert tokenizer.max_len_sentences_pair == tokenizer.model_max_length - count


def test_masks_of_ids_that_hold_special_tokens(bert):
    ids = bert("Hello")["input_ids"]
    mask = bert.get_special_tokens_mask(ids, already_has_special_tokens=True)
    assert mask == [1, *[0] * (len(ids) - 2), 1]
    with pytest.raises(ArgumentError, match="one list"):
        bert.get_special_tokens_mask(ids, ids, already_has_special_tokens=True)


def test_truncating_ids(bert):
    assert bert.truncate_sequences([1, 2, 3, 4], num_tokens_to_remove=2) == ([1, 2], None, [3, 4])
    left, right, gone = bert.truncate_sequences([1, 2], [3, 4, 5, 6], 2, stride=1)
    assert (left, right, gone) == ([1, 2], [3, 4], [4, 5, 6])


def test_decoding_tensors_batches_and_single_ids(bert):
    batch = bert(["hello world", "how are you?"], padding=True, return_tensors="pt")
    texts = bert.batch_decode(batch["input_ids"], skip_special_tokens=True)
    assert texts == ["hello world", "how are you?"]
    assert bert.decode(batch["input_ids"], skip_special_tokens=True) == texts
    assert bert.decode(bert.mask_token_id) == "[MASK]"
    assert bert.decode(batch["input_ids"][0].numpy(), skip_special_tokens=True) == texts[0]
    assert bert.batch_decode([]) == []
    with pytest.raises(UnknownArgumentError):
        bert.decode([1], skip_specials=True)
    with pytest.raises(ArgumentError, match="not negative"):
        bert.decode([1, -100])


def test_spaces_before_punctuation_are_removed_when_asked(tokenizers):
    gpt2 = tokenizers("gpt2")
    ids = gpt2("hello , I do n't .")["input_ids"]
    assert gpt2.decode(ids) == "hello , I do n't ."
    assert gpt2.decode(ids, clean_up_tokenization_spaces=True) == "hello, I don't."


def test_too_long_texts_are_noted_once(folders, caplog):
    from armature.inputs.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_pretrained(folders("bert"), model_max_length=5)
    tokenizer(TEXT)
    tokenizer(TEXT)
    assert len([r for r in caplog.records if "at most 5" in r.getMessage()]) == 1
