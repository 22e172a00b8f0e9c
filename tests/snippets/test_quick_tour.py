"""Snippets of a quick tour: batches, outputs, losses, saving, own settings."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

import armature

OPENED = """
from transformers import AutoTokenizer, AutoModelForSequenceClassification

model_name = "nlptown/bert-base-multilingual-uncased-sentiment"
model_name = "distilbert-base-uncased-finetuned-sst-2-english"

model = AutoModelForSequenceClassification.from_pretrained(model_name)
tokenizer = AutoTokenizer.from_pretrained(model_name)
classifier = pipeline('sentiment-analysis', model=model, tokenizer=tokenizer)

inputs = tokenizer("We are very happy to show you the 🤗 Transformers library.")

pt_batch = tokenizer(
    ["We are very happy to show you the 🤗 Transformers library.", "We hope you don't hate it."],
    padding=True,
    truncation=True,
    max_length=512,
    return_tensors="pt"
)

# 查看标记处理后的批数据
for key, value in pt_batch.items():
    print(f"{key}: {value.numpy().tolist()}")
"""


@pytest.fixture
def opened(notebook):
    """The notebook after the cell that the others go on from."""
    notebook.names["pipeline"] = armature.pipeline
    return notebook.run(OPENED)


def test_batches_are_mappings_of_arrays(opened):
    assert isinstance(opened.pt_batch, Mapping)
    assert list(opened.inputs) == ["input_ids", "attention_mask"]
    assert opened.inputs["input_ids"] == opened.pt_batch["input_ids"][0].tolist()
    first, second = opened.printed.splitlines()
    assert first.startswith("input_ids: [[101, ")
    assert second.startswith("attention_mask: [[1, 1, 1, ")
    assert second.endswith(", 0, 0, 0]]")


def test_a_pipeline_takes_an_open_model_and_its_tokenizer(opened):
    [found] = opened.classifier("We are very happy to show you the 🤗 Transformers library.")
    assert set(found) == {"label", "score"}
    assert found["label"] in ("NEGATIVE", "POSITIVE")
    logits = opened.model(**opened.pt_batch).logits
    assert found["score"] == pytest.approx(logits.softmax(-1)[0].max().item(), abs=1e-6)
    assert len(opened.classifier(["We hope you don't hate it.", "I hate this so much!"])) == 2


def test_outputs_print_and_read_as_users_know_them(opened):
    opened.run("""
# 使用，送入模型
pt_outputs = model(**pt_batch)
print(pt_outputs)

# 激活函数 softmax
# 将 logits 转化为预测数值
from torch import nn
pt_predictions = nn.functional.softmax(pt_outputs.logits, dim=-1)
print(pt_predictions) # Output: tensor
""")
    outputs = opened.pt_outputs
    shown = r"SequenceClassifierOutput\(loss=None, logits=tensor\(\[\[.*\n.*\]\], " + (
        r"grad_fn=<\w+>\), hidden_states=None, attentions=None\)\n"
    )
    assert re.match(shown, opened.printed)
    assert outputs.logits is outputs["logits"] is outputs[0]
    assert outputs.loss is None
    assert list(outputs) == ["logits"]
    (logits,) = outputs.to_tuple()
    assert logits is outputs.logits
    assert dict(**outputs).keys() == {"logits"}


def test_labels_give_a_loss(opened):
    opened.names["pt_model"] = opened.model
    opened.run("""
import torch
pt_outputs = pt_model(**pt_batch, labels = torch.tensor([1, 0]))
print(pt_outputs) # Outputs: SequenceClassifierOutput
""")
    assert opened.printed.startswith("SequenceClassifierOutput(loss=tensor(")
    loss, logits = opened.pt_outputs[:2]
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([1, 0]))
    torch.testing.assert_close(loss, expected)


def test_saved_and_opened_again(opened):
    opened.names["save_directory"] = "./saved"
    opened.run("""
tokenizer.save_pretrained(save_directory)
model.save_pretrained(save_directory)

from transformers import AutoModel
tokenizer = AutoTokenizer.from_pretrained(save_directory)
model = AutoModel.from_pretrained(save_directory)
""")
    files = {path.name for path in Path("saved").iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= files
    text = ["We hope you don't hate it."]
    assert opened.tokenizer(text)["input_ids"][0] == opened.pt_batch["input_ids"][1, :11].tolist()
    hidden = opened.model(**opened.tokenizer(text, return_tensors="pt")).last_hidden_state
    assert hidden.shape == (1, 11, 768)


def test_pytorch_model_bin_on_request(opened):
    opened.run("model.save_pretrained('./old', safe_serialization=False)")
    assert {path.name for path in Path("old").iterdir()} == {"config.json", "pytorch_model.bin"}
    again = armature.AutoModelForSequenceClassification.from_pretrained("./old")
    assert torch.equal(again(**opened.pt_batch).logits, opened.model(**opened.pt_batch).logits)
    state = torch.load("old/pytorch_model.bin", weights_only=True)
    assert "distilbert.embeddings.word_embeddings.weight" in state


def test_hidden_states_and_attentions(opened):
    opened.names["pt_model"] = opened.model
    opened.run("""
pt_outputs = pt_model(**pt_batch, output_hidden_states=True, output_attentions=True)
all_hidden_states  = pt_outputs.hidden_states
all_attentions = pt_outputs.attentions
""")
    shapes = [tuple(states.shape) for states in opened.all_hidden_states]
    assert shapes == [(2, 14, 768), (2, 14, 768)]
    assert [tuple(weights.shape) for weights in opened.all_attentions] == [(2, 12, 14, 14)]
    seen = opened.all_attentions[0].sum(-1)[1, :, :11]
    torch.testing.assert_close(seen, torch.ones_like(seen))


def test_classes_by_their_own_names(notebook):
    notebook.run("""
from transformers import DistilBertTokenizer, DistilBertForSequenceClassification
model_name = "distilbert-base-uncased-finetuned-sst-2-english"
model = DistilBertForSequenceClassification.from_pretrained(model_name)
tokenizer = DistilBertTokenizer.from_pretrained(model_name)
""")
    assert type(notebook.model) is armature.DistilBertForSequenceClassification
    assert notebook.model.config.id2label == {0: "NEGATIVE", 1: "POSITIVE"}
    batch = notebook.tokenizer("I hate this so much!", return_tensors="pt")
    assert notebook.model(**batch).logits.shape == (1, 2)


def test_settings_of_ones_own(notebook):
    notebook.run("""
from transformers import DistilBertConfig, DistilBertTokenizer, DistilBertForSequenceClassification
# 生成配置
config = DistilBertConfig(n_heads=8, dim=512, hidden_dim=4*512)
model = DistilBertForSequenceClassification(config)

tokenizer = DistilBertTokenizer.from_pretrained('distilbert-base-uncased')
""")
    assert notebook.config.n_layers == 6
    assert notebook.config.vocab_size == 30522
    assert notebook.model.num_parameters() == 35_068_418
    batch = notebook.tokenizer("I hate this so much!", return_tensors="pt")
    assert notebook.model(**batch).logits.shape == (1, 2)


def test_another_number_of_labels(notebook, caplog):
    notebook.run("""
from transformers import DistilBertConfig, DistilBertTokenizer, DistilBertForSequenceClassification
model_name = "distilbert-base-uncased"
model = DistilBertForSequenceClassification.from_pretrained(model_name, num_labels=10)

tokenizer = DistilBertTokenizer.from_pretrained(model_name)

""")
    assert notebook.model.config.num_labels == 10
    batch = notebook.tokenizer("I hate this so much!", return_tensors="pt")
    assert notebook.model(**batch).logits.shape == (1, 10)
    assert "classifier.weight" in notebook.model.untrained
    [note] = caplog.messages
    assert "is new, not trained" in note


def test_another_number_of_labels_over_a_trained_head(notebook, caplog):
    notebook.run("""
from transformers import DistilBertForSequenceClassification
model_name = "distilbert-base-uncased-finetuned-sst-2-english"
model = DistilBertForSequenceClassification.from_pretrained(model_name, num_labels=10)
""")
    assert notebook.model.untrained == ("classifier.weight", "classifier.bias")
    assert "[2, 768] in the file, [10, 768] by the config" in caplog.text


def test_words_become_pieces(notebook):
    notebook.run("""
from transformers import BertTokenizer
tokenizer = BertTokenizer.from_pretrained("bert-base-cased")
sequence = "A Titan RTX has 24GB of VRAM"

# 转化为可读形式
tokenized_sequence = tokenizer.tokenize(sequence)
print(tokenized_sequence)

# 转化为 Input IDs
inputs = tokenizer(sequence)
""")
    pieces = ["A", "Titan", "R", "##T", "##X", "has", "24", "##GB", "of", "V", "##RA", "##M"]
    assert notebook.printed == f"{pieces}\n"
    ids = notebook.inputs["input_ids"]
    framed = ["[CLS]", *pieces, "[SEP]"]
    assert notebook.tokenizer.convert_ids_to_tokens(ids) == framed
    assert notebook.tokenizer.decode(ids) == "[CLS] A Titan RTX has 24GB of VRAM [SEP]"
