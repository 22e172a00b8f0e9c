"""Journeys with what lies on the disk: no network, no guessing, other processes, clear errors."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

import armature
from armature import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    pipeline,
)

OFFLINE = """
import sys

def refuse(event, arguments):
    if event.startswith("socket."):
        raise AssertionError(event)

sys.addaudithook(refuse)
"""


def python(code, environment, *arguments):
    """Run code in a fresh process in which a socket is an error; return what it printed."""
    command = [sys.executable, "-c", OFFLINE + code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_socket_is_an_error_here():
    with pytest.raises(AssertionError, match="the network was asked for"):
        socket.socket()
    with pytest.raises(AssertionError, match="the network was asked for"):
        socket.getaddrinfo("huggingface.co", 443)


@pytest.mark.parametrize(
    ("name", "task", "text"),
    [
        ("distilbert-base-uncased-finetuned-sst-2-english", "text-classification", "A fine film."),
        ("uer/roberta-base-chinese-extractive-qa", "question-answering", None),
        ("distilbert-base-cased", "fill-mask", "Apples are [MASK]."),
        ("bert-base-uncased", "fill-mask", "Apples are [MASK]."),
        ("gpt2", "text-generation", "Once upon a time"),
    ],
)
def test_a_folder_says_its_task(hub, name, task, text):
    folder = Path("model")
    shutil.copytree(hub.snapshot(name), folder)
    opened = pipeline(model="model")
    assert opened.task == task
    assert opened.model_note == "model"
    assert opened(text) if text else opened(question="作者是", context="普希金的作品")


def test_the_wrong_auto_class_is_refused_at_once_and_names_the_right_one():
    times = []
    for _ in range(5):
        start = time.process_time()
        with pytest.raises(armature.ArmatureError) as caught:
            AutoModelForSeq2SeqLM.from_pretrained("gpt2")
        times.append(time.process_time() - start)
    assert min(times) < 0.05
    message = str(caught.value)
    assert "saved as GPT2LMHeadModel: use AutoModelForCausalLM" in message
    assert len(message) < 500


def test_a_missing_name_is_refused_without_asking_anyone(caplog):
    with pytest.raises(armature.CheckpointError, match="HF_HUB_OFFLINE=1") as caught:
        AutoModel.from_pretrained("bert-base-unchased")
    assert "bert-base-uncased" in str(caught.value)


def test_an_untrained_head_never_predicts_unasked():
    with pytest.raises(armature.ArmatureError, match="no trained head for 'text-classification'"):
        pipeline("text-classification", model="bert-base-uncased")
    model = AutoModelForSequenceClassification.from_pretrained("bert-base-uncased")
    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    with pytest.raises(armature.ArmatureError, match="noise"):
        pipeline("text-classification", model=model, tokenizer=tokenizer)
    allowed = pipeline("text-classification", model="bert-base-uncased", allow_untrained_head=True)
    assert allowed("A fine film.")[0]["label"] in ("LABEL_0", "LABEL_1")


def test_misspelt_arguments_are_refused():
    model = AutoModelForSequenceClassification.from_pretrained("bert-base-cased-finetuned-mrpc")
    tokenizer = AutoTokenizer.from_pretrained("bert-base-cased-finetuned-mrpc")
    batch = tokenizer(["a", "b"], return_tensors="pt")
    with pytest.raises(TypeError, match="Did you mean `labels`"):
        model(**batch, labls=torch.tensor([0, 1]))
    with pytest.raises(TypeError, match="Did you mean `padding`"):
        tokenizer("a", paddng=True)
    with pytest.raises(TypeError, match="Did you mean `num_labels`"):
        AutoModelForSequenceClassification.from_pretrained("gpt2", num_lables=3)
    generator = AutoModelForCausalLM.from_pretrained("gpt2")
    with pytest.raises(TypeError, match="Did you mean `max_new_tokens`"):
        generator.generate(torch.tensor([[1]]), max_new_token=3)
    with pytest.raises(TypeError, match="Did you mean `top_k`"):
        pipeline("fill-mask", model="distilbert-base-cased", topk=2)


def test_saved_in_one_process_and_opened_in_another(environment):
    """Also with weights in the older format, and in parts."""
    saved = python(
        """
import torch
from armature import AutoModelForQuestionAnswering, AutoTokenizer

name = "bert-large-uncased-whole-word-masking-finetuned-squad"
model = AutoModelForQuestionAnswering.from_pretrained(name)
tokenizer = AutoTokenizer.from_pretrained(name)
tokenizer.save_pretrained("saved")
model.save_pretrained("saved")
model.save_pretrained("parts", max_shard_size="1MB")
model.save_pretrained("older", safe_serialization=False)
batch = tokenizer("What?", "Apples are good.", return_tensors="pt")
print(model(**batch).start_logits.tolist())
""",
        environment,
    )
    tokenizer = AutoTokenizer.from_pretrained("saved")
    batch = tokenizer("What?", "Apples are good.", return_tensors="pt")
    for folder in ("saved", "parts", "older"):
        model = AutoModelForQuestionAnswering.from_pretrained(folder)
        # The last bits depend on where in memory a file's weights begin.
        wanted = torch.tensor(json.loads(saved))
        torch.testing.assert_close(model(**batch).start_logits, wanted, atol=1e-5, rtol=1e-5)


def test_a_fresh_process_tokenizes_without_torch_and_without_a_socket(environment):
    shown = python(
        """
from armature import AutoConfig, AutoTokenizer, BertTokenizer

config = AutoConfig.from_pretrained("bert-base-uncased")
ids = AutoTokenizer.from_pretrained("bert-base-uncased")("A fine film.")["input_ids"]
assert BertTokenizer.from_pretrained("bert-base-uncased").encode("A fine film.") == ids
print(config.model_type, len(ids), sorted({"torch", "numpy", "transformers"} & set(sys.modules)))
""",
        environment,
    )
    assert shown.split(" ", 1)[0] == "bert"
    assert shown.endswith("[]\n")


def test_a_fresh_process_answers_without_a_socket(environment):
    shown = python(
        """
from armature import pipeline

print(pipeline(model="distilbert-base-uncased-finetuned-sst-2-english")("A fine film."))
print(pipeline("question-answering")(question="Who?", context="Zhong is in a hole.")["answer"])
print(sorted({"transformers", "requests", "httpx"} & set(sys.modules)))
""",
        environment,
    )
    label, answer, modules = shown.splitlines()
    assert label.startswith("[{'label': '")
    assert answer
    assert modules == "[]"


def test_both_weight_formats_hold_the_same_model(hub):
    name = "nlptown/bert-base-multilingual-uncased-sentiment"
    first = AutoModelForSequenceClassification.from_pretrained(name)
    assert first.load_report.files == ("pytorch_model.bin",)
    first.save_pretrained("new")
    second = AutoModelForSequenceClassification.from_pretrained("new")
    assert second.load_report.files == ("model.safetensors",)
    assert (
        first.config.id2label
        == second.config.id2label
        == {
            0: "1 star",
            1: "2 stars",
            2: "3 stars",
            3: "4 stars",
            4: "5 stars",
        }
    )
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key]), key


def test_opening_in_another_type():
    ids = torch.tensor([[101, 110, 103, 102]])
    exact = AutoModelForMaskedLM.from_pretrained("distilbert-base-cased")
    half = AutoModelForMaskedLM.from_pretrained("distilbert-base-cased", dtype=torch.bfloat16)
    assert half.dtype is torch.bfloat16
    torch.testing.assert_close(half(ids).logits.float(), exact(ids).logits, atol=0.2, rtol=0.1)
    exact.to(torch.bfloat16)
    assert {tensor.dtype for tensor in exact.parameters()} == {torch.bfloat16}
    assert torch.equal(exact(ids).logits, half(ids).logits)
    half.save_pretrained("half")
    assert AutoModelForMaskedLM.from_pretrained("half", dtype="auto").dtype is torch.bfloat16
    assert AutoModelForMaskedLM.from_pretrained("half").dtype is torch.float32


def test_every_public_name_is_listed_and_leads_to_what_it_names():
    names = [name for name in dir(armature) if name[0].isupper()]
    assert {"AutoModel", "BertForMaskedLM", "GPT2Config", "T5Tokenizer", "CheckpointError"} <= {
        *names
    }
    for name in names:
        assert getattr(armature, name).__name__.removesuffix("Fast") == name.removesuffix("Fast")
    for wrong, right in (
        ("BertTokenzier", "BertTokenizer"),
        ("BertConfg", "BertConfig"),
        ("AutoModelForCausalML", "AutoModelForCausalLM"),
    ):
        with pytest.raises(AttributeError, match=f"Did you mean `{right}`"):
            getattr(armature, wrong)
