"""Conversations: every turn is what the pipeline answers, and all of them are remembered."""

from __future__ import annotations

import json

import pytest
import torch
from conftest import GOLDEN

from armature import auto, pipeline
from armature.errors import ArgumentError, UnknownArgumentError
from armature.pipelines.conversation import Conversation
from armature.pipelines.kept import keep_beginning, new_cache

TEMPLATE = (
    "{% for m in messages %}{{ m['role'][0] }}:{{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}a:{% endif %}"
)


@pytest.fixture(scope="module")
def pipe():
    made = pipeline("text-generation", model=GOLDEN / "prompts")
    made.tokenizer.chat_template = TEMPLATE
    return made


@pytest.fixture(scope="module")
def plain():
    return pipeline("text-generation", model=GOLDEN / "prompts")


def test_each_answer_is_the_pipelines(pipe):
    talk = Conversation(pipe, system="Be brief.")
    expected = [{"role": "system", "content": "Be brief."}]
    for text in ("Hello", "你好"):
        expected.append({"role": "user", "content": text})
        (result,) = pipe(expected, max_new_tokens=6)
        expected = result["generated_text"]
        assert "".join(talk.answer(text, max_new_tokens=6)) == expected[-1]["content"]
    assert talk.messages == expected[1:]
    assert not talk.stopped


def test_each_turn_reads_only_what_is_new():
    pipe = pipeline("text-generation", model="starter/stories")
    pipe.tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"
    read, talk = [], Conversation(pipe)
    pipe.model.stack.blocks[0].register_forward_pre_hook(
        lambda _, given: read.append(given[0].shape[0])
    )
    messages = []
    for text in ("Once upon a time", "One day, a fox", "Then the fox"):
        read.clear()
        answer = "".join(talk.answer(text, max_new_tokens=20))
        if messages:  # what is new, and the last token, which nothing has been asked about
            assert read[0] < len(pipe.tokenizer(f" {text}\n\n")["input_ids"]) + 3
        messages.append({"role": "user", "content": text})
        (result,) = pipe(messages, max_new_tokens=20)
        messages = result["generated_text"]
        assert answer == messages[-1]["content"]


class Numbers:
    """A tokenizer that shows ids as they are."""

    clean_up_tokenization_spaces = False

    def decode(self, ids, **options):
        return "".join(f"{token} " for token in ids)


@pytest.mark.parametrize(
    "name",
    [
        "mistral-window",
        "phi3-grows",
        "ctrl-left",
        "llama-dynamic",
        "gemma2-uncapped",
        "bloom-normed",
        "transfo_xl-shared",
        "xlm-causal",
    ],
)
def test_whatever_a_model_keeps_a_text_goes_on_as_it_would_alone(name):
    folder = GOLDEN.parent / "arch" / name
    kind = json.loads((folder / "golden.json").read_text())["class"]
    model = auto.model_class(kind).from_pretrained(folder)
    settings = {"max_new_tokens": 5, "pad_token_id": 0, "eos_token_id": -1}
    cache, ids = new_cache(model), [7, 8, 9]
    kept = {} if cache is None else {"past_key_values": cache}
    for turn in range(4):
        if cache is not None:
            keep_beginning(cache, ids)
        given = torch.tensor([ids])
        said = "".join(model.stream(given, tokenizer=Numbers(), **settings, **kept))
        new = model.generate(given, **settings)[0, len(ids) :].tolist()
        assert said == Numbers().decode(new)
        ids = [*ids, *new[: 5 - turn], 10, 11]  # the whole answer, or less and less of it


def test_what_was_said_until_the_loop_is_left_is_kept(pipe):
    talk = Conversation(pipe)
    whole = list(Conversation(pipe).answer("the", max_new_tokens=12))
    pieces = talk.answer("the", max_new_tokens=12)
    first = next(pieces)
    pieces.close()
    assert talk.stopped
    assert talk.messages[-1] == {"role": "assistant", "content": first}
    assert first == whole[0]


def test_a_turn_that_fails_is_forgotten(pipe):
    talk = Conversation(pipe)
    with pytest.raises(UnknownArgumentError):
        list(talk.answer("the", max_new_token=12))
    with pytest.raises(ArgumentError):
        list(talk.answer("the", num_beams=2))
    assert talk.messages == []


def test_without_a_template_the_text_goes_on(plain):
    talk = Conversation(plain)
    assert talk.plain
    first = "".join(talk.answer("Hello", max_new_tokens=5))
    second = "".join(talk.answer("world", max_new_tokens=5))
    between = "" if first[-1:].isspace() else " "
    (expected,) = plain(
        f"Hello{first}{between}world",
        max_new_tokens=5,
        return_full_text=False,
        handle_long_generation="hole",
    )
    assert second == expected["generated_text"]


def test_the_earliest_turns_are_left_out_where_there_is_no_room(pipe):
    talk, seen = Conversation(pipe, system="S"), []
    for number in range(12):
        seen.append("".join(talk.answer(f"the list {number}", max_new_tokens=8)))
    assert len(talk.messages) == 24
    read = talk._prompt({"max_new_tokens": 8})
    assert read[0] == {"role": "system", "content": "S"}
    assert read[1]["role"] == "user"
    assert 1 < len(read) < 24
    assert read[1:] == talk.messages[25 - len(read) :]


def test_a_conversation_is_saved_and_goes_on(pipe, tmp_path):
    talk = Conversation(pipe, system="简短。")
    list(talk.answer("你好", max_new_tokens=4))
    talk.save(tmp_path / "talk.json")
    other = Conversation(pipe)
    other.load(tmp_path / "talk.json")
    assert (other.system, other.messages) == (talk.system, talk.messages)
    assert "".join(other.answer("the", max_new_tokens=4)) == "".join(
        talk.answer("the", max_new_tokens=4)
    )
    other.reset()
    assert (other.system, other.messages) == ("简短。", [])


@pytest.mark.parametrize(
    "content", ["{", "3", '{"messages": 3}', '[{"role": "user"}]', '[{"role": "x", "content": ""}]']
)
def test_a_file_that_holds_something_else_is_refused(pipe, tmp_path, content):
    (tmp_path / "talk.json").write_text(content)
    with pytest.raises(ArgumentError, match=r"talk\.json"):
        Conversation(pipe).load(tmp_path / "talk.json")


def test_a_list_of_messages_is_a_conversation(pipe, tmp_path):
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    (tmp_path / "talk.json").write_text(json.dumps(messages))
    talk = Conversation(pipe)
    talk.load(tmp_path / "talk.json")
    assert talk.messages == messages
