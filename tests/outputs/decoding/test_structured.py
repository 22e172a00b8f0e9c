"""Texts that follow a JSON schema, an expression or a grammar, written by models of pure chance."""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path

import pytest
import torch

import armature
from armature.errors import ArgumentError, UnknownArgumentError
from armature.inputs.text.token_bytes import token_bytes
from armature.outputs.decoding.engine import Engine

pytest.importorskip("llguidance")

TOKENIZERS = Path(__file__).parents[2] / "golden" / "tokenizers"
NAMES = ("gpt2", "qwen2", "llama", "gemma")  # bytes as letters; pieces with bytes to fall back on
PERSON = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 8},
        "city": {"enum": ["北京", "上海", "Paris"]},
        "age": {"type": "integer", "minimum": 0, "maximum": 120},
        "height": {"type": "number"},
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 5}, "maxItems": 3},
        "home": {
            "type": "object",
            "properties": {"rented": {"type": "boolean"}, "note": {"type": ["string", "null"]}},
            "required": ["rented"],
            "additionalProperties": False,
        },
    },
    "required": ["name", "city", "age", "home"],
    "additionalProperties": False,
}
SIGNS = 'start: sum\nsum: term | sum "+" term\nterm: /[0-9]{1,3}/ | "(" sum ")"\n'


def check_person(text):
    found = json.loads(text)
    assert {"name", "city", "age", "home"} <= found.keys() <= PERSON["properties"].keys()
    assert 1 <= len(found["name"]) <= 8
    assert found["city"] in PERSON["properties"]["city"]["enum"]
    assert type(found["age"]) is int
    assert 0 <= found["age"] <= 120
    assert isinstance(found.get("height", 1.5), int | float)
    assert len(found.get("tags", [])) <= 3
    assert all(len(tag) <= 5 for tag in found.get("tags", []))
    assert {"rented"} <= found["home"].keys() <= {"rented", "note"}
    assert type(found["home"]["rented"]) is bool
    assert isinstance(found["home"].get("note"), str | None)


@cache
def tokenizer_of(name):
    return armature.AutoTokenizer.from_pretrained(TOKENIZERS / name)


@cache
def model_of(name):
    """A model of pure chance, with more ids than the tokenizer has words."""
    torch.manual_seed(3)
    tokenizer = tokenizer_of(name)
    config = armature.LlamaConfig(
        vocab_size=len(tokenizer) + 11,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=24,
        max_position_embeddings=2048,
        initializer_range=0.4,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=0,
    )
    return armature.LlamaForCausalLM(config).eval()


def write(name, rows=1, **settings):
    """Return for each row its text, and whether it ended by itself."""
    model, tokenizer = model_of(name), tokenizer_of(name)
    ids = torch.arange(rows * 3).view(rows, 3) + 300
    settings = {"max_new_tokens": 400, "tokenizer": tokenizer, **settings}
    out = model.generate(ids, **settings)[:, 3:].tolist()
    end = settings.get("eos_token_id", tokenizer.eos_token_id)
    return [(tokenizer.decode(_until(row, end)), end in row) for row in out]


def _until(row, end):
    return row[: row.index(end)] if end in row else row


@pytest.mark.parametrize("name", NAMES)
def test_every_text_that_ends_is_what_the_schema_says(name):
    ended = 0
    for seed in range(14):
        texts = write(
            name, 4, json_schema=PERSON, do_sample=True, seed=[seed * 10 + i for i in range(4)]
        )
        for text, over in texts:
            ended += over
            if over:
                check_person(text)
    assert ended >= 50


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"do_sample": True, "seed": 4},
        {"do_sample": True, "top_k": 5, "temperature": 2.0},
        {"do_sample": True, "num_return_sequences": 3, "seed": 1},
        {"num_beams": 3},
        {"num_beams": 4, "num_beam_groups": 2, "diversity_penalty": 0.5},
        {"num_beams": 3, "do_sample": True, "seed": 5},
        {"prompt_lookup_num_tokens": 3},
        {"penalty_alpha": 0.6, "top_k": 4},
        {"repetition_penalty": 1.3},
    ],
)
def test_every_search_keeps_to_an_expression(name, settings):
    torch.manual_seed(0)
    pattern = r"(北京|上海)-[0-9]{4}(-[a-f]{2,5})?"
    for text, over in write(name, 2, regex=pattern, max_new_tokens=60, **settings):
        assert over
        assert re.fullmatch(pattern, text)


@pytest.mark.parametrize("name", NAMES)
def test_a_grammar_is_kept(name):
    sums = re.compile(r"[0-9+()]+")
    ended = 0
    for seed in range(10):
        settings = {"do_sample": True, "seed": seed, "max_new_tokens": 150}
        ((text, over),) = write(name, grammar=SIGNS, **settings)
        assert sums.fullmatch(text)
        ended += over
        if over:
            assert isinstance(eval(re.sub(r"\b0+(?=\d)", "", text)), int)
    assert ended


def test_an_engine_keeps_each_request_to_its_own():
    model, tokenizer = model_of("qwen2"), tokenizer_of("qwen2")
    patterns = [r"[0-9]{3}", r"(是|否)", None, r"[a-z]{5}"]
    engine = Engine(model)
    requests = [
        engine.submit(
            torch.tensor([[300 + i, 301]]),
            tokenizer=tokenizer,
            regex=pattern,
            max_new_tokens=30,
            do_sample=True,
            seed=i,
        )
        for i, pattern in enumerate(patterns)
    ]
    engine.run()
    for i, (request, pattern) in enumerate(zip(requests, patterns, strict=True)):
        ids = request.result()
        alone = model.generate(
            torch.tensor([[300 + i, 301]]),
            tokenizer=tokenizer,
            regex=pattern,
            max_new_tokens=30,
            do_sample=True,
            seed=i,
        )
        assert ids.tolist() == alone.tolist()
        text = tokenizer.decode(ids[0, 2:], skip_special_tokens=True)
        assert pattern is None or re.fullmatch(pattern, text)


def test_a_row_gets_what_it_gets_alone():
    settings = {"json_schema": PERSON, "do_sample": True, "max_new_tokens": 200}
    together = write("qwen2", 3, seed=[7, 8, 9], **settings)
    assert together[0] == write("qwen2", 1, seed=[7], **settings)[0]


def test_a_text_that_has_no_room_is_the_beginning_of_one():
    whole = write("qwen2", json_schema=PERSON)[0][0]
    cut, over = write("qwen2", json_schema=PERSON, max_new_tokens=9)[0]
    assert not over
    assert whole.startswith(cut.rstrip("\N{REPLACEMENT CHARACTER}"))


def test_a_text_is_streamed():
    pieces = model_of("qwen2").stream(
        torch.tensor([[300, 301, 302]]),
        tokenizer=tokenizer_of("qwen2"),
        regex="今天[0-9]{2}度",
        max_new_tokens=40,
    )
    assert re.fullmatch("今天[0-9]{2}度", "".join(pieces))


def test_a_space_that_decoding_drops_is_not_the_first_token():
    for seed in range(10):
        ((text, over),) = write("llama", regex="[ a-c]{3}", do_sample=True, seed=seed)
        assert over
        assert re.fullmatch("[ a-c]{3}", text)


def test_a_class_with_a_schema_and_json_text_say_the_same():
    class Person:
        @staticmethod
        def model_json_schema():
            return PERSON

    whole = write("gpt2", json_schema=PERSON, max_new_tokens=60)
    assert write("gpt2", json_schema=Person, max_new_tokens=60) == whole
    assert write("gpt2", json_schema=json.dumps(PERSON), max_new_tokens=60) == whole


def test_settings_of_a_configuration_count():
    config = armature.GenerationConfig(regex="ab?", max_new_tokens=9)
    (text, _), *_ = write("gpt2", generation_config=config, max_new_tokens=None)
    assert text in ("a", "ab")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"json_schema": {"type": "strin"}}, "strin"),
        ({"json_schema": {"type": "string", "minLength": 4, "maxLength": 3}}, "minLength"),
        ({"json_schema": False}, "Unsatisfiable"),
        ({"json_schema": '{"type": '}, "no JSON"),
        ({"json_schema": [1]}, "a table"),
        ({"json_schema": {"$ref": "#/nowhere"}}, "nowhere"),
        ({"regex": "a("}, "regex"),
        ({"regex": 3}, "should be a text"),
        ({"grammar": "start: missing"}, "missing"),
        ({"regex": "a", "grammar": "start: /a/"}, "drop one"),
        ({"regex": "a", "tokenizer": None}, "tokenizer=tokenizer"),
        ({"regex": "a", "eos_token_id": -1}, "eos_token_id"),
    ],
)
def test_what_cannot_be_followed_is_refused(settings, words):
    with pytest.raises(ArgumentError, match=re.escape(words)):
        write("gpt2", **settings)


def test_a_vocabulary_that_lacks_a_letter_says_so():
    words = {"<unk>": 0, "</s>": 1, **{f"▁{letter}": i for i, letter in enumerate("abc", 2)}}
    words |= {letter: i for i, letter in enumerate("abcd", 5)}
    tokenizer = _pieces(words)
    model = model_of("gpt2")
    settings = {"tokenizer": tokenizer, "eos_token_id": 1, "max_new_tokens": 5}
    out = model.generate(torch.tensor([[5, 6]]), regex="ab?", **settings)
    assert tokenizer.decode(out[0, 2:], skip_special_tokens=True) in ("a", "ab")
    with pytest.raises(ArgumentError, match="after 'ab'"):
        model.generate(torch.tensor([[5, 6]]), regex="ab好", **settings)


def _pieces(words):
    import tokenizers
    from tokenizers import decoders, models

    backend = tokenizers.Tokenizer(models.BPE(words, [], unk_token="<unk>"))
    backend.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return armature.PreTrainedTokenizerFast(
        tokenizer_object=backend, unk_token="<unk>", eos_token="</s>"
    )


@pytest.mark.parametrize("name", ["bert", "ctrl", "biogpt", "openai_gpt"])
def test_a_tokenizer_whose_texts_are_not_its_tokens_side_by_side_is_refused(name):
    tokenizer = tokenizer_of(name)
    with pytest.raises(ArgumentError, match="side by side"):
        token_bytes(tokenizer, len(tokenizer))


@pytest.mark.parametrize("name", [*NAMES, "llama3", "falcon", "bloom", "roberta"])
def test_bytes_of_tokens_are_the_bytes_of_texts(name):
    tokenizer = tokenizer_of(name)
    parts = token_bytes(tokenizer, len(tokenizer) + 5).parts
    for text in ("The list is printed again.", "今天天气很好 🙂", "def f(x):\n\treturn 'é'"):
        ids = tokenizer(text, add_special_tokens=False)["input_ids"]
        joined = b"".join(parts[i] or b"" for i in ids).decode()
        assert joined.removeprefix(" ") == tokenizer.decode(ids).removeprefix(" ")
    assert parts[len(tokenizer) :] == [None] * 5
    assert parts[tokenizer.eos_token_id] is None


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(ArgumentError, match=r"armature-models\[structured\]"):
        write("gpt2", regex="a")


def test_a_misspelt_setting_is_refused():
    with pytest.raises(UnknownArgumentError, match="json_schema"):
        write("gpt2", json_shema=PERSON)
