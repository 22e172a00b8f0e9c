"""Journeys with texts: threads and processes, chosen layers, padded prompts, seeds."""

from __future__ import annotations

import multiprocessing
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from armature import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM, AutoTokenizer, pipeline

NAMES = ["bert-base-uncased", "gpt2", "uer/roberta-base-chinese-extractive-qa"]


@pytest.fixture
def gpt2():
    """GPT-2 and its tokenizer, which has a token to pad with."""
    tokenizer = AutoTokenizer.from_pretrained("gpt2", pad_token="<|endoftext|>")
    return AutoModelForCausalLM.from_pretrained("gpt2"), tokenizer


@pytest.mark.parametrize("name", NAMES)
def test_sixteen_threads_share_a_tokenizer(name):
    tokenizer = AutoTokenizer.from_pretrained(name)
    texts = [f"We hope you don't hate it {'so much ' * (i % 40)}{i}." for i in range(64)]
    options = [
        {},
        {"truncation": True, "max_length": 12},
        {"truncation": True, "max_length": 30},
        {"add_special_tokens": False},
    ]
    jobs = [(i, option) for i in range(64) for option in range(4)] * 4
    expected = {(i, o): tokenizer(texts[i], **options[o])["input_ids"] for i, o in set(jobs)}

    def work(job):
        i, option = job
        return tokenizer(texts[i], **options[option])["input_ids"] == expected[job]

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(work, jobs))


@pytest.mark.parametrize("name", NAMES)
def test_tokenizers_are_pickled(name):
    tokenizer = AutoTokenizer.from_pretrained(name, padding_side="left", model_max_length=40)
    tokenizer.add_tokens(["<extra>"])
    again = pickle.loads(pickle.dumps(tokenizer))
    assert type(again) is type(tokenizer)
    text = "We hope <extra> you don't hate it."
    assert again(text) == tokenizer(text)
    assert (again.padding_side, again.model_max_length) == ("left", 40)
    assert again.special_tokens_map == tokenizer.special_tokens_map
    batch = pickle.loads(pickle.dumps(tokenizer([text, text], return_tensors="pt")))
    assert torch.equal(batch["input_ids"], tokenizer([text, text], return_tensors="pt").input_ids)


def test_another_process_is_sent_a_tokenizer():
    tokenizer = AutoTokenizer.from_pretrained("bert-base-uncased")
    texts = ["We hope you don't hate it.", "A fine film."]
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.map(tokenizer.encode, texts) == [tokenizer.encode(text) for text in texts]


def test_chosen_layers_alone():
    model = AutoModel.from_pretrained("bert-base-uncased")
    batch = AutoTokenizer.from_pretrained("bert-base-uncased")(
        ["In a hole in the ground.", "A hobbit."], padding=True, return_tensors="pt"
    )
    whole = model(**batch, output_hidden_states=True, output_attentions=True)
    some = model(**batch, output_hidden_states=[-1, -2], output_attentions=[0])
    assert len(whole.hidden_states) == 3
    assert len(some.hidden_states) == 2
    assert torch.equal(some.hidden_states[0], whole.hidden_states[-1])
    assert torch.equal(some.hidden_states[1], whole.hidden_states[-2])
    assert torch.equal(some.hidden_states[0], some.last_hidden_state)
    [weights] = some.attentions
    assert torch.equal(weights, whole.attentions[0])
    with pytest.raises(ValueError, match="output_hidden_states"):
        model(**batch, output_hidden_states=[3])


def test_results_unpack_index_and_have_keys():
    model = AutoModelForMaskedLM.from_pretrained("bert-base-uncased")
    ids = torch.tensor([[101, 110, 103, 102]])
    outputs = model(ids, labels=ids, output_hidden_states=True)
    loss, logits, states = outputs.to_tuple()
    assert list(outputs.keys()) == ["loss", "logits", "hidden_states"]
    assert outputs[0] is loss is outputs.loss is outputs["loss"]
    assert outputs[1] is logits
    assert outputs[1:] == (logits, states)
    assert [name for name, _ in outputs.items()] == list(outputs)
    assert "attentions" not in outputs
    assert outputs.attentions is None
    as_tuple = model(ids, return_dict=False)
    assert isinstance(as_tuple, tuple)
    torch.testing.assert_close(as_tuple[0], logits)


PROMPTS = ["Once upon a time", "In", "We hope that the apples and the"]


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("how", [{}, {"num_beams": 3}], ids=["greedy", "beams"])
def test_padded_prompts_are_written_on_as_if_alone(gpt2, side, how):
    model, tokenizer = gpt2
    batch = tokenizer(PROMPTS, padding=True, padding_side=side, return_tensors="pt")
    width = batch["input_ids"].shape[1]
    together = model.generate(**batch, max_new_tokens=12, **how)
    for row, prompt in zip(together, PROMPTS, strict=True):
        single = tokenizer(prompt, return_tensors="pt")
        [alone] = model.generate(**single, max_new_tokens=12, **how)
        new = alone[single["input_ids"].shape[1] :].tolist()
        assert row[width : width + len(new)].tolist() == new


def test_a_seed_fixes_each_row_whatever_else_is_in_the_batch(gpt2):
    model, tokenizer = gpt2
    how = {"do_sample": True, "max_new_tokens": 10, "seed": 7}
    batch = tokenizer(PROMPTS, padding=True, padding_side="left", return_tensors="pt")
    first, second = model.generate(**batch, **how), model.generate(**batch, **how)
    assert torch.equal(first, second)
    assert not torch.equal(first, model.generate(**batch, **{**how, "seed": 8}))
    single = tokenizer(PROMPTS[0], return_tensors="pt")
    [alone] = model.generate(**single, **how)
    length = single["input_ids"].shape[1]
    width = batch["input_ids"].shape[1]
    assert first[0, width:].tolist()[: len(alone) - length] == alone[length:].tolist()


def test_a_batch_of_a_pipeline_is_its_texts_one_by_one():
    classify = pipeline(model="nlptown/bert-base-multilingual-uncased-sentiment")
    texts = ["A fine film.", "I hate this so much!" * 20, "In a hole in the ground", "Hm"]
    alone = [classify(text)[0] for text in texts]
    for size in (1, 3, None):
        together = classify(texts, batch_size=size)
        for one, other in zip(together, alone, strict=True):
            assert one["label"] == other["label"]
            assert one["score"] == pytest.approx(other["score"], abs=1e-6)


def test_what_is_no_tensor_is_named():
    model = AutoModel.from_pretrained("bert-base-uncased")
    batch = AutoTokenizer.from_pretrained("bert-base-uncased")("A hobbit.")
    with pytest.raises(ValueError, match=r"input_ids is a list[\s\S]*return_tensors='pt'"):
        model(**batch)


def test_the_mask_may_be_given_by_its_place():
    model = AutoModel.from_pretrained("bert-base-uncased")
    batch = AutoTokenizer.from_pretrained("bert-base-uncased")(
        ["In a hole.", "A hobbit"], padding=True, return_tensors="pt"
    )
    ids, mask = batch["input_ids"], batch["attention_mask"]
    expected = model(**batch).last_hidden_state
    assert torch.equal(model(ids, mask).last_hidden_state, expected)
    assert torch.equal(model(ids, attention_mask=mask).last_hidden_state, expected)
    with pytest.raises(ValueError, match="gives attention_mask twice"):
        model(ids, mask, attention_mask=mask)
    with pytest.raises(ValueError, match="by name"):
        model(ids, mask, batch["token_type_ids"])


def test_eight_threads_share_a_pipeline():
    classify = pipeline(model="bert-base-cased-finetuned-mrpc")
    texts = [f"Apples are {'very ' * (i % 9)}good." for i in range(48)]
    expected = [classify(text) for text in texts]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(classify, texts)) == expected


def test_a_mask_may_be_spelt_as_for_another_model():
    fill = pipeline(model="distilbert-base-cased")
    assert fill("Apples are <mask>.") == fill("Apples are [MASK].")
    with pytest.raises(ValueError, match=r"write \[MASK\] where a word is missing"):
        fill("Apples are good.")
