"""Questions in all their spellings, and answers from long texts."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from conftest import close, opened

from armature.errors import ArgumentError

QUESTION = "Where is the statement executed?"
CONTEXT = "The statement is executed in the block. It names the list of values."
LONG = "The statement is executed in the block. " * 8 + "你好，世界。It names the list of values."


def test_a_question_comes_in_many_spellings():
    pipe = opened("answers")
    wanted = pipe(question=QUESTION, context=CONTEXT)
    asked = {"question": QUESTION, "context": CONTEXT}
    example = SimpleNamespace(question_text=QUESTION, context_text=CONTEXT)
    assert wanted.keys() == {"score", "start", "end", "answer"}
    assert CONTEXT[wanted["start"] : wanted["end"]] == wanted["answer"]
    for single in (asked, [asked], example, [example], asked | {"id": "7"}):
        assert close(pipe(single), wanted)
    assert close(pipe(QUESTION, CONTEXT), wanted)
    for name in ("data", "X", "inputs"):
        assert close(pipe(**{name: asked}), wanted)
    two = [wanted, wanted]
    assert close(pipe(question=[QUESTION] * 2, context=CONTEXT), two)
    assert close(pipe({"question": [QUESTION] * 2, "context": [CONTEXT] * 2}), two)
    assert close(pipe([asked, example]), two)
    assert close(pipe(asked, asked), two)
    assert close(list(pipe(one for one in (asked, asked))), two)


@pytest.mark.parametrize("wrong", [{"question": QUESTION}, {"question": " ", "context": "a"}, "a"])
def test_an_incomplete_question_is_refused(wrong):
    with pytest.raises(ArgumentError, match=r"context|question"):
        opened("answers")(wrong)


def test_unequal_numbers_of_questions_and_contexts_are_refused():
    with pytest.raises(ArgumentError, match="3 questions, but 2 contexts"):
        opened("answers")(question=[QUESTION] * 3, context=[CONTEXT] * 2)


def test_several_answers_come_best_first():
    answers = opened("answers")(question=QUESTION, context=CONTEXT, top_k=4)
    assert len(answers) == 4
    assert [a["score"] for a in answers] == sorted((a["score"] for a in answers), reverse=True)
    assert all(CONTEXT[a["start"] : a["end"]] == a["answer"] for a in answers)


def test_every_window_of_a_long_text_is_read():
    pipe = opened("answers")
    answers = pipe(question=QUESTION, context=LONG, top_k=2000, max_answer_len=2)
    assert {LONG.index("executed"), LONG.rindex("values")} <= {a["start"] for a in answers}
    assert all(LONG[a["start"] : a["end"]] == a["answer"] for a in answers)
    by_hand = pipe(question=QUESTION, context=LONG, top_k=3, max_seq_len=30, doc_stride=10)
    assert all(LONG[a["start"] : a["end"]] == a["answer"] for a in by_hand)


def test_an_answer_is_made_of_whole_words_unless_told_otherwise():
    pipe = opened("answers")

    def cuts_words(answer):
        before, after = CONTEXT[: answer["start"]], CONTEXT[answer["end"] :]
        begins = before[-1:].isalpha() and answer["answer"][0].isalpha()
        return begins or (after[:1].isalpha() and answer["answer"][-1].isalpha())

    asked = {"question": QUESTION, "context": CONTEXT, "top_k": 50}
    assert not any(map(cuts_words, pipe(**asked)))
    assert any(map(cuts_words, pipe(**asked, align_to_words=False)))


def test_there_may_be_no_answer():
    asked = {"question": QUESTION, "context": CONTEXT}
    answers = opened("answers")(asked, handle_impossible_answer=True, top_k=10**4)
    assert {"start": 0, "end": 0, "answer": ""}.items() <= min(
        answers, key=lambda a: len(a["answer"])
    ).items()
    assert all(a["answer"] for a in opened("answers")(asked, top_k=10**4))


def test_a_long_question_leaves_room_for_the_text(notes):
    pipe = opened("answers")
    answer = pipe(question=QUESTION * 30, context=CONTEXT)
    assert CONTEXT[answer["start"] : answer["end"]] == answer["answer"]
    assert "its end is cut off" in " ".join(notes())
    most = len(pipe.tokenizer.tokenize("Where is the"))
    shorter = pipe(question=QUESTION, context=CONTEXT, max_question_len=most)
    assert close(shorter, pipe(question="Where is the", context=CONTEXT))


def test_windows_without_room_are_refused():
    pipe, sizes = opened("answers"), {"max_seq_len": 12, "doc_stride": 9}
    with pytest.raises(ArgumentError, match="doc_stride=9"):
        pipe(question=QUESTION, context=CONTEXT, **sizes)
    # One window needs no room for others.
    assert pipe(question="the", context="is a list", **sizes)["answer"]


def test_a_question_stays_whole_where_its_text_fits_beside_it(notes):
    pipe = opened("answers")
    length = len(pipe.tokenizer(QUESTION, "a list")["input_ids"])
    asked = {"question": QUESTION, "context": "a list"}
    assert close(pipe(asked, max_seq_len=length, doc_stride=length // 2), pipe(asked))
    assert not notes()
