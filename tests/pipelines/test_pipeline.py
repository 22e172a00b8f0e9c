"""pipeline(): from a task, a model or both to a pipeline, with nothing silently guessed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest
from conftest import GOLDEN, TASK_OF, close, opened

from armature import AutoModel, AutoModelForMaskedLM, AutoTokenizer, pipeline
from armature.checkpoint.hub import resolve
from armature.errors import ArgumentError, CheckpointError, UnknownArgumentError
from armature.pipelines import ALIASES, TASKS, defaults, find, task_of


def test_importing_pipelines_is_light():
    code = "import sys, armature.pipelines; from armature import pipeline; print(*sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "tokenizers", "huggingface_hub"} & set(out.stdout.split())


@pytest.mark.parametrize("name", TASK_OF)
def test_a_folder_tells_its_task(name):
    assert pipeline(model=GOLDEN / name).task == TASK_OF[name]


@pytest.mark.parametrize(
    ("class_name", "task"),
    [
        ("BertModel", "feature-extraction"),
        ("BertForPreTraining", "fill-mask"),
        ("GPT2LMHeadModel", "text-generation"),
        ("BartForConditionalGeneration", "text2text-generation"),
        ("T5EncoderModel", "feature-extraction"),
        ("RobertaForSequenceClassification", "text-classification"),
    ],
)
def test_a_class_tells_its_task(class_name, task):
    assert task_of([class_name]) == task


def test_a_class_that_no_pipeline_uses_is_named_with_what_opens_it():
    with pytest.raises(ArgumentError, match="AutoModelForMultipleChoice"):
        task_of(["BertForMultipleChoice"])
    with pytest.raises(ArgumentError, match="names none"):
        task_of([])


def test_every_task_has_its_pipeline():
    from armature import pipelines
    from armature.auto import AUTO_MODELS

    for name, entry in TASKS.items():
        assert getattr(pipelines, entry.pipeline).default_task == name
        assert entry.auto in AUTO_MODELS
    with pytest.raises(AttributeError):
        pipelines.NoPipeline  # noqa: B018
    for alias, name in ALIASES.items():
        assert find(alias) is TASKS[name]
    assert find("translation_en_to_fr") is find("translation_zh-CN_to_en") is TASKS["translation"]


def test_unknown_tasks():
    with pytest.raises(ArgumentError, match="Did you mean `sentiment-analysis`"):
        pipeline("sentiment-analisys")
    with pytest.raises(ArgumentError, match="a task, a model, or both"):
        pipeline()


def test_an_alias_keeps_its_name():
    pipe = pipeline("sentiment-analysis", model=GOLDEN / "labels")
    assert pipe.task == "sentiment-analysis"
    assert str(GOLDEN / "labels") in repr(pipe)
    assert pipe.model_note == str(GOLDEN / "labels")


def test_open_models_and_tokenizers_are_used_as_they_are():
    model = AutoModelForMaskedLM.from_pretrained(GOLDEN / "masks")
    tokenizer = AutoTokenizer.from_pretrained(GOLDEN / "masks")
    text = "Hello [MASK]."
    wanted = opened("masks")(text)
    given = pipeline("fill-mask", model=model, tokenizer=tokenizer)
    assert given.model is model
    assert given.tokenizer is tokenizer
    assert close(given(text), wanted)
    assert close(pipeline(model=model)(text), wanted)
    assert close(pipeline("fill-mask", model, tokenizer=str(GOLDEN / "masks"))(text), wanted)
    assert close(pipeline("fill-mask", GOLDEN / "masks", config=model.config)(text), wanted)
    assert close(pipeline("fill-mask", GOLDEN / "masks", str(GOLDEN / "masks"))(text), wanted)


def test_an_open_model_of_another_kind_is_refused():
    model = AutoModelForMaskedLM.from_pretrained(GOLDEN / "masks")
    with pytest.raises(ArgumentError, match=r"AutoModelForTokenClassification.*BertForMaskedLM"):
        pipeline("ner", model=model)
    with pytest.raises(ArgumentError, match="open already"):
        pipeline("fill-mask", model=model, dtype="float16")
    model.name_or_path = ""
    with pytest.raises(ArgumentError, match="pass tokenizer="):
        pipeline("fill-mask", model=model)


def test_features_come_from_any_model():
    model = AutoModel.from_pretrained(GOLDEN / "masks")
    features = pipeline("feature-extraction", model=model)("Hello world")
    batch = AutoTokenizer.from_pretrained(GOLDEN / "masks")("Hello world", return_tensors="pt")
    assert close(features, model(**batch).last_hidden_state.tolist(), 1e-5)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"top_kk": 3}, "top_k"),
        ({"torch_dtpye": "float16"}, "torch_dtype"),
        ({"revison": "main"}, "revision"),
        ({"batchsize": 3}, "batch_size"),
    ],
)
def test_unknown_arguments_are_refused_before_anything_is_read(options, hint, tmp_path):
    shutil.copy(GOLDEN / "labels" / "config.json", tmp_path)  # there are no weights to read
    with pytest.raises(UnknownArgumentError, match=f"Did you mean `{hint}`"):
        pipeline("text-classification", model=tmp_path, **options)


def test_arguments_that_cannot_be_meant_are_refused():
    for options in ({"framework": "tf"}, {"feature_extractor": "a"}, {"trust_remote_code": True}):
        with pytest.raises(ArgumentError, match=next(iter(options))):
            pipeline("text-classification", model=GOLDEN / "labels", **options)
    with pytest.raises(ArgumentError, match="language"):
        pipeline("text-classification", model=GOLDEN / "labels", language="zh")
    with pytest.raises(ArgumentError, match="model"):
        pipeline("text-classification", tokenizer=str(GOLDEN / "labels"))
    with pytest.raises(ArgumentError, match="batch_size"):
        pipeline("text-classification", model=GOLDEN / "labels", batch_size=0)


def test_names_that_change_nothing_are_taken(notes):
    pipe = pipeline(
        "text-classification",
        model=GOLDEN / "labels",
        framework="pt",
        use_fast=False,
        num_workers=2,
        device=-1,
        torch_dtype="float32",
        model_kwargs={"low_cpu_mem_usage": True},
    )
    assert close(pipe("the", padding=True), opened("labels")("the"))
    assert [note.split("`")[1] for note in notes()] == ["use_fast=False", "num_workers"]


def test_dtype_and_device_are_the_models():
    import torch

    pipe = pipeline("text-classification", model=GOLDEN / "labels", dtype="bfloat16", device="cpu")
    assert pipe.model.dtype is torch.bfloat16
    assert pipe.device == torch.device("cpu")
    assert pipe("the")[0]["score"] == pytest.approx(opened("labels")("the")[0]["score"], abs=0.02)


def test_a_head_that_was_never_trained_does_not_predict():
    with pytest.raises(
        ArgumentError, match=r"classifier\.weight[\s\S]*allow_untrained_head"
    ) as caught:
        pipeline("text-classification", model=GOLDEN / "masks")
    assert str(GOLDEN / "masks") in str(caught.value).replace("\n", " ")
    told = pipeline("text-classification", model=GOLDEN / "masks", allow_untrained_head=True)
    assert told("the")[0].keys() == {"label", "score"}


def test_what_is_saved_opens_again(tmp_path):
    opened("labels").save_pretrained(tmp_path)
    assert close(pipeline(model=tmp_path)(["the", "a"]), opened("labels")(["the", "a"]))


def test_a_long_text_is_cut_and_that_is_said_once(notes):
    pipe, long = opened("labels"), "the statement " * 200
    limit = pipe.model.config.max_position_embeddings
    wanted = pipe(long, truncation=True, max_length=limit)
    assert not notes()
    assert close(pipe(long), wanted)
    assert close(pipe(["the", long])[1], wanted[0])
    assert [f"more than the {limit} tokens" in note for note in notes()] == [True]
    with pytest.raises(ArgumentError, match=f"the model takes {limit}"):
        pipe(long, truncation=False)


# ------------------------------------------------------------------ no model is named


@pytest.fixture
def starters(tmp_path, monkeypatch):
    """A folder of starter checkpoints, and no network."""
    for name, source in {
        "sentiment": "labels",
        "sentiment-zh": "labels",
        "stories": "prompts",
    }.items():
        shutil.copytree(GOLDEN / source, tmp_path / name)
    monkeypatch.setattr(defaults, "STARTERS", tmp_path)
    return tmp_path


def test_without_a_network_a_starter_is_taken_and_said(starters, notes):
    pipe = pipeline("sentiment-analysis")
    assert pipe.model.name_or_path == str(starters / "sentiment")
    (said,) = notes()
    assert "\n" not in said
    for word in ("'sentiment-analysis'", "starter/sentiment", "small", "HF_HUB_OFFLINE=1"):
        assert word in said
    assert "starter/sentiment" in pipe.model_note
    assert pipeline("text-generation").model.name_or_path == str(starters / "stories")


@pytest.mark.parametrize("language", ["zh", "zh-CN", "Chinese", "中文"])
def test_a_language_picks_the_starter(starters, language):
    pipe = pipeline("sentiment-analysis", language=language)
    assert pipe.model.name_or_path == str(starters / "sentiment-zh")


def cached(monkeypatch, home, name, revision, source):
    """Put a golden checkpoint into a hub cache, as the hub's own client would."""
    commit = revision.ljust(40, "0")
    folder = home / f"models--{name.replace('/', '--')}"
    shutil.copytree(GOLDEN / source, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    (folder / "refs" / revision).write_text(commit)
    monkeypatch.setenv("HF_HUB_CACHE", str(home))


def test_the_usual_checkpoint_is_taken_where_the_cache_has_it(
    starters, monkeypatch, tmp_path, notes
):
    known = defaults.KNOWN["text-classification", "en"]
    cached(monkeypatch, tmp_path / "hub", known.hub, known.revision, "labels")
    pipe = pipeline("sentiment-analysis")
    assert pipe.model.name_or_path == known.hub
    assert f"{known.hub} at {known.revision}" in notes()[0]


def test_a_cache_without_the_weights_does_not_count(starters, monkeypatch, tmp_path):
    known = defaults.KNOWN["text-classification", "en"]
    cached(monkeypatch, tmp_path / "hub", known.hub, known.revision, "labels")
    for file in (tmp_path / "hub").rglob("*.safetensors"):
        file.unlink()
    assert pipeline("sentiment-analysis").model.name_or_path == str(starters / "sentiment")


def test_nothing_at_hand_says_why_and_what_to_do(starters):
    with pytest.raises(ArgumentError, match=r"distilbart.*HF_HUB_OFFLINE=1[\s\S]*model=…"):
        pipeline("summarization")
    with pytest.raises(ArgumentError, match="opus-mt-fi-sv"):
        pipeline("translation_fi_to_sv")
    with pytest.raises(ArgumentError, match="translation_en_to_fr"):
        pipeline("translation")
    with pytest.raises(ArgumentError, match="a language of en, zh"):
        pipeline("fill-mask", language="tlh")


def test_a_hub_that_does_not_answer_leaves_the_starter(starters, monkeypatch, notes):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    pipe = pipeline("sentiment-analysis")
    assert pipe.model.name_or_path == str(starters / "sentiment")
    assert "cannot be had" in notes()[0]


def test_every_known_checkpoint_is_for_a_task_and_a_pin_is_a_commit():
    for (task, language), known in defaults.KNOWN.items():
        assert find(task)
        assert language in ("en", "zh")
        assert known.revision is None or int(known.revision, 16)


def test_a_name_that_is_nowhere_is_an_error_of_the_checkpoint():
    with pytest.raises(CheckpointError, match="some/model"):
        pipeline("fill-mask", model="some/model")
    assert json.loads(resolve(GOLDEN / "masks").get("config.json").read_text())


def test_a_text_without_tokens_is_refused_by_name():
    with pytest.raises(ArgumentError, match="feature-extraction: a text is empty"):
        opened("prompts", "feature-extraction")(["a", ""])
