"""stream_text(): what a call returns, piece by piece."""

from __future__ import annotations

import pytest
from conftest import GOLDEN, opened

from armature import auto, pipeline
from armature.errors import ArgumentError, UnknownArgumentError

CHAT = [{"role": "user", "content": "Hello world"}]
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "
ARCH = GOLDEN.parent / "arch"


def whole(pipe, item, **options):
    return pipe(item, return_full_text=False, **options)[0]["generated_text"]


@pytest.mark.parametrize(
    "options", [{}, {"do_sample": True, "seed": 5}, {"max_new_tokens": 3}, {"stop_sequence": "e"}]
)
@pytest.mark.parametrize("prompt", ["Hello world", "你好 world"])
def test_a_prompt_is_continued(prompt, options):
    pipe = opened("prompts")
    options = {"max_new_tokens": 30, **options}
    assert "".join(pipe.stream_text(prompt, **options)) == whole(pipe, prompt, **options)


def test_a_conversation_is_answered():
    pipe = pipeline("text-generation", model=GOLDEN / "prompts")
    pipe.tokenizer.chat_template = TEMPLATE
    (answer,) = pipe(CHAT, max_new_tokens=12)
    streamed = "".join(pipe.stream_text(CHAT, max_new_tokens=12))
    assert answer["generated_text"] == [*CHAT, {"role": "assistant", "content": streamed}]


def test_a_text_is_written_for_a_text():
    pipe = opened("seq2seq")
    text = "Hello world! How are you?"
    (answer,) = pipe(text)
    assert "".join(pipe.stream_text(text)) == answer["generated_text"]


def test_a_model_streams():
    pipe = opened("prompts")
    batch = pipe.tokenizer("Hello world", return_tensors="pt")
    pieces = pipe.model.stream(**batch, tokenizer=pipe.tokenizer, max_new_tokens=12)
    assert "".join(pieces) == whole(pipe, "Hello world", max_new_tokens=12)


@pytest.mark.parametrize("name", ["mixtral-window", "phi3-grows", "ctrl-left", "biogpt-left"])
def test_every_kind_of_steps_streams(name):
    import json

    import torch

    kind = json.loads((ARCH / name / "golden.json").read_text())["class"]
    model, tokenizer = auto.model_class(kind).from_pretrained(ARCH / name), opened("prompts")
    ids, settings = torch.tensor([[7, 8, 9]]), {"max_new_tokens": 9, "eos_token_id": -1}
    new = model.generate(ids, **settings)[0, 3:]
    pieces = model.stream(ids, tokenizer=tokenizer.tokenizer, **settings)
    assert "".join(pieces) == tokenizer.tokenizer.decode(new, skip_special_tokens=True)


@pytest.mark.parametrize(
    ("item", "options", "words"),
    [
        (["a", "b"], {}, "one input"),
        ("a", {"return_tensors": True}, "token ids"),
        ("a", {"num_beams": 3}, "num_beams"),
    ],
)
def test_what_cannot_be_streamed_is_refused(item, options, words):
    with pytest.raises(ArgumentError, match=words):
        opened("prompts").stream_text(item, **options)


def test_an_unknown_option_is_refused():
    with pytest.raises(UnknownArgumentError, match="max_new_tokens"):
        opened("prompts").stream_text("a", max_new_token=3)
