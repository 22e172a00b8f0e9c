"""Files: which are read, which class they make, and what is said when they are damaged."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from protobuf_writer import message, model, number, varint

from armature.checkpoint.hub import resolve
from armature.errors import ArgumentError, ArmatureError, CheckpointError, UnknownArgumentError
from armature.inputs.text import families
from armature.inputs.text.families import tokenizer_class
from armature.inputs.text.load import load_tokenizer
from armature.inputs.text.sentencepiece import merges_of, read_sentencepiece
from armature.inputs.text.tokenizer import Tokenizer

TEXT = "Hello [MASK] wörld, don't 長城!"


def set_config(folder, **settings):
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


# Which class


def test_classes_by_name():
    assert tokenizer_class("BertTokenizerFast") is tokenizer_class("BertTokenizer")
    assert tokenizer_class("BertTokenizer").__name__ == "BertTokenizer"
    assert issubclass(tokenizer_class("BartTokenizer"), Tokenizer)
    assert tokenizer_class("Nonsense") is None
    assert families.GPT2Tokenizer is tokenizer_class("GPT2Tokenizer")


@pytest.mark.parametrize(
    ("family", "stated", "architecture", "wanted"),
    [
        ("bert", None, "bert", "BertTokenizer"),
        ("bert", None, None, "BertTokenizer"),
        ("bert", "ElectraTokenizerFast", "bert", "ElectraTokenizer"),
        ("bert", None, "distilbert", "DistilBertTokenizer"),
        ("roberta", None, "bart", "BartTokenizer"),
        ("gpt2", None, None, "GPT2Tokenizer"),
        ("bert_json", "SomethingOfMine", "bert", "PreTrainedTokenizerFast"),
        ("bert_json", None, "unheard-of", "PreTrainedTokenizerFast"),
        ("llama", "LlamaTokenizer", "mixtral", "PreTrainedTokenizerFast"),
        ("t5", None, None, "T5Tokenizer"),
        ("llama", None, None, "LlamaTokenizer"),
    ],
)
def test_the_class_is_what_the_files_say(copy, family, stated, architecture, wanted):
    folder = copy(family)
    set_config(folder, **({"tokenizer_class": stated} if stated else {}))
    (folder / "config.json").write_text(
        json.dumps({"model_type": architecture} if architecture else {})
    )
    assert type(Tokenizer.from_pretrained(folder)).__name__ == wanted


def test_a_class_that_is_not_known_is_not_guessed(copy):
    folder = copy("bert")
    set_config(folder, tokenizer_class="CanineTokenizer")
    with pytest.raises(CheckpointError, match="needs CanineTokenizer"):
        Tokenizer.from_pretrained(folder)
    assert tokenizer_class("BertTokenizer").from_pretrained(folder)("a")["input_ids"]
    set_config(folder)
    (folder / "config.json").write_text('{"model_type": "canine"}')
    with pytest.raises(CheckpointError, match="tokenizer for `canine`"):
        Tokenizer.from_pretrained(folder)


def test_two_models_in_one_checkpoint(copy):
    folder = copy("bert")
    joined = {"model_type": "encoder-decoder", "encoder": {"model_type": "bert"}}
    (folder / "config.json").write_text(json.dumps(joined))
    assert type(Tokenizer.from_pretrained(folder)).__name__ == "BertTokenizer"


def test_code_is_reported_and_never_run(copy, caplog):
    folder = copy("bert")
    set_config(folder, auto_map={"AutoTokenizer": ["evil.Tokenizer", None]})
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    assert Tokenizer.from_pretrained(folder, trust_remote_code=True)("a")
    assert "auto_map" in caplog.text
    assert "never run" in caplog.text


# Ways to build


def test_a_source_and_a_class_name(folders):
    source = resolve(folders("bert"))
    tokenizer = load_tokenizer(source, class_name="DistilBertTokenizer", model_max_length=9)
    assert tokenizer.model_max_length == 9
    assert tokenizer.name_or_path == str(folders("bert"))
    with pytest.raises(ArgumentError, match="no tokenizer class `Bert`"):
        load_tokenizer(source, class_name="Bert")


def test_direct_construction(folders):
    folder = folders("bert")
    wanted = Tokenizer.from_pretrained(folder)(TEXT)["input_ids"]
    bert = tokenizer_class("BertTokenizer")
    assert bert(vocab_file=folder / "vocab.txt")(TEXT)["input_ids"] == wanted
    assert bert(str(folder / "vocab.txt"))(TEXT)["input_ids"] == wanted
    assert bert(vocab=bert(folder / "vocab.txt").vocab)(TEXT)["input_ids"] == wanted
    cased = bert(folder / "vocab.txt", do_lower_case=False)
    assert cased.tokenize("Hi") != bert(folder / "vocab.txt").tokenize("Hi")
    assert cased.do_lower_case is False
    generic = tokenizer_class("PreTrainedTokenizerFast")
    from_file = generic(tokenizer_file=folders("bert_json") / "tokenizer.json", pad_token="[PAD]")
    assert from_file(TEXT)["input_ids"] == wanted
    assert from_file.pad_token_id == 0
    from_object = generic(tokenizer_object=from_file.backend_tokenizer)
    assert from_object(TEXT)["input_ids"] == wanted
    assert from_object.backend_tokenizer is not from_file.backend_tokenizer
    gpt2 = tokenizer_class("GPT2Tokenizer")
    files = folders("gpt2") / "vocab.json", folders("gpt2") / "merges.txt"
    assert gpt2(*files)("a b")["input_ids"]
    with pytest.raises(ArgumentError, match="needs a vocabulary"):
        bert()
    with pytest.raises(UnknownArgumentError, match="Did you mean `do_lower_case`"):
        bert(folder / "vocab.txt", do_lowercase=True)
    with pytest.raises(CheckpointError, match=r"merges\.txt"):
        gpt2(files[0])


def test_a_file_instead_of_a_folder(folders):
    wanted = Tokenizer.from_pretrained(folders("bert"))(TEXT)["input_ids"]
    for path in (folders("bert") / "vocab.txt", folders("bert") / "config.json"):
        assert tokenizer_class("BertTokenizer").from_pretrained(path)(TEXT)["input_ids"] == wanted
    json_file = folders("bert_json") / "tokenizer.json"
    assert Tokenizer.from_pretrained(json_file)(TEXT)["input_ids"] == wanted


def test_options_of_the_caller_win(folders):
    for family in ("bert", "bert_json"):
        cased = Tokenizer.from_pretrained(folders(family), do_lower_case=False, strip_accents=False)
        assert cased.tokenize("A") != Tokenizer.from_pretrained(folders(family)).tokenize("A")
        sides = Tokenizer.from_pretrained(folders(family), padding_side="left", pad_token="[UNK]")
        assert (sides.padding_side, sides.pad_token_id) == ("left", 3)
    for family in ("roberta", "roberta_json"):
        spaced = Tokenizer.from_pretrained(folders(family), add_prefix_space=True)
        assert spaced.tokenize("the") == Tokenizer.from_pretrained(folders(family)).tokenize(" the")
    with pytest.raises(UnknownArgumentError, match="Did you mean `model_max_length`"):
        Tokenizer.from_pretrained(folders("bert"), model_max_len=3)


def test_texts_may_begin_and_end_with_special_tokens(folders):
    for family in ("llama", "llama_json"):
        tokenizer = Tokenizer.from_pretrained(
            folders(family), add_bos_token=False, add_eos_token=True
        )
        ids = tokenizer("a", "b")["input_ids"]
        assert ids.count(tokenizer.bos_token_id) == 0
        assert ids.count(tokenizer.eos_token_id) == 2


def test_some_classes_put_their_own_tokens_around_texts_whatever_the_file_says(folders):
    tokenizer = tokenizer_class("FunnelTokenizer").from_pretrained(folders("bert_json"))
    pair = tokenizer("a", "b", return_token_type_ids=True)
    assert pair["input_ids"][0] == tokenizer.cls_token_id
    assert pair["token_type_ids"][0] == 2
    plain = tokenizer_class("BertTokenizer").from_pretrained(folders("bert_json"))
    assert plain("a", "b", return_token_type_ids=True)["token_type_ids"][0] == 0


def test_an_option_that_a_tokenizer_json_fixes_is_refused(folders):
    with pytest.raises(ArgumentError, match=r"keep_accents=True has no effect.*from_slow=True"):
        tokenizer_class("AlbertTokenizer").from_pretrained(folders("bert_json"), keep_accents=True)


def test_building_from_the_older_files(copy):
    folder = copy("bert")
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json"):
        Tokenizer.from_pretrained(folder)
    assert Tokenizer.from_pretrained(folder, from_slow=True)("a")["input_ids"]


def test_words_that_are_never_split(folders):
    vocab = folders("bert") / "vocab.txt"
    bert = tokenizer_class("BertTokenizer")
    assert "!" in bert(vocab).tokenize("a!")
    words = bert(vocab, do_basic_tokenize=False)
    assert words.tokenize("a !") == ["a", "!"]
    assert words.tokenize("A") == ["[UNK]"]
    assert bert(vocab, never_split=["[MASK]", "nowhere"]).tokenize("[MASK] a") == ["[MASK]", "a"]


def test_a_tokenizer_can_be_sent_to_another_process(folders):
    for family in ("bert", "mbart", "llama_json", "xlm", "m2m_100"):
        tokenizer = Tokenizer.from_pretrained(folders(family))
        twin = pickle.loads(pickle.dumps(tokenizer))
        assert type(twin) is type(tokenizer)
        assert twin(TEXT) == tokenizer(TEXT)
        assert twin.special_tokens_map == tokenizer.special_tokens_map


# Damaged files

WHOLE = [
    ("bert", "vocab.txt"),
    ("bert", "tokenizer_config.json"),
    ("gpt2", "vocab.json"),
    ("gpt2", "merges.txt"),
    ("t5", "spiece.model"),
    ("falcon", "tokenizer.json"),
]


@pytest.mark.parametrize(("family", "name"), WHOLE)
@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (b"", "is empty"),
        (b"\0" * 99, "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "git-LFS pointer"),
        (b"<!DOCTYPE html><html></html>", "web page"),
    ],
)
def test_what_is_not_the_file_is_named(copy, family, name, content, cause):
    folder = copy(family)
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=cause) as caught:
        Tokenizer.from_pretrained(folder)
    assert name in str(caught.value)
    assert "→" in str(caught.value)


@pytest.mark.parametrize(
    ("family", "name", "content", "cause"),
    [
        ("bert", "vocab.txt", b"\xff\xfe", "not UTF-8"),
        ("bert", "tokenizer_config.json", b"[1]", "should hold a table"),
        ("bert", "tokenizer_config.json", b'{"a": 1', "not JSON"),
        ("bert", "tokenizer_config.json", b'{"a":' * 9999, "nested too deeply"),
        ("bert", "tokenizer_config.json", b'{"do_lower_case": "yes"}', "true or false"),
        ("bert", "tokenizer_config.json", b'{"model_max_length": [5]}', "a length"),
        ("bert", "tokenizer_config.json", b'{"pad_token": 3}', "no token"),
        ("bert", "config.json", b'{"model_type": 3}', "should be a text"),
        ("t5", "tokenizer_config.json", b'{"extra_ids": 1000000000}', "a count"),
        ("gpt2", "vocab.json", b'{"a": "b"}', "the id 'b'"),
        ("gpt2", "vocab.json", b'{"a": -1}', "the id -1"),
        ("gpt2", "merges.txt", b"#version: 0.2\na b c\n", "line 2 is no pair"),
        ("gpt2", "merges.txt", b"never seen\n", "cannot be used"),
        ("falcon", "tokenizer.json", b'{"version": "1.0"}', "cannot be used"),
        ("t5", "spiece.model", b"\x0a\xff\xff\xff\xff\x0f", "longer than the file"),
        ("t5", "spiece.model", b"no protocol buffer at all", "not a SentencePiece model"),
    ],
)
def test_damaged_files_are_explained(copy, family, name, content, cause):
    folder = copy(family)
    (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=cause) as caught:
        Tokenizer.from_pretrained(folder)
    assert name in str(caught.value)


def test_a_folder_without_a_vocabulary(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(CheckpointError, match=r"neither tokenizer\.json or vocab\.txt") as caught:
        Tokenizer.from_pretrained(tmp_path)
    assert "config.json" in str(caught.value)


def test_names_in_files_lead_nowhere(copy, tmp_path):
    outside = tmp_path / "outside.txt"
    outside.write_text("secret\n")
    folder = copy("bert")
    set_config(folder, vocab_file=str(outside), tokenizer_file="../outside.txt", init_inputs=["x"])
    assert "secret" not in Tokenizer.from_pretrained(folder).vocab


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_mutated_files_are_read_or_refused(folders, tmp_path_factory, data):
    """No other error, no crash, whatever bytes change."""
    import shutil

    family, name = data.draw(st.sampled_from(WHOLE))
    folder = tmp_path_factory.mktemp("mutated") / family
    shutil.copytree(folders(family), folder)
    content = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(1, len(content)))]
    (folder / name).write_bytes(content)
    try:
        Tokenizer.from_pretrained(folder)("Hello [MASK] 長", "b", padding=False)
    except ArmatureError:
        pass
    finally:
        shutil.rmtree(folder)


# SentencePiece models


@settings(max_examples=200, deadline=None)
@given(
    pieces=st.lists(
        st.tuples(st.text(min_size=1), st.floats(-100, 100, width=32), st.integers(1, 6)),
        min_size=1,
        max_size=9,
    ),
    algorithm=st.integers(1, 2),
    fallback=st.booleans(),
    charsmap=st.binary(max_size=9),
)
def test_models_are_read_as_they_were_written(
    tmp_path_factory, pieces, algorithm, fallback, charsmap
):
    path = tmp_path_factory.getbasetemp() / "written.model"
    options = {"algorithm": algorithm, "byte_fallback": fallback, "charsmap": charsmap}
    path.write_bytes(model(pieces, unk_id=len(pieces) - 1, **options) + number(9, 1 << 40))
    read = read_sentencepiece(path)
    assert [(p.text, p.score, p.kind) for p in read.pieces] == pieces
    assert read.algorithm == algorithm
    assert read.byte_fallback is fallback
    assert read.charsmap == charsmap
    assert read.unk_id == len(pieces) - 1


@settings(max_examples=300, deadline=None)
@given(content=st.binary(max_size=60))
def test_other_bytes_are_no_model(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "noise.model"
    path.write_bytes(content)
    try:
        assert read_sentencepiece(path).pieces
    except CheckpointError as error:
        assert "noise.model" in str(error)


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (model([("a", 0.0, 1)], algorithm=4), "kind 4"),
        (model([("a", 0.0, 1)], unk_id=5), "names 5"),
        (model([("a", float("nan"), 1)]), "no score"),
        (message(2, number(3, 1)), "no pieces"),
        (varint(10) + b"\x80" * 12, "does not end"),
        (number(1, 3), "a number stands"),
    ],
)
def test_models_that_cannot_be_used(tmp_path, content, cause):
    path = tmp_path / "odd.model"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=cause):
        read_sentencepiece(path)


def test_merges_of_pieces_go_in_the_order_of_the_ids():
    ids = {"a": 0, "b": 1, "c": 2, "bc": 3, "ab": 4, "abc": 5}
    assert merges_of(ids) == [("b", "c"), ("a", "b"), ("a", "bc"), ("ab", "c")]


# Start-up


def test_tokenizing_imports_neither_torch_nor_numpy(folders):
    code = """
import sys
from armature.inputs.text.tokenizer import Tokenizer
for folder in sys.argv[1:]:
    tokenizer = Tokenizer.from_pretrained(folder)
    batch = tokenizer(["Hello world", "a"], padding=tokenizer.pad_token is not None)
    tokenizer.decode(batch["input_ids"][0])
heavy = {"torch", "numpy", "jinja2", "transformers", "sentencepiece", "google", "huggingface_hub"}
print(sorted(heavy & set(sys.modules)))
"""
    paths = [str(folders(name)) for name in ("bert", "gpt2", "t5", "llama_json")]
    command = [sys.executable, "-c", code, *paths]
    out = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    assert out.strip() == "[]"
