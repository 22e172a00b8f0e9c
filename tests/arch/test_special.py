"""What only one architecture has: chosen tokens, guesses, texts that are halved."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from armature import auto
from armature.errors import ArgumentError, ConfigError

GOLDEN = Path(__file__).parent.parent / "golden" / "arch"


def opened(name, **options):
    record = json.loads((GOLDEN / name / "golden.json").read_text())
    return auto.model_class(record["class"]).from_pretrained(GOLDEN / name, **options)


def ids_of(model, *shape):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(6, model.config.vocab_size, shape, generator=generator)


@pytest.mark.parametrize("windows", [3, 0, [4, 4], [4, 5, 4]])
def test_windows_are_even_and_one_for_each_layer(windows):
    with pytest.raises(ConfigError, match="attention_window"):
        opened("longformer-model", attention_window=windows)


def test_a_question_is_chosen_unless_the_caller_chooses():
    model = opened("longformer-question")
    ids = ids_of(model, 2, 12)
    ids[:, [3, 6, 11]] = model.config.sep_token_id
    chosen = torch.zeros_like(ids)
    with torch.no_grad():
        nothing = model(ids, global_attention_mask=chosen).start_logits
        chosen[:, :3] = 1
        question = model(ids, global_attention_mask=chosen).start_logits
        found = model(ids).start_logits
    assert torch.equal(found, question)
    assert not torch.allclose(found, nothing)


def test_a_text_without_its_separators_is_refused():
    model = opened("longformer-question")
    with pytest.raises(ArgumentError, match="separator 5 three times"):
        model(ids_of(model, 2, 12))


def test_a_class_is_read_off_the_first_token_wherever_padding_is():
    model = opened("longformer-classes").double()
    ids = ids_of(model, 1, 9)
    padded = torch.nn.functional.pad(ids, (2, 0), value=model.config.pad_token_id)
    mask = torch.nn.functional.pad(torch.ones_like(ids), (2, 0))
    with torch.no_grad():
        torch.testing.assert_close(model(padded, mask).logits, model(ids).logits)


def test_what_chosen_tokens_see_is_told_apart():
    model = opened("longformer-model")
    ids, chosen = ids_of(model, 1, 11), torch.zeros(1, 11, dtype=torch.long)
    plain = model(ids, output_attentions=True)
    assert plain.global_attentions is None
    assert [shares.shape[-1] for shares in plain.attentions] == [5, 9, 5]
    chosen[0, [0, 7]] = 1
    found = model(ids, global_attention_mask=chosen, output_attentions=[1])
    assert found.attentions[0].shape == (1, 4, 11, 2 + 9)
    assert found.global_attentions[0].shape == (1, 4, 16, 2)  # whole windows of tokens
    assert not found.attentions[0][:, :, [0, 7]].any()
    torch.testing.assert_close(found.global_attentions[0].sum(2), torch.ones(1, 4, 2))


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_beside_a_text_does_not_change_its_words(side):
    model = opened("prophetnet-causal").double()
    ids = ids_of(model, 1, 7)
    around = (3, 0) if side == "left" else (0, 3)
    padded = torch.nn.functional.pad(ids, around)
    mask = torch.nn.functional.pad(torch.ones_like(ids), around)
    with torch.no_grad():
        alone = model(ids, output_hidden_states=[2]).hidden_states[0]
        found = model(padded, mask, output_hidden_states=[2]).hidden_states[0]
    if side == "right":  # positions are columns
        torch.testing.assert_close(found[mask.bool()], alone[0])
    assert not found[~mask.bool()].any()


def test_guesses_reach_as_far_as_positions_do():
    model = opened("prophetnet-far")
    assert model.max_positions == 19
    ids = ids_of(model, 1, 19)
    assert model(ids, decoder_input_ids=ids).logits_ngram.shape == (1, 2, 19, 61)
    with pytest.raises(ArgumentError, match="position"):
        model(ids, decoder_input_ids=ids_of(model, 1, 20))
    model(ids_of(model, 1, 30), decoder_input_ids=ids)  # the encoder's last position goes on


def test_a_decoder_without_guesses_is_refused():
    with pytest.raises(ConfigError, match="ngram is 0"):
        opened("prophetnet-far", ngram=0)


@pytest.mark.parametrize("key", ["pooling_type", "attention_type", "block_repeats"])
def test_a_funnel_of_another_shape_is_refused(key):
    value = [1, 1, 1] if key == "block_repeats" else "least"
    with pytest.raises(ConfigError, match=key):
        opened("funnel-halves", **{key: value})


def test_texts_become_half_as_long_with_each_block():
    model = opened("funnel-model")
    states = model(ids_of(model, 2, 13), output_hidden_states=True, output_attentions=True)
    lengths = [13, 13, 7, 7, 4, 13, 13]  # embeddings, blocks of 1, 2 and 1 runs, stretched, 1 more
    assert [one.shape[1] for one in states.hidden_states] == lengths
    assert [one.shape[2:] for one in states.attentions] == [
        (13, 13),
        (7, 13),
        (7, 7),
        (4, 7),
        (13, 13),
    ]
    assert states.last_hidden_state.shape == (2, 13, 24)
    assert opened("funnel-halves")(ids_of(model, 2, 13)).last_hidden_state.shape == (2, 7, 24)


def test_several_tokens_behind_a_cache_count_as_one_after_another():
    model = opened("prophetnet-causal")
    ids, new = torch.arange(6, 16).view(2, 5), torch.arange(10, 18).view(2, 4)
    with torch.inference_mode():
        together, apart = (model.steps(ids, None, {}, 20) for _ in range(2))
        together.start(), apart.start()
        expected = torch.stack([apart.step(column) for column in new.T], 1)
        torch.testing.assert_close(together.extend(new), expected, atol=1e-5, rtol=1e-5)
