"""`armature run`: where texts come from, what comes out, and how it ends."""

from __future__ import annotations

import json

import pytest
import torch

import armature as package

LETTERS = "abcdefghijklmnopqrstuvwxyz"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "on", "mat", "房", "间"]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    """Save a small random model of a class, with a tokenizer; it counts as trained."""

    def folder_of(class_name, **settings):
        folder = tmp_path_factory.mktemp(class_name)
        torch.manual_seed(0)
        config = package.BertConfig(
            vocab_size=len(WORDS) + 26,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=64,
            **settings,
        )
        getattr(package, class_name)(config).save_pretrained(folder)
        words = [*WORDS, *(f"##{letter}" for letter in LETTERS)]
        (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
        (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}')
        return folder

    return folder_of


@pytest.fixture(scope="module")
def classifier(folder_of):
    return folder_of("BertForSequenceClassification", id2label={0: "bad", 1: "good"})


def lines(result):
    assert result.exit_code == 0, result.stderr
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_json_is_one_value_per_input_and_stdout_holds_nothing_else(armature, classifier):
    result = armature("run", "sentiment", "the cat", "the mat", "--json", "-m", classifier)
    assert [set(line) for line in lines(result)] == [{"label", "score"}] * 2
    assert "ready after" in result.stderr


def test_results_are_those_of_the_pipeline_and_in_order(armature, classifier):
    texts = ["the cat sat on the mat", "mat", "cat sat", "the"]
    pipe = package.pipeline("text-classification", model=str(classifier))
    result = lines(armature("run", "classify", "--json", "-m", classifier, input="\n".join(texts)))
    for line, expected in zip(result, pipe(texts), strict=True):
        assert line["label"] == expected["label"]
        assert line["score"] == pytest.approx(expected["score"], abs=1e-5)


def test_files_stdin_and_arguments_can_be_mixed(armature, classifier, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("the cat\n\n  \nthe mat\n", encoding="utf-8-sig")
    command = ["run", "sentiment", "cat", "-", "--file", file, "--json", "-m", classifier]
    assert len(lines(armature(*command, input="sat\non\n"))) == 5


def test_bars_for_people(armature, classifier):
    out = armature("run", "sentiment", "cat", "-m", classifier, "--set", "top_k=2").stdout
    assert {line.split()[0] for line in out.splitlines()} == {"good", "bad"}
    assert "█" in out


def test_the_task_is_found_in_the_checkpoint(armature, classifier):
    result = armature("run", "auto", "cat", "--json", "-m", classifier)
    assert lines(result)[0]["label"] in {"good", "bad"}


def test_a_question_is_asked_of_a_whole_file(armature, folder_of, tmp_path):
    file = tmp_path / "story.txt"
    file.write_text("the cat sat\non the mat\n")
    folder = folder_of("BertForQuestionAnswering")
    result = armature("run", "qa", "-q", "the cat", "--file", file, "--json", "-m", folder)
    (answer,) = lines(result)
    assert answer["answer"] == "the cat sat\non the mat"[answer["start"] : answer["end"]]
    shown = armature("run", "qa", "-q", "the cat", "--file", file, "-m", folder).stdout
    assert answer["answer"].split()[0] in shown
    missing = armature("run", "qa", "the cat sat", "-m", folder)
    assert missing.exit_code == 2
    assert "--question" in missing.stderr


def test_other_tasks_show_something_for_people(armature, folder_of):
    masked = armature("run", "fill", "the [MASK] sat", "-m", folder_of("BertForMaskedLM"))
    *fills, sentence = masked.stdout.splitlines()
    assert len(fills) == 5
    assert sentence.endswith("sat")
    tagger = folder_of("BertForTokenClassification", id2label={0: "X", 1: "Y"})
    assert "cat[" in armature("run", "ner", "the cat sat", "-m", tagger).stdout
    vectors = armature("run", "features", "the cat", "-m", folder_of("BertModel")).stdout
    assert "4 tokens × 16" in vectors


def test_an_untrained_head_is_refused_unless_it_is_allowed(armature, folder_of):
    folder = folder_of("BertModel")
    refused = armature("run", "sentiment", "cat", "-m", folder)
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "no trained head" in refused.stderr
    command = ["run", "sentiment", "cat", "-m", folder, "--allow-untrained-head", "--json"]
    assert len(lines(armature(*command))) == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "sentimental", "x"], "sentiment"),
        (["run", "sentiment", "x", "--set", "top_k"], "NAME=VALUE"),
        (["run", "sentiment", "--file", "/nowhere.txt"], "/nowhere.txt"),
        (["run"], "TASK"),
    ],
)
def test_wrong_usage_ends_with_2(armature, arguments, says):
    result = armature(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert says in result.stderr


def test_nothing_to_read_is_wrong_usage(armature, classifier):
    assert armature("run", "sentiment", "-", "-m", classifier, input="\n \n").exit_code == 2


def test_an_unknown_option_of_the_task_names_the_nearest(armature, classifier):
    result = armature("run", "sentiment", "cat", "-m", classifier, "--set", "topk=3")
    assert (result.exit_code, result.stdout) == (1, "")
    assert "`top_k`" in result.stderr


def test_what_is_not_text_is_refused_with_its_place(armature, classifier, tmp_path):
    file = tmp_path / "image.png"
    file.write_bytes(b"cat\n\x89PNG\xff\xfe")
    result = armature("run", "sentiment", "--file", file, "-m", classifier)
    assert result.exit_code == 2
    assert "image.png, line 2" in result.stderr


def test_settings_are_json_where_they_are_json(armature, classifier):
    result = armature(
        "run", "sentiment", "cat", "--json", "-m", classifier, "-s", "function_to_apply=none",
        "-s", "top_k=null",
    )  # fmt: skip
    scores = [row["score"] for row in lines(result)[0]]
    assert len(scores) == 2
    assert sum(scores) != pytest.approx(1.0, abs=1e-3)  # logits: no softmax was applied
