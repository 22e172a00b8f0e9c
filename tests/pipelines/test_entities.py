"""Tokens become words, words become entities."""

from __future__ import annotations

import pytest
from conftest import close, opened

from armature.errors import ArgumentError
from armature.pipelines.entities import Token, grouped, merged, plain

LABELS = {0: "O", 1: "B-PER", 2: "I-PER", 3: "LOC", 4: "semi-open"}


def token(word, label, start, score=0.9, *, continues=False):
    scores = [(1 - score) / 4] * 5
    scores[label] = score
    return Token(word, start, start + len(word), scores, start, continues)


def kinds(entities):
    return [(entity["entity_group"], entity["word"]) for entity in entities]


TEXT = [
    token("Jo", 1, 0, 0.6),
    token("hn", 2, 2, 0.8, continues=True),
    token("Ann", 1, 5),
    token("saw", 0, 9),
    token("Rome", 3, 13),
    token("York", 3, 18),
]


def test_each_token_by_itself():
    assert plain(TEXT[:1], LABELS) == [
        {"entity": "B-PER", "score": 0.6, "index": 0, "word": "Jo", "start": 0, "end": 2}
    ]


def test_a_begin_starts_anew_and_equal_kinds_join():
    found = grouped(TEXT, LABELS, "simple", " ".join)
    assert kinds(found) == [("PER", "Jo hn"), ("PER", "Ann"), ("O", "saw"), ("LOC", "Rome York")]
    assert found[0]["score"] == pytest.approx(0.7)
    assert (found[3]["start"], found[3]["end"]) == (13, 22)


WORDS = [("first", "PER", 0.5), ("max", "LOC", 0.8), ("average", "LOC", 0.425)]


@pytest.mark.parametrize(("strategy", "label", "score"), WORDS)
def test_a_word_has_one_label(strategy, label, score):
    word = [token("New", 1, 0, 0.5), token("ark", 3, 3, 0.8, continues=True)]
    word[0].scores, word[1].scores = [0.4, 0.5, 0, 0.1, 0], [0.1, 0.1, 0, 0.8, 0]
    word[0].scores[3] = 0.05
    (found,) = grouped(word, LABELS, strategy, "".join)
    assert (found["entity_group"], found["word"]) == (label, "Newark")
    assert found["score"] == pytest.approx(score)


def test_a_label_is_cut_at_its_first_hyphen():
    assert kinds(grouped([token("door", 4, 0)], LABELS, "simple", "".join)) == [("open", "door")]


def test_of_overlapping_entities_the_longer_stays_then_the_surer():
    def entity(start, end, score):
        return {"start": start, "end": end, "score": score}

    long, short, sure = entity(0, 9, 0.1), entity(3, 8, 0.9), entity(0, 9, 0.5)
    assert merged([short, long]) == [long]
    assert merged([long, sure]) == [sure]
    assert merged([entity(9, 12, 0.2), long]) == [long, entity(9, 12, 0.2)]
    assert merged([]) == []


def test_windows_of_a_long_text_find_what_lies_beyond_the_models_reach(notes):
    pipe, text = opened("entities"), "John Smith went to New York, again. " * 9
    cut = pipe(text, aggregation_strategy="simple")
    assert "more than" in " ".join(notes())
    whole = pipe(text, aggregation_strategy="simple", stride=8)
    assert cut[-1]["end"] < len(text) / 2 < whole[-1]["start"]
    ends = [entity["end"] for entity in whole]
    starts = [entity["start"] for entity in whole]
    assert all(end <= start for end, start in zip(ends, starts[1:], strict=False))
    assert all(text[e["start"] : e["end"]].strip() for e in whole)


def test_words_given_as_a_list_have_their_places_in_the_joined_text():
    pipe = opened("entities")
    words = ["John", "Smith", "went", "to", "New", "York"]
    options = {"aggregation_strategy": "max", "ignore_labels": []}
    (found,) = pipe(words, is_split_into_words=True, **options)
    assert close(found, pipe(" ".join(words), **options))
    assert close(pipe([words, words[:2]], is_split_into_words=True, **options)[0], found)
    (dashed,) = pipe(words, is_split_into_words=True, delimiter="--", **options)
    joined = "--".join(words)
    for entity in dashed:
        assert joined[entity["start"] : entity["end"]].lower().startswith(entity["word"][:2])


def test_older_spellings_and_impossible_settings():
    pipe = opened("entities")
    text = "John Smith went to New York, again."
    assert pipe(text, grouped_entities=True) == pipe(text, aggregation_strategy="simple")
    assert pipe(text, aggregation_strategy="FIRST") == pipe(
        text, grouped_entities=True, ignore_subwords=True
    )
    with pytest.raises(ArgumentError, match="Did you mean `average`"):
        pipe(text, aggregation_strategy="averge")
    with pytest.raises(ArgumentError, match="aggregation_strategy"):
        pipe(text, stride=8)
