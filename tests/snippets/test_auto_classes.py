"""Snippets of a note on the Auto classes: config, body, tokenizer, classification."""

from __future__ import annotations

import torch

import armature


def test_a_body_by_its_name(notebook):
    notebook.names["AutoModel"] = armature.AutoModel
    notebook.run("""
model = AutoModel.from_pretrained("bert-base-cased")
""")
    assert type(notebook.model).__name__ == "BertModel"
    assert isinstance(notebook.model, torch.nn.Module)
    assert notebook.model.config.hidden_size == 16
    assert notebook.model.config.num_hidden_layers == 2
    assert not notebook.model.untrained


def test_a_config_by_its_name(notebook):
    notebook.run("""
from transformers import AutoConfig
config = AutoConfig.from_pretrained("bert-base-uncased")
""")
    assert type(notebook.config).__name__ == "BertConfig"
    assert notebook.config.vocab_size > 200


def test_a_fresh_body_from_a_config(notebook):
    notebook.run("""
from transformers import AutoConfig, AutoModel
config = AutoConfig.from_pretrained("bert-base-uncased")
model = AutoModel.from_config(config)
""")
    assert type(notebook.model).__name__ == "BertModel"
    trained = armature.AutoModel.from_pretrained("bert-base-uncased")
    fresh = notebook.model.get_input_embeddings().weight
    assert not torch.equal(fresh, trained.get_input_embeddings().weight)


def test_a_batch_a_model_and_its_probabilities(notebook):
    notebook.run("""
from transformers import AutoTokenizer
tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
""").run("""
from transformers import AutoModelForSequenceClassification
pt_batch = tokenizer(
    ["We are very happy to show you the 🤗 Transformers library.", "We hope you don't hate it."],
    padding=True,
    truncation=True,
    max_length=512,
    return_tensors="pt",
)
model_name = "nlptown/bert-base-multilingual-uncased-sentiment"
pt_model = AutoModelForSequenceClassification.from_pretrained(model_name)
pt_outputs = pt_model(**pt_batch)
from torch import nn
pt_predictions = nn.functional.softmax(pt_outputs.logits, dim=-1)
print(pt_predictions)
""")
    assert notebook.pt_batch["input_ids"].shape == notebook.pt_batch["attention_mask"].shape
    assert notebook.pt_batch["attention_mask"].sum(1).tolist() == [14, 11]
    assert notebook.pt_predictions.shape == (2, 5)
    torch.testing.assert_close(notebook.pt_predictions.sum(-1), torch.ones(2))
    assert notebook.printed.startswith("tensor([[0.")
    assert "grad_fn=<SoftmaxBackward0>" in notebook.printed
