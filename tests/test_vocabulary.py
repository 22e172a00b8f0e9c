"""Vocabularies that grow and shrink, tables that are replaced, blocks computed a second time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from armature import AutoModelForCausalLM, auto
from armature.errors import ArgumentError

GOLDEN = Path(__file__).parent / "golden" / "arch"
TIED = ["gpt2-scales", "llama-biases", "t5-tied", "bart-scaled", "bert-decoder", "albert-inner"]
UNTIED = ["marian-untied", "gpt2-untied", "bert-untied", "bart-untied", "t5-gated"]
SPLIT = ["mobilebert-untied", "mobilebert-pretraining"]  # words are wider than their table


def opened(name):
    kind = json.loads((GOLDEN / name / "golden.json").read_text())["class"]
    return auto.model_class(kind).from_pretrained(GOLDEN / name)


def logits(model, ids):
    with torch.no_grad():
        given = {"decoder_input_ids": ids} if model.is_encoder_decoder else {}
        output = model(ids, **given)
    return output["logits" if "logits" in output else next(iter(output))]


@pytest.mark.parametrize("name", TIED + UNTIED + SPLIT)
def test_words_that_stay_keep_their_scores(name, tmp_path):
    model, ids = opened(name), torch.tensor([[7, 9, 11, 8]])
    before, size = logits(model, ids), model.config.vocab_size
    table = model.resize_token_embeddings(size + 5, pad_to_multiple_of=8)
    grown = size + 5 + -(size + 5) % 8
    assert table is model.get_input_embeddings()
    assert (table.num_embeddings, model.config.vocab_size) == (grown, grown)
    after = logits(model, ids)
    if name != "albert-inner":
        assert after.shape[-1] == grown
        assert torch.equal(after[..., :size], before)
    mean = table.weight[:size].mean(0)
    torch.testing.assert_close(table.weight[-1], mean, atol=1e-6, rtol=1e-5)
    model.save_pretrained(tmp_path)
    again = type(model).from_pretrained(tmp_path)
    assert torch.equal(logits(again, ids), after)
    model.resize_token_embeddings(size)
    torch.testing.assert_close(logits(model, ids), before, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["gpt2-scales", "t5-tied"])
def test_a_table_is_replaced_for_everything_that_reads_it(name):
    model = opened(name)
    old = model.get_input_embeddings()
    table = torch.nn.Embedding(*old.weight.shape)
    model.set_input_embeddings(table)
    assert model.get_input_embeddings() is table
    assert model.get_output_embeddings().weight is table.weight
    with pytest.raises(ArgumentError, match="3 numbers"):
        model.set_input_embeddings(torch.nn.Embedding(10, 3))
    with pytest.raises(ArgumentError, match="new_num_tokens"):
        model.resize_token_embeddings(0)


@pytest.mark.parametrize("name", ["transfo_xl-clusters", "transfo_xl-one-table"])
def test_a_vocabulary_in_clusters_keeps_its_size(name):
    model = opened(name)
    with pytest.raises(ArgumentError, match="clusters"):
        model.resize_token_embeddings(model.config.vocab_size + 1)
    with pytest.raises(ArgumentError, match="clusters"):
        model.set_input_embeddings(torch.nn.Embedding(7, 24))


@pytest.mark.parametrize("name", ["marian-apart", "encoder-decoder-bart"])
def test_two_vocabularies_are_not_mistaken_for_one(name):
    with pytest.raises(ArgumentError, match="two vocabularies"):
        opened(name).resize_token_embeddings(80)


def test_fresh_heads_stay_untrained_when_they_grow():
    model = AutoModelForCausalLM.from_pretrained(GOLDEN / "llama-spans")
    assert model.untrained
    model.resize_token_embeddings(model.config.vocab_size + 3)
    assert model.untrained


@pytest.mark.parametrize("name", ["bert-decoder", "llama-biases", "t5-tied", "albert-inner"])
def test_blocks_that_forget_give_the_same_gradients(name):
    model, ids = opened(name).train(), torch.tensor([[7, 9, 11, 8]])
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
        if hasattr(module, "dropout") and isinstance(module.dropout, float):
            module.dropout = 0.0

    def gradients():
        model.zero_grad()
        given = {"decoder_input_ids": ids} if model.is_encoder_decoder else {}
        output = model(ids, output_hidden_states=True, **given)
        next(value for value in output.values() if torch.is_tensor(value)).sum().backward()
        return [p.grad.clone() for p in model.parameters() if p.grad is not None]

    wanted = gradients()
    model.gradient_checkpointing_enable()
    assert model.is_gradient_checkpointing
    found = gradients()
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)
    model.gradient_checkpointing_disable()
    assert not model.is_gradient_checkpointing
