"""Journeys of those who fine-tune: what learns, what is saved, what is copied."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.utils.data import DataLoader

from armature import (
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

TEXTS = ["We are very happy.", "I hate this so much!", "We hope you don't hate it.", "In a hole."]
LABELS = [1, 0, 1, 0]


def trained(model, batch, steps=3):
    """Train on one batch; return the losses."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    model.train()
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = model(**batch).loss
        loss.backward()
        losses.append(loss.item())
        without = [
            name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()
        ]
        assert not without, "no gradient reaches these"
        optimizer.step()
    model.eval()
    return losses


@pytest.mark.parametrize("name", ["distilbert-base-uncased", "bert-base-cased", "gpt2"])
def test_fine_tuned_saved_and_opened_again(name):
    model = AutoModelForSequenceClassification.from_pretrained(name, num_labels=2)
    tokenizer = AutoTokenizer.from_pretrained(name)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
        model.config.pad_token_id = tokenizer.pad_token_id
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0  # so that the loss falls in three steps
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    losses = trained(model, {**batch, "labels": torch.tensor(LABELS)})
    assert losses[2] < losses[1] < losses[0]
    model.save_pretrained("tuned")
    tokenizer.save_pretrained("tuned")

    again = AutoModelForSequenceClassification.from_pretrained("tuned")
    assert again.untrained == ()
    batch = AutoTokenizer.from_pretrained("tuned")(TEXTS, padding=True, return_tensors="pt")
    assert torch.equal(again(**batch).logits, model(**batch).logits)


def test_every_head_learns():
    tokenizer = AutoTokenizer.from_pretrained("bert-base-cased")
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    ids, mask = batch["input_ids"], batch["attention_mask"]
    ignored = ids.masked_fill(mask == 0, -100)
    first = torch.ones(len(TEXTS), dtype=torch.long)
    for auto, labels in (
        (AutoModelForMaskedLM, {"labels": ignored}),
        (AutoModelForTokenClassification, {"labels": (ids % 2).masked_fill(mask == 0, -100)}),
        (AutoModelForQuestionAnswering, {"start_positions": first, "end_positions": first + 1}),
    ):
        model = auto.from_pretrained("bert-base-cased")
        losses = trained(model, {**batch, **labels}, steps=5)
        assert losses[-1] < losses[0], auto
    model = AutoModelForCausalLM.from_pretrained("gpt2")
    ids = AutoTokenizer.from_pretrained("gpt2")(TEXTS[0], return_tensors="pt")["input_ids"]
    losses = trained(model, {"input_ids": ids, "labels": ids}, steps=5)
    assert losses[-1] < losses[0]


def test_padding_does_not_change_what_is_learned():
    tokenizer = AutoTokenizer.from_pretrained("bert-base-cased-finetuned-mrpc")
    model = AutoModelForSequenceClassification.from_pretrained("bert-base-cased-finetuned-mrpc")

    def gradients(**padding):
        model.zero_grad()
        batch = tokenizer(TEXTS, return_tensors="pt", **padding)
        batch["position_ids"] = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
        model(**batch, labels=torch.tensor(LABELS)).loss.backward()
        return [p.grad.clone() for p in model.parameters()]

    short, long = gradients(padding=True), gradients(padding="max_length", max_length=64)
    left = gradients(padding=True, padding_side="left")
    for a, b, c in zip(short, long, left, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(a, c, atol=1e-6, rtol=1e-5)


def test_dropout_is_for_training_alone():
    model = AutoModel.from_pretrained("distilbert-base-uncased")
    assert not model.training
    ids = torch.tensor([[101, 110, 120, 102]])
    assert torch.equal(model(ids).last_hidden_state, model(ids).last_hidden_state)
    model.train()
    assert not torch.equal(model(ids).last_hidden_state, model(ids).last_hidden_state)
    model.eval()
    assert torch.equal(model(ids).last_hidden_state, model(ids).last_hidden_state)


def test_a_copy_is_a_model_of_its_own():
    model = AutoModelForMaskedLM.from_pretrained("distilbert-base-cased")
    ids = torch.tensor([[101, 110, 103, 102]])
    before = model(ids).logits
    twin = copy.deepcopy(model)
    assert torch.equal(twin(ids).logits, before)
    assert twin.get_output_embeddings().weight is twin.get_input_embeddings().weight  # still tied
    with torch.no_grad():
        for tensor in twin.parameters():
            tensor.mul_(2)
    twin.config.num_labels = 7
    assert torch.equal(model(ids).logits, before)
    assert model.config.num_labels == 2


def test_state_dicts_go_through_a_file():
    model = AutoModelForMaskedLM.from_pretrained("distilbert-base-cased")
    torch.save(model.state_dict(), "state.pt")
    fresh = AutoModelForMaskedLM.from_config(model.config)
    ids = torch.tensor([[101, 110, 103, 102]])
    assert not torch.equal(fresh(ids).logits, model(ids).logits)
    found = fresh.load_state_dict(torch.load("state.pt", weights_only=True))
    assert not found.missing_keys
    assert not found.unexpected_keys
    assert torch.equal(fresh(ids).logits, model(ids).logits)


def test_frozen_bodies_stay_as_they_are():
    model = AutoModelForSequenceClassification.from_pretrained("distilbert-base-uncased")
    for tensor in model.base_model.parameters():
        tensor.requires_grad = False
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    learning = [tensor for tensor in model.parameters() if tensor.requires_grad]
    assert len(learning) == 4  # two maps with their biases
    optimizer = torch.optim.AdamW(learning, lr=1e-2)
    batch = AutoTokenizer.from_pretrained("distilbert-base-uncased")(TEXTS[0], return_tensors="pt")
    model(**batch, labels=torch.tensor([1])).loss.backward()
    optimizer.step()
    changed = {name for name, value in model.state_dict().items() if not value.equal(before[name])}
    assert changed
    assert all(name.startswith("head.") for name in changed)


def test_a_loader_pads_with_the_tokenizer():
    tokenizer = AutoTokenizer.from_pretrained("bert-base-cased-finetuned-mrpc")
    model = AutoModelForSequenceClassification.from_pretrained("bert-base-cased-finetuned-mrpc")
    rows = [{**tokenizer(text), "labels": label} for text, label in zip(TEXTS, LABELS, strict=True)]

    def collate(features):
        return tokenizer.pad(features, padding=True, return_tensors="pt")

    together = model(**collate(rows))
    seen = []
    for batch in DataLoader(rows, batch_size=3, collate_fn=collate):
        outputs = model(**batch)
        assert outputs.loss.isfinite()
        seen.append(outputs.logits)
    torch.testing.assert_close(torch.cat(seen), together.logits, atol=1e-6, rtol=1e-6)
