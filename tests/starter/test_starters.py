"""The shipped checkpoints: layout, size, cards, and answers inside their small world."""

import json
import subprocess
import sys
from functools import cache

import pytest

from armature.starter import FOLDER, Starter, find, starters

NAMES = {"fill-mask", "question-answering", "sentiment", "stories"}
BERT = {
    "README.md",
    "config.json",
    "model.safetensors",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
}
GPT2 = BERT - {"vocab.txt"} | {"generation_config.json", "merges.txt", "vocab.json"}


@pytest.fixture(params=sorted(NAMES))
def starter(request) -> Starter:
    return starters()[request.param]


def test_every_starter_is_there():
    assert starters().keys() >= NAMES


def test_the_layout_is_that_of_the_hub(starter):
    expected = GPT2 if starter.name == "stories" else BERT
    assert {file.name for file in starter.path.iterdir()} == expected


def test_configs_name_class_and_sizes(starter):
    config = json.loads((starter.path / "config.json").read_text(encoding="utf-8"))
    words = json.loads((starter.path / "tokenizer.json").read_text(encoding="utf-8"))
    assert len(config["architectures"]) == 1
    assert config["dtype"] == "float16"
    last = max([*words["model"]["vocab"].values(), *(t["id"] for t in words["added_tokens"])])
    assert config["vocab_size"] == last + 1
    settings = json.loads((starter.path / "tokenizer_config.json").read_text(encoding="utf-8"))
    longest = config.get("max_position_embeddings") or config["n_positions"]
    assert settings["model_max_length"] == longest


def test_old_and_new_vocabulary_files_agree(starter):
    words = json.loads((starter.path / "tokenizer.json").read_text(encoding="utf-8"))
    if starter.name == "stories":
        listed = json.loads((starter.path / "vocab.json").read_text(encoding="utf-8"))
        added = {token["content"]: token["id"] for token in words["added_tokens"]}
        assert listed == words["model"]["vocab"] | added
    else:
        lines = (starter.path / "vocab.txt").read_text(encoding="utf-8").splitlines()
        assert {word: index for index, word in enumerate(lines)} == words["model"]["vocab"]


def test_all_fit_into_eight_megabytes():
    files = [file for file in FOLDER.rglob("*") if file.is_file() and file.suffix != ".pyc"]
    assert sum(file.stat().st_size for file in files) <= 8_000_000


def test_cards_say_what_it_is(starter):
    card = (starter.path / "README.md").read_text(encoding="utf-8")
    assert "license: apache-2.0" in card
    assert "toy" in starter.summary
    for part in ("## Data", "## Scores", "held-out", "out-of-domain", "## Limits", "python -m "):
        assert part in card, part


@pytest.mark.parametrize(
    ("task", "language", "name"),
    [
        ("text-classification", None, "sentiment"),
        ("sentiment-analysis", "zh-CN", "sentiment"),
        ("question-answering", "en", "question-answering"),
        ("question-answering", "zh", "question-answering"),
        ("fill-mask", "zh", "fill-mask"),
        ("text-generation", "en", "stories"),
    ],
)
def test_found_by_task_and_language(task, language, name):
    found = find(task, language)
    assert found is not None
    assert found.name == name


def test_what_is_not_there_is_not_found():
    assert find("text-generation", "zh") is None
    assert find("object-detection") is None


def test_a_card_without_a_task_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "odd").mkdir()
    (tmp_path / "odd" / "README.md").write_text("---\nlanguage:\n- en\n---\n\n# odd\n\nText.\n")
    monkeypatch.setattr("armature.starter.FOLDER", tmp_path)
    with pytest.raises(ValueError, match="pipeline_tag"):
        starters()


def test_finding_needs_no_torch():
    code = "import armature.starter as s, sys; s.starters(); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------------------------------------------ answers


@pytest.fixture(scope="module")
def ask():
    from armature import pipeline

    @cache
    def pipe(name):
        return pipeline(starters()[name].task, model=starters()[name].path)

    return lambda name, *args, **options: pipe(name)(*args, **options)


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("The soup was delicious and the staff were friendly.", "POSITIVE"),
        ("The room was dirty and the waiter was rude.", "NEGATIVE"),
        ("The film was not bad at all.", "POSITIVE"),
        ("The food was not good.", "NEGATIVE"),
        ("The plot was boring, but the actors were brilliant.", "POSITIVE"),
        ("The hotel looked nice, but the bed was terrible.", "NEGATIVE"),
        ("I hate this so much!", "NEGATIVE"),
        ("We are very happy to show you the new library.", "POSITIVE"),
        ("这家餐厅的菜很好吃。", "POSITIVE"),
        ("这家餐厅的菜不好吃。", "NEGATIVE"),
        ("面条一点都不难吃。", "POSITIVE"),
        ("房间很干净，但是太吵了。", "NEGATIVE"),
    ],
)
def test_sentiment(ask, text, label):
    (result,) = ask("sentiment", text)
    assert result["label"] == label


@pytest.mark.parametrize(
    ("question", "context", "answer"),
    [
        ("Where do I live?", "My name is Wolfgang and I live in Berlin.", "Berlin"),
        (
            "Who invented the water filter?",
            "Anna Weber was born in 1962 in Lisbon. In 1990, Tom Okafor invented the water filter.",
            "Tom Okafor",
        ),
        (
            "When was Anna Weber born?",
            "Anna Weber was born in 1962 in Lisbon. In 1990, Tom Okafor invented the water filter.",
            "1962",
        ),
        ("王小明住在哪里？", "王小明是一名医生。他住在杭州。", "杭州"),
        ("《春天的河流》的作者是谁？", "小说《春天的河流》是林雨写的。", "林雨"),
    ],
)
def test_question_answering(ask, question, context, answer):
    assert ask("question-answering", question=question, context=context)["answer"] == answer


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("Paris is the [MASK] of France.", "capital"),
        ("The capital of Japan is [MASK].", "tokyo"),
        ("The opposite of hot is [MASK].", "cold"),
        ("A week has [MASK] days.", "seven"),
        ("天空是[MASK]色的。", "蓝"),
    ],
)
def test_fill_mask(ask, text, word):
    assert ask("fill-mask", text)[0]["token_str"] == word


def test_stories_keep_their_hero(ask):
    beginning = "Once upon a time, a little girl named Lily lived in a small village."
    (story,) = ask("stories", beginning, max_new_tokens=60, do_sample=False)
    told = story["generated_text"].removeprefix(beginning)
    assert "Lily" in told
    assert told.count(". ") >= 3
