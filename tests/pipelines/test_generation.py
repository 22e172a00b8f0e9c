"""Prompts are continued, conversations answered, texts summarized and translated."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from conftest import GOLDEN, close, opened

from armature import pipeline
from armature.errors import ArgumentError, UnknownArgumentError
from armature.pipelines.seq2seq import TranslationPipeline

PROMPT = "Hello world"


@pytest.fixture
def checkpoint(tmp_path):
    """A copy of a golden checkpoint with some keys of a file changed."""

    def make(name, file="config.json", **changes):
        folder = tmp_path / name
        if not folder.exists():
            shutil.copytree(GOLDEN / name, folder)
        settings = json.loads((folder / file).read_text(encoding="utf-8"))
        (folder / file).write_text(json.dumps(settings | changes), encoding="utf-8")
        return folder

    return make


def new_text(**options):
    return opened("prompts")(PROMPT, return_full_text=False, **options)[0]["generated_text"]


def test_the_prompt_comes_back_or_not():
    pipe = opened("prompts")
    new = new_text(max_new_tokens=5)
    assert pipe(PROMPT, max_new_tokens=5) == [{"generated_text": PROMPT + new}]
    assert pipe(text_inputs=PROMPT, max_new_tokens=5) == [{"generated_text": PROMPT + new}]
    (ids,) = pipe(PROMPT, max_new_tokens=5, return_tensors=True)
    prompt = pipe.tokenizer(PROMPT)["input_ids"]
    assert ids["generated_token_ids"][: len(prompt)] == prompt
    assert pipe.tokenizer.decode(ids["generated_token_ids"][len(prompt) :]) == new
    assert pipe(PROMPT, max_new_tokens=5, return_text=False) == [ids]


@pytest.mark.parametrize(
    "options",
    [
        {"return_full_text": True, "return_text": True},
        {"return_full_text": True, "return_tensors": True},
        {"return_text": True, "return_tensors": True},
        {"handle_long_generation": "hold"},
        {"seed": [1, 2]},
    ],
)
def test_options_that_contradict_each_other_are_refused(options):
    with pytest.raises(ArgumentError):
        opened("prompts")(PROMPT, **options)


def test_several_continuations_of_each_prompt():
    options = {"max_new_tokens": 4, "do_sample": True, "num_return_sequences": 3, "seed": 5}
    results = opened("prompts")([PROMPT, "a"], **options)
    assert [len(result) for result in results] == [3, 3]
    assert len({one["generated_text"] for one in results[0]}) > 1
    assert opened("prompts")(PROMPT, **options) == results[0]


def test_a_prefix_is_read_but_not_returned():
    after = opened("prompts")("Say: " + PROMPT, max_new_tokens=5, return_full_text=False)
    assert new_text(prefix="Say: ", max_new_tokens=5) == after[0]["generated_text"]


def test_an_empty_prompt_begins_with_the_first_token():
    pipe = opened("prompts")
    begin = pipe.tokenizer.bos_token_id
    wanted = pipe.model.generate(torch.tensor([[begin]]), max_new_tokens=4)[0].tolist()
    assert pipe("", max_new_tokens=4, return_tensors=True) == [{"generated_token_ids": wanted}]
    text = pipe.tokenizer.decode(wanted, skip_special_tokens=True)
    assert pipe("", max_new_tokens=4) == [{"generated_text": text}]
    assert pipe(["", PROMPT], max_new_tokens=4)[0] == pipe("", max_new_tokens=4)


def test_of_a_prompt_that_is_too_long_the_end_is_read(notes):
    pipe, long = opened("prompts"), "Hello world " * 60
    options = {"max_new_tokens": 6, "return_full_text": False}
    ids = torch.tensor([pipe.tokenizer(long)["input_ids"]])

    def after(length):
        new = pipe.model.generate(ids[:, 6 - length :], max_new_tokens=6)[0, length - 6 :]
        return [{"generated_text": pipe.tokenizer.decode(new)}]

    assert pipe(long, **options) == after(80)
    assert "only its end is read" in " ".join(notes())
    assert pipe.tokenizer.model_max_length == 64
    assert pipe(long, handle_long_generation="hole", **options) == after(64)
    with pytest.raises(ArgumentError, match="lower max_new_tokens"):
        pipe(long, handle_long_generation="hole", max_new_tokens=80)
    with pytest.raises(ArgumentError, match="540 tokens, but the model takes 80"):
        pipe(long, truncation=False)
    start = pipe(long, truncation=True, **options)
    assert start == pipe(pipe.tokenizer.decode(ids[0, :64]), **options) != after(64)


def test_a_stop_sequence_ends_the_text():
    text = new_text(max_new_tokens=8)
    stop = text[len(text) // 2]
    stopped = new_text(max_new_tokens=8, stop_sequence=stop)
    assert text.startswith(stopped)
    assert len(stopped) < len(text)
    assert stop in stopped


def test_how_long_a_text_gets(checkpoint):
    pipe = opened("prompts")
    length = len(pipe.tokenizer(PROMPT)["input_ids"])

    def new(model=pipe, **options):
        (found,) = model(PROMPT, return_tensors=True, **options)
        return len(found["generated_token_ids"]) - length

    assert new() == 20
    assert new(max_new_tokens=3) == 3
    assert new(max_length=length + 4) == 4
    says = {"text-generation": {"max_length": length + 7}}
    told = pipeline("text-generation", model=checkpoint("prompts", task_specific_params=says))
    assert new(told) == 7
    assert new(told, max_new_tokens=2) == 2
    assert new(told, max_length=length + 1) == 1


TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def test_conversations_are_answered(checkpoint):
    folder = checkpoint("prompts", "tokenizer_config.json", chat_template=TEMPLATE)
    pipe = pipeline("text-generation", model=folder, max_new_tokens=4)
    asked = [{"role": "user", "content": "Hello"}]
    new = pipe("<user>Hello<assistant>", return_full_text=False)[0]["generated_text"]
    answered = [*asked, {"role": "assistant", "content": new}]
    assert pipe(asked) == [{"generated_text": answered}]
    assert pipe(asked, return_full_text=False) == [{"generated_text": new}]
    assert pipe([asked, "Hello"])[0] == [{"generated_text": answered}]
    begun = [*asked, {"role": "assistant", "content": "I"}]
    more = pipe("<user>Hello<assistant>I", return_full_text=False)[0]["generated_text"]
    (result,) = pipe(begun)
    assert result["generated_text"] == [*asked, {"role": "assistant", "content": "I" + more}]
    (result,) = pipe(begun, continue_final_message=False)
    assert result["generated_text"][:2] == begun
    assert result["generated_text"][2]["role"] == "assistant"


def test_what_is_no_prompt_is_refused():
    with pytest.raises(ArgumentError, match="messages"):
        opened("prompts")([["Hello", "world"]])
    with pytest.raises(UnknownArgumentError, match="Did you mean `max_new_tokens`"):
        opened("prompts")(PROMPT, max_new_token=3)


def test_the_checkpoint_says_how_a_task_is_done(checkpoint):
    said = {"summarization": {"prefix": "sum: ", "max_length": 9, "num_beams": 2, "odd": 1}}
    pipe = pipeline("summarization", model=checkpoint("seq2seq", task_specific_params=said))
    plain = opened("seq2seq")
    wanted = plain("sum: " + PROMPT, max_length=9, num_beams=2)[0]["generated_text"]
    assert pipe(PROMPT) == [{"summary_text": wanted}]
    # What a caller says wins; what the checkpoint says beside it stays.
    wanted = plain("sum: " + PROMPT, max_new_tokens=3, num_beams=2)[0]["generated_text"]
    assert pipe(PROMPT, max_new_tokens=3) == [{"summary_text": wanted}]
    assert pipe.model.config.to_dict() == pipe.model.config.to_dict() | {
        "task_specific_params": said
    }


def test_a_translation_takes_its_languages_by_name_or_as_options():
    named, plain = opened("seq2seq", "translation_en_to_de"), opened("seq2seq", "translation")
    wanted = named(PROMPT)
    assert wanted[0].keys() == {"translation_text"}
    assert plain(PROMPT, src_lang="en", tgt_lang="de") == wanted
    assert plain(PROMPT) != wanted
    with pytest.raises(ArgumentError, match="tlh to de"):
        plain(PROMPT, src_lang="tlh", tgt_lang="de")


class Multilingual:
    """A tokenizer that knows languages, made of one that does not."""

    src_lang = "en"
    tokens = {"de": 300, "ro": 301}  # noqa: RUF012

    def __init__(self, inner):
        self.inner, self.heard = inner, []

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def __call__(self, texts, src_lang=None, **given):
        self.heard.append(src_lang)
        return self.inner(texts, **given)

    def get_lang_id(self, language):
        if language not in self.tokens:
            raise ArgumentError(f"The language {language!r} is not known")
        return self.tokens[language]


def test_a_tokenizer_with_languages_is_told_and_the_model_begins_with_the_target():
    plain = opened("seq2seq")
    tokenizer = Multilingual(plain.tokenizer)

    def second(task, **options):
        pipe = TranslationPipeline(plain.model, tokenizer, task=task)
        (found,) = pipe(PROMPT, max_new_tokens=3, return_tensors=True, **options)
        return found["translation_token_ids"].tolist()[1]

    assert second("translation", src_lang="en", tgt_lang="de") == 300
    assert second("translation", tgt_lang="ro") == 301
    assert second("translation_fr_to_ro") == 301
    assert second("translation_fr_to_ro", tgt_lang="de") == 300
    assert tokenizer.heard == ["en", None, "fr", "fr"]
    with pytest.raises(ArgumentError, match="'tlh'"):
        second("translation", tgt_lang="tlh")


def test_texts_of_a_list_come_without_their_own_lists():
    pipe = opened("seq2seq")
    alone = [pipe(text, max_new_tokens=4) for text in (PROMPT, "a list")]
    assert pipe([PROMPT, "a list"], max_new_tokens=4) == [one[0] for one in alone]
    several = pipe([PROMPT, "a"], max_new_tokens=4, num_beams=2, num_return_sequences=2)
    assert [len(result) for result in several] == [2, 2]
    (ids,) = pipe(PROMPT, max_new_tokens=4, return_tensors=True)
    assert isinstance(ids["generated_token_ids"], torch.Tensor)
    with pytest.raises(ArgumentError, match="takes texts, not int"):
        pipe([3])


def test_batches_do_not_fill_up_token_ids():
    pipe = opened("seq2seq")
    texts = [PROMPT, "a list of names", "once"]
    options = {"max_new_tokens": 9, "return_tensors": True, "num_beams": 3}
    assert close(pipe(texts, **options), [pipe(text, **options)[0] for text in texts])


def test_other_searches_are_asked_for_by_their_settings():
    pipe, plain = opened("prompts"), new_text(max_new_tokens=9)
    assert new_text(max_new_tokens=9, assistant_model=pipe.model) == plain
    assert new_text(max_new_tokens=9, prompt_lookup_num_tokens=3) == plain
    both = {"assistant_model": pipe.model, "assistant_tokenizer": pipe.tokenizer}
    assert new_text(max_new_tokens=9, **both) == plain
    assert new_text(max_new_tokens=9, penalty_alpha=0.9, top_k=4) != plain
    word = pipe.tokenizer("Hello", add_special_tokens=False).input_ids
    forced = new_text(max_new_tokens=9, num_beams=4, force_words_ids=[word, word[:1]])
    assert isinstance(forced, str)
